from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.attachment_files import (
    EEG,
    FACE_2011,
    FINGER_MINUTIAE,
    NIFTI,
    NIST_RECORD,
    PASSPORT_FACE,
    REAL,
    WSQ,
    real,
)

from homebred_daemon.core.attachment_formats import (
    ENDINGS,
    Kind,
    kinds_by_beginning,
    kinds_by_media_type,
    kinds_by_name,
)
from homebred_daemon.core.vocabulary import WORDS

OF_PREFIX = {"call": Kind.AUDIO, "tagged": Kind.AUDIO, "film": Kind.VIDEO, "scan": Kind.MEDICAL, "ascii": Kind.OPAQUE}


@pytest.mark.parametrize("name", REAL)
def test_a_file_of_a_real_program_is_known_by_its_name_and_by_its_bytes(name: str) -> None:
    kind = OF_PREFIX.get(name.partition(".")[0], Kind.IMAGE)
    by_bytes = kinds_by_beginning(real(name))
    assert kind in by_bytes or by_bytes == {Kind.VIDEO}  # WMA is WMV by its bytes, which raises a voice as well
    assert kind in kinds_by_name(name) or name == "film.ts"  # TypeScript ends so too


@pytest.mark.parametrize(
    ("beginning", "kinds"),
    [
        *((record, {Kind.BIOMETRIC}) for record in (FINGER_MINUTIAE, FACE_2011, WSQ, NIST_RECORD, PASSPORT_FACE)),
        *((record, {Kind.MEDICAL}) for record in (NIFTI, EEG, rb"MSH|^~\&|LAB|", b'{"resourceType": "Patient"}')),
        (b"\x08\0\x05\0CS\x0a\0ISO_IR 100", {Kind.MEDICAL}),
        (b"<?xml version='1.0'?>\n<!-- a --><!-- b -->\n<svg xmlns='http://www.w3.org/2000/svg'>", {Kind.IMAGE}),
        (b"<?xml version='1.0'?><itl:NISTBiometricInformationExchangePackage>", {Kind.BIOMETRIC}),
        (b"{\\rtf1\\ansi", {Kind.OPAQUE}),
        *((b"", set()), (b"<html><svg>", set()), (b"PK\x03\x04", set()), (b'{"a": 1}', set())),
    ],
)
def test_a_beginning_tells_every_kind_that_it_is(beginning: bytes, kinds: set[Kind]) -> None:
    assert kinds_by_beginning(beginning) == kinds


def test_no_common_word_begins_a_file_of_a_kind() -> None:
    sentences = [f"{spelt} wide moov of the ward" for word in WORDS for spelt in (word, word.title(), word.upper())]
    assert [sentence for sentence in sentences if kinds_by_beginning(sentence.encode())] == []


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        *(
            ("call.WAV", {Kind.AUDIO}),
            ("voice.wav.txt", {Kind.AUDIO}),
            ("C:\\scans\\a.nii.gz", {Kind.MEDICAL, Kind.OPAQUE}),
        ),
        *((" x.jpg ", {Kind.IMAGE}), ("right thumb.wsq", {Kind.BIOMETRIC}), (".wav", {Kind.AUDIO})),
        *(
            ("wav", set()),
            ("", set()),
            ("notes.txt", set()),
            ("main.ts", set()),
            ("a.wav.b.txt", set()),
            ("...", set()),
        ),
    ],
)
def test_the_last_two_endings_of_a_name_tell_a_kind(name: str, kinds: set[Kind]) -> None:
    assert kinds_by_name(name) == kinds


@pytest.mark.parametrize(
    ("media_type", "kinds"),
    [
        *(("audio/wav", {Kind.AUDIO}), ("Audio/X-Unheard-Of; codecs=opus", {Kind.AUDIO}), ("video/mp4", {Kind.VIDEO})),
        *(("image/svg+xml", {Kind.IMAGE}), ("application/ogg; codecs=opus", {Kind.AUDIO, Kind.VIDEO})),
        *(("application/dicom", {Kind.IMAGE, Kind.MEDICAL}), ("application/fhir+json", {Kind.MEDICAL})),
        *(("application/vnd.iso-19794-2", {Kind.BIOMETRIC}), ("image/x-wsq", {Kind.IMAGE, Kind.BIOMETRIC})),
        *(("application/pdf", {Kind.OPAQUE}), ("multipart/mixed", {Kind.OPAQUE})),
        *(("", set()), ("text/plain; charset=utf-8", set()), ("application/json", set()), ("image", set())),
        ("application/octet-stream", set()),
    ],
)
def test_a_declared_media_type_tells_a_kind(media_type: str, kinds: set[Kind]) -> None:
    assert kinds_by_media_type(media_type) == kinds


def test_endings_are_in_order_and_in_lower_case_without_a_point() -> None:
    for endings in ENDINGS.values():
        assert endings.split() == sorted(set(endings.casefold().replace(".", " ").split()))


@given(st.binary(max_size=300), st.text(max_size=40), st.text(max_size=40))
def test_anything_is_taken(data: bytes, name: str, media_type: str) -> None:
    assert kinds_by_beginning(data) | kinds_by_name(name) | kinds_by_media_type(media_type) <= set(Kind)


@pytest.mark.parametrize("bait", [b"<!---->", b"<!--", b" ", b"P1 #\n", b"ObjectType  ", b"1.0", b"<?xml ", b"{ "])
def test_a_beginning_made_to_hold_a_pattern_up_does_not(bait: bytes) -> None:
    before_s = time.process_time()
    kinds_by_beginning(bait * 4096)
    assert time.process_time() - before_s < 1
