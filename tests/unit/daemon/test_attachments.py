from __future__ import annotations

import base64
import io
import random
import time
import wave
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.attachment_files import FINGER_MINUTIAE, REAL, real

from homebred_daemon.adapters.detectors.gazetteer import Gazetteer, Known
from homebred_daemon.core.attached_content import Attachment
from homebred_daemon.core.attachment_formats import Kind, kinds_by_media_type, kinds_by_name
from homebred_daemon.core.attachments import ENTITY_TYPES, UNREADABLE, Contents, examine
from homebred_daemon.core.sensitivity import ATTACHED_TYPES, DEFAULT_CLASSES, raised_classes
from homebred_daemon.core.spelling import keys

MARKS = {"utf-8": b"", "utf-8-sig": b"", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
TEXTS = st.text(st.characters(exclude_categories=["C"], include_characters="\t\n\r\f\u00ad\u200d\u2060"), max_size=80)
MEDIA_TYPES = st.sampled_from(["", "text/plain", "audio/wav", "video/mp4", "image/png", "application/dicom", "x"])
NAMES = st.sampled_from(["", "a", "notes.txt", "call.wav", "face.jpg", "thumb.wsq", "scan.dcm", "a.zip"])
KNOWN = Gazetteer(
    [Known(keys=keys(name), data_class="patient") for name in ("Zoe Adlerstein", "Jürgen Großmann")],
    "sha256:" + "0" * 64,
)


def attached(data: bytes, *, name: str = "", media_type: str = "") -> Attachment:
    return Attachment(name=name, media_type=media_type, data=data)


def recording() -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(400))
    return written.getvalue()


def classes(contents: Contents) -> frozenset[str]:
    return raised_classes((*contents.spans, *KNOWN.detect(contents.searched)), {})


def test_a_recording_that_calls_itself_a_text_is_a_recording() -> None:
    contents = examine(attached(recording(), name="notes.txt", media_type="text/plain"))
    assert contents.kinds == {Kind.AUDIO}
    assert contents.text is None
    assert contents.entity_types == {"ATTACHED_VOICE", UNREADABLE}
    assert classes(contents) == {"voice"}


def test_what_is_declared_a_recording_is_one_whatever_its_bytes() -> None:
    for data in (b"", b"no sound", bytes(40)):
        contents = examine(attached(data, media_type="audio/x-unheard-of"))
        assert Kind.AUDIO in contents.kinds
        assert not contents.is_plain_text


def test_a_plain_text_raises_nothing_and_is_searched_whole() -> None:
    contents = examine(attached("Grüße, Ω\r\n".encode(), name="gruss.md", media_type="text/markdown"))
    assert contents == Contents(kinds=frozenset(), text="Grüße, Ω\r\n", searched="gruss.md\nGrüße, Ω\r\n")
    assert contents.is_plain_text
    assert contents.entity_types == frozenset()
    assert contents.spans == ()


@pytest.mark.parametrize(
    ("data", "raised"),
    [
        (real("call.opus"), {"voice", "patient"}),
        (real("film.mp4"), {"voice", "biometric", "patient"}),
        (real("exif.jpg"), {"biometric", "patient"}),
        (real("plain.bmp"), {"biometric"}),
        (real("scan.dcm"), {"biometric", "patient"}),
        (FINGER_MINUTIAE, {"biometric"}),
        (real("ascii.pdf"), set()),
        (bytes(100), set()),
    ],
)
def test_a_file_raises_what_it_is_and_whom_it_names(data: bytes, raised: set[str]) -> None:
    assert classes(examine(attached(data))) == raised


def test_a_name_in_the_files_name_is_found() -> None:
    assert classes(examine(attached(b"7.4 mmol/l", name="Labor_Jürgen_Grossmann.txt"))) == {"patient"}


def test_every_kind_has_its_entity_types_and_each_of_them_a_class() -> None:
    assert ENTITY_TYPES.keys() == set(Kind)
    assert {entity for entities in ENTITY_TYPES.values() for entity in entities} == {
        entity for entity in DEFAULT_CLASSES if entity.startswith("ATTACHED_")
    }


def test_what_is_no_text_is_unreadable_even_where_nothing_is_known_of_it() -> None:
    for data in (b"\0", b"\xff\xff", b"caf\xe9", b"\xff\xfe\0\xd8", b"a\x07"):
        contents = examine(attached(data, name="a.txt", media_type="text/plain"))
        assert (contents.kinds, contents.text) == (frozenset({Kind.OPAQUE}), None)
        assert contents.entity_types == {UNREADABLE}


def test_an_archive_raises_what_it_names() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("word/document.xml", b"<w/>")
        archive.writestr("word/media/image1.jpeg", real("exif.jpg"))
    assert examine(attached(packed.getvalue())).kinds == {Kind.OPAQUE, Kind.IMAGE}


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("name", "kind"), [("exif.jpg", Kind.IMAGE), ("call.wav", Kind.AUDIO), ("scan.dcm", Kind.MEDICAL)]
)
def test_a_file_inside_a_text_is_found(name: str, kind: Kind, wrapped: bool) -> None:  # noqa: FBT001  # a parameter
    encode = base64.encodebytes if wrapped else base64.b64encode
    text = b'{"contentType": "x", "data": "' + encode(real(name)) + b'"}'
    contents = examine(attached(text, name="a.json"))
    assert {kind, Kind.OPAQUE} <= contents.kinds
    assert contents.text == text.decode()
    escaped = examine(attached(text.replace(b"\n", b"\\n").replace(b"/", b"\\/")))
    assert kind in escaped.kinds


@pytest.mark.parametrize(
    "text",
    [
        r'{"patient": "J\u00fcrgen Gro\u00dfmann"}',
        "<p>J&uuml;rgen Gro&#223;mann</p>",
        "Content-Transfer-Encoding: quoted-printable\n\nJ=C3=BCrgen Gro=C3=9F=\nmann",
    ],
)
def test_a_name_in_escapes_is_found_and_its_text_does_not_pass_for_searched(text: str) -> None:
    contents = examine(attached(text.encode()))
    assert classes(contents) == {"patient"}
    assert contents.text == text
    assert contents.kinds == {Kind.OPAQUE}  # a detector's spans would not cover the escapes


def test_marks_of_a_document_are_no_escapes() -> None:
    assert examine(attached(b"<p>1 &lt; 2 &amp; 3&nbsp;&gt; 2</p> AT&T; R&D")).is_plain_text


def test_two_escapes_may_be_one_letter_and_half_of_one_is_taken_too() -> None:
    assert "👩" in examine(attached(rb"\ud83d\udc69")).searched
    assert examine(attached(rb"\ud83d")).searched.encode()


@given(TEXTS, st.sampled_from(sorted(MARKS)))
def test_a_text_is_read_exactly_in_every_encoding(text: str, encoding: str) -> None:
    data = MARKS[encoding] + text.encode(encoding)
    if not text.startswith("\ufeff"):
        assert examine(attached(data)).text == text


@given(
    st.one_of(st.binary(max_size=400), st.binary(max_size=400).map(lambda data: b"\xff\xfe" + data)), NAMES, MEDIA_TYPES
)
def test_any_bytes_are_taken_and_are_a_text_only_if_they_are_one(data: bytes, name: str, media_type: str) -> None:
    contents = examine(attached(data, name=name, media_type=media_type))
    assert contents.searched.encode() is not None
    if contents.text is None:
        assert contents.kinds
        return
    assert data in {mark + contents.text.encode(encoding) for encoding, mark in MARKS.items()}
    assert not {*map(chr, range(9)), "\x0b", *map(chr, range(14, 32)), "\x7f"} & set(contents.text)


def test_random_bytes_are_no_text() -> None:
    for seed in range(300):
        data = random.Random(seed).randbytes(256)
        assert examine(attached(data)).text is None
        assert examine(attached(b"\xff\xfe" + data)).text is None


@given(st.binary(max_size=60), NAMES, MEDIA_TYPES)
def test_a_name_and_a_declaration_only_raise(data: bytes, name: str, media_type: str) -> None:
    bare = examine(attached(data)).kinds - {Kind.OPAQUE}
    told = examine(attached(data, name=name, media_type=media_type)).kinds
    assert bare | kinds_by_name(name) | kinds_by_media_type(media_type) <= told


@given(st.sampled_from(REAL), st.data())
def test_a_file_cut_short_is_still_what_its_name_and_its_declaration_say(name: str, drawn: st.DataObject) -> None:
    whole = real(name)
    cut = whole[: drawn.draw(st.integers(0, len(whole)))]
    media_type = drawn.draw(MEDIA_TYPES)
    contents = examine(attached(cut, name=name, media_type=media_type))
    assert kinds_by_name(name) | kinds_by_media_type(media_type) <= contents.kinds


@pytest.mark.parametrize(
    "bait",
    [
        "a" * 63 + " ",
        "a" * 64 + "\n",
        "A" * 64 + " " * 17,
        "&aaaaaaaaaaaaaaaa",
        "=?aaaaaaaa",
        r"\u00fc",
        "quoted-printable =C3",
    ],
)
def test_a_text_made_to_hold_a_pattern_up_does_not(bait: str) -> None:
    data = (bait * (1_000_000 // len(bait))).encode()
    before_s = time.process_time()
    examine(attached(data))
    assert time.process_time() - before_s < 5  # a fraction of a second, mostly


def test_every_type_of_an_attachment_is_one_that_a_policy_may_name() -> None:
    assert {entity for types in ENTITY_TYPES.values() for entity in types} | {UNREADABLE} == ATTACHED_TYPES
