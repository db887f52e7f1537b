"""What every `Detector` promises, whatever stands behind it: one suite for the tiers and for a fake."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.adapters.detectors.cloud_context import CloudContext
from homebred_daemon.adapters.detectors.for_lanes import cloud_detector
from homebred_daemon.adapters.detectors.gazetteer import Gazetteer, Known
from homebred_daemon.adapters.detectors.names import NameDetector
from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.adapters.detectors.tiers import Tiers
from homebred_daemon.core.sensitivity import Detector, Span, raised_classes, redact, resolve
from homebred_daemon.core.spelling import keys


class WordDetector:
    """A fake behind the port: finds one word, as a site's list of names would."""

    digest = "sha256:" + "0" * 64
    entity_types = frozenset({"PERSON"})

    def detect(self, text: str) -> tuple[Span, ...]:
        return tuple(Span(match.start(), match.end(), "PERSON", 2) for match in re.finditer("Sorensen", text))


def known_names() -> Tiers:
    texts = ("Jane Sorensen", "Frau Müller", "AX-4471-B", "ΑΣ ΒΣ", "Zoë", "王伟")
    known = Gazetteer((Known(keys=keys(text), data_class="patient") for text in texts), "sha256:" + "1" * 64)
    return Tiers([default_detector(), known])


def for_cloud() -> Detector:
    return cloud_detector(known_names())


MAKERS = (default_detector, known_names, NameDetector, CloudContext, for_cloud, WordDetector)
NAMES = ["patterns", "gazetteer", "names", "context", "cloud lane", "fake"]


@pytest.fixture(params=MAKERS, ids=NAMES)
def detector(request: pytest.FixtureRequest) -> Detector:
    made: Detector = request.param()
    return made


DETECTORS: list[Detector] = [make() for make in MAKERS]
CARD = "4111 1111 1111 1111"
WIDE = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}  # full-width digits
FRAGMENTS = st.sampled_from(
    [
        *(
            "👩‍⚕️",
            "Zoe\u0308",
            "İstanbul",
            "ß",
            "\u200b",
            CARD.translate(WIDE),
            "MRN 00987654",
            "Sorensen",
            " ",
            "\n",
            "-",
        ),
        *(
            "jane@example.com",
            "SSN 536-90-4399",
            "password=hunter2!x",
            "+49 89 1234567",
            "```\n",
            "x = f(1);\n",
            "ΑΣ",
            "\ud800",
        ),
        *("Frau Müller", "Berliner Straße 12", "part no. AX-4471-B", "٤٣٢١", "confidential", "\x00", "://", "1.2.3"),
    ]
)
TEXTS = st.lists(st.one_of(FRAGMENTS, st.text(max_size=12)), max_size=12).map("".join)


def test_the_digest_names_the_detector_and_stays(detector: Detector) -> None:
    assert re.fullmatch("sha256:[0-9a-f]{64}", detector.digest)
    assert detector.digest == detector.digest


def test_an_empty_text_holds_nothing(detector: Detector) -> None:
    assert detector.detect("") == ()


@pytest.mark.parametrize("detector", DETECTORS, ids=NAMES)
@given(text=TEXTS)
def test_spans_lie_in_the_text_are_whole_and_come_alike_each_time(detector: Detector, text: str) -> None:
    spans = detector.detect(text)
    assert all(0 <= span.start < span.end <= len(text) and span.type.isupper() and span.tier >= 1 for span in spans)
    assert spans == detector.detect(text)


@given(before=TEXTS, behind=TEXTS)
def test_offsets_are_code_points_whatever_stands_around(before: str, behind: str) -> None:
    text = before + "\n\n MRN: 00987654 \n\n" + behind
    start = len(before) + len("\n\n MRN: ")
    found = default_detector().detect(text)
    masked = {position for span in resolve(found) for position in range(span.start, span.end)}
    assert masked >= set(range(start, start + 8))
    assert (
        "00987654"
        not in redact(text, [span for span in found if span.end > start and span.start < start + 8])[start:][:8]
    )


def test_an_emoji_and_a_combining_mark_count_as_the_code_points_they_are() -> None:
    text = "👩🏽‍⚕️ Zoe\u0308: SSN 536-90-4399 🙂"
    assert redact(text, default_detector().detect(text)) == "👩🏽‍⚕️ Zoe\u0308: SSN <US_SSN> 🙂"


def test_look_alike_digits_dashes_and_spaces_hide_nothing() -> None:
    for text in (
        "SSN " + "536-90-4399".translate(WIDE),
        "SSN 536\u201190\u20114399",
        "card 4111\u00a01111\u00a01111\u00a01111",
        "MRN ٠٠٩٨٧٦٥٤",
    ):
        found = default_detector().detect(text)
        assert redact(text, found).split()[1].startswith("<"), text


def test_alike_text_gives_alike_classes_in_any_case_of_label() -> None:
    for label in ("MRN", "mrn", "Mrn", "Patient-ID", "patient_id", "PATIENT ID"):
        assert raised_classes(default_detector().detect(f"{label}: 00987654"), {}) == {"patient"}


# Runs of one thing for ever, and beginnings of long patterns that never end.
HOSTILE = [
    *(
        "a",
        "A",
        "1",
        " ",
        "-",
        "@",
        ".",
        ":",
        "/",
        "\n",
        "é",
        "٣",
        "1 ",
        "1-",
        "1.",
        "1/1/",
        "+1",
        "00 ",
        "a@",
        "a.",
        "A1-",
    ),
    *(
        "Aa ",
        "Aa-",
        "1 Aa ",
        "1 Aa St ",
        "M. ",
        "Dr. Aa ",
        "mrn ",
        "call ",
        "token=a",
        "password=",
        "eyJa.",
        "sk-",
        "http://",
    ),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----a",
        "if (",
        "x = 1\n",
        "```\n",
        "def f(\n",
        "a::",
        "0x",
        "1111 ",
    ),
    *("Main St\n", "1 Rue ", "1 1 Main St, AB 1 ", "Jane Aa. ", "Jane\nAa\n", "aged 1 and ", "x1 ", "Flat 1, "),
    *(
        "1 aa ",
        "12 aa, ",
        "van de ",
        "a.b.",
        "a_",
        "Aa & ",
        "Aa e ",
        "ich bin aa ",
        "al. Aa ",
        "1 2 ",
        "Aa und ",
        "A. ",
    ),
    *(
        "Jane s.r.o. ",
        "Flat 1\n",
        "Aa_",
        "Aa-Bb, ",
        "my name is ",
        "rue de la ",
        "Hospital of Aa ",
        "\\n",
        "Jane, ",
        "1/1 ",
    ),
    *("Jane Sorensenn ", "Jane ", "Mr de ", "王伟", "AX-", "AX4-", "J. ", "é"),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    text = (piece * 50_000)[:50_000]
    for detector in (known_names(), NameDetector(), CloudContext(), for_cloud()):
        detector.detect(text[:100])  # compiled before it is timed
        began = time.process_time()
        detector.detect(text)
        assert time.process_time() - began < 4.0  # a second or two, where another process is on the same core


def test_importing_the_detector_compiles_no_rule_and_loads_no_library_of_checksums() -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, homebred_daemon.adapters.detectors.patterns; print('stdnum' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "False"
