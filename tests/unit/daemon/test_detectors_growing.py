"""What stands beside a name or an address goes with it, and nothing else does."""

from __future__ import annotations

import re

import pytest

from homebred_daemon.adapters.detectors.for_lanes import cloud_detector
from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.core.sensitivity import redact


def left(text: str) -> str:
    """What shows of a text: masks are underscores."""
    return re.sub(r"\[[A-Z_]+\]|<[A-Z_]+>", "_", redact(text, cloud_detector(default_detector()).detect(text)))


@pytest.mark.parametrize(
    ("text", "shows"),
    [
        ("send it to Flat 3, 10 High Street, Leeds LS1 4AB please", "send it to _ please"),
        ("it went to 0912 P.O. Box 287 Apt. 051, Tallinn now", "it went to _ now"),
        ("Address: 33787 590 Edington Drive\nToronto\n, ON\n Canada 27539", "Address: _"),
        ("they moved to 12 rue de la Gare, Lille", "they moved to _"),
        ("he lives at Vodičkova 699/30, Praha 1", "he lives at _"),
        ("Tom I. Holzman signed it", "_ signed it"),
        ("call 202-555-0143 ext. 9 at noon", "call _ at noon"),
        ("Anna Krejci\nScale Unlimited\n12 High Street", "_"),
    ],
)
def test_what_stands_beside_goes_too(text: str, shows: str) -> None:
    assert re.sub(r"_(?:[\s,.]*_)*", "_", left(text)) == shows


@pytest.mark.parametrize(
    "text",
    [
        "Why is the sky blue?",
        "Buy 3 apples and 12 pears.",
        "Dear Sir\n\nThank you\n\nKind Regards",
        "chapter 4, part 7",
    ],
)
def test_where_nothing_was_found_nothing_grows(text: str) -> None:
    assert left(text) == text


@pytest.mark.parametrize(
    ("text", "age"),
    [
        *(
            ("47 y.o. male", "47"),
            ("a man of 47", "47"),
            ("He retired at 47.", "47"),
            ("Anna Smith, 47, of Leeds", "47"),
        ),
        *(
            ("aged between 20 and 30", "20 and 30"),
            ("thirty-five years old", "thirty-five"),
            ("born 47 years ago", "47"),
        ),
        *(("in her late thirties", "thirties"), ("older than 47.", "47"), ("F, 47", "47"), ("47 Jahre", "47")),
    ],
)
def test_an_age_is_masked_however_it_is_said(text: str, age: str) -> None:
    spans = cloud_detector(default_detector()).detect(text)
    assert age in {text[span.start : span.end] for span in spans if span.type == "AGE"}


@pytest.mark.parametrize(
    "text", ["$47 a month", "47 % of it", "at 10.30 today", "step 47", "over 50 percent", "3.47 m"]
)
def test_a_plain_number_is_no_age(text: str) -> None:
    assert not [span for span in cloud_detector(default_detector()).detect(text) if span.type == "AGE"]
