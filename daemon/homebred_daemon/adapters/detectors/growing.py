"""What stands right beside a name or an address belongs to it: spans grow over it before a text leaves.

For the cloud lane alone (tier 3), over what the other detectors found: a house number before a street, the town on the
line below it, initials beside a name, a line of a letterhead between masked ones. It finds nothing by itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise

from homebred_daemon.adapters.detectors import address_parts, firms
from homebred_daemon.adapters.detectors.german_names import is_german
from homebred_daemon.adapters.detectors.name_lists import name_lists
from homebred_daemon.adapters.detectors.patterns import unescaped
from homebred_daemon.adapters.detectors.repeating import repeated
from homebred_daemon.core.sensitivity import Detector, Span, resolve

_TIER = 3
_PLACES = frozenset({"STREET_ADDRESS", "LOCATION", "POSTCODE", "NAME"})
_NAMES = frozenset({"PERSON", "NAME", "LOCATION", "ORGANIZATION"})
_LOOKS_BACK = 60
_LONGEST_LINE = 40
_PARTNER_BEFORE = re.compile(r"(?<!\w)[A-Z][\w'\u2019-]+, $")
_INITIALS_BEFORE = re.compile(
    r"(?<!\w)(?:[A-Z][\w'\u2019-]*[ ])?(?:[A-Z]\.[ ]?){1,2}$|(?<!\w)[A-Z][\w'\u2019-]+[ ](?:And|&)[ ]$"
)
_EXTENSION = re.compile(r"(?i:,? ?(?:x|ext\.?|extension) ?)\d{1,6}(?!\w)")
_WORD_BEFORE = re.compile(r"(?<![\w'\u2019-])(?P<word>[^\W\d_]{3,20})[ ]{1,2}$")
_WORD_AFTER = re.compile(r"[ ]{1,2}(?P<word>[^\W\d_]{3,20})(?![\w'\u2019-])")
_SMALL = re.compile(r"\b[a-zäöüß]{1,30}\b")
_UNDERSCORED = re.compile(r"(?<!\w)(?:[^\W_]{1,40}_){1,8}[^\W_]{1,40}(?!\w)")
_PARTICLE_BEFORE = re.compile(
    r"(?<!\w)(?:(?:van|de)(?: (?:der|den|de|la|los|las))?|della|ten|ter|bin|ben|el|al|dos)[ ]$"
)
_HEADED_LINE = re.compile(r"[ \t]*(?P<line>[^\W\d_][\w'\u2019.&-]*(?:[ ][^\W_][\w'\u2019.&/-]*){0,4})[ \t]*")


class Growing:
    """`Detector` of what another one finds, and of what that takes along."""

    def __init__(self, inner: Detector) -> None:
        self._inner = inner

    @cached_property
    def digest(self) -> str:
        """`sha256:…` over the inner detector's; the code is in the pattern detector's digest."""
        return f"sha256:{hashlib.sha256(f'growing {self._inner.digest}'.encode()).hexdigest()}"

    @property
    def entity_types(self) -> frozenset[str]:
        """The inner detector's."""
        return self._inner.entity_types

    def detect(self, text: str) -> tuple[Span, ...]:
        """Every span found, and what it grew by, each as a span of its own."""
        found = self._inner.detect(text)
        found = (*found, *repeated(text, found, name_lists()))
        spans, text = resolve(found), unescaped(text)
        grown = (*_beside(text, spans), *_between(text, spans), *_headed_lines(text, spans), *_whole_words(text, spans))
        return (*found, *dict.fromkeys(grown))


def _beside(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    reads_german = is_german(set(_SMALL.findall(text)))
    for span in spans:
        if span.type in _PLACES:
            yield from address_parts.beside(text, span)
        if span.type == "PERSON":  # streets are called after people
            yield from address_parts.flat_before(text, span)
        if span.type in _NAMES:
            yield from _beside_name(text, span, in_german=reads_german)
            yield from firms.legal_form(text, span)
        if span.type == "PHONE" and (match := _EXTENSION.match(text, span.end)):
            yield Span(span.end, match.end(), span.type, _TIER)


def _beside_name(text: str, span: Span, *, in_german: bool) -> Iterator[Span]:
    """Initials before it, and a small word on either side that no dictionary has."""
    from_ = max(0, span.start - _LOOKS_BACK)
    if match := _INITIALS_BEFORE.search(text, from_, span.start):
        yield Span(match.start(), span.start, span.type, _TIER)
    if match := _PARTICLE_BEFORE.search(text, from_, span.start):
        yield Span(match.start(), span.start, span.type, _TIER)
    is_firm = " and " in text[span.start : span.end]
    if is_firm and (match := _PARTNER_BEFORE.search(text, from_, span.start)):
        yield Span(match.start(), span.start, span.type, _TIER)
    if in_german:  # the dictionary is English
        return
    words = name_lists().words
    if (match := _WORD_BEFORE.search(text, from_, span.start)) and match["word"].lower() not in words:
        yield Span(match.start(), span.start, span.type, _TIER)
    if (match := _WORD_AFTER.match(text, span.end)) and match["word"].lower() not in words:
        yield Span(span.end, match.end(), span.type, _TIER)


def _between(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """A word or a comma between two parts of an address, a partner between two others of a firm."""
    for left, right in pairwise(spans):
        gap = (left.end, right.start)
        is_address = left.type in _PLACES and right.type in _PLACES
        are_names = left.type in _NAMES and right.type in _NAMES
        if (
            (is_address and address_parts.fills(text, *gap))
            or (are_names and firms.joins_partners(text, *gap))
            or (left.type in _NAMES and _begins_with_number(text, right) and address_parts.is_house(text, *gap))
        ):
            yield Span(*gap, left.type, _TIER)


def _begins_with_number(text: str, span: Span) -> bool:
    return span.type in _PLACES and text[span.start].isdigit()


def _headed_lines(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """A line of capitalised words alone beside a masked line: the firm or the town of a letterhead."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    if len(starts) == 1:
        return
    covered = [0] * len(starts)
    at = 0
    for span in spans:
        while at + 1 < len(starts) and starts[at + 1] <= span.start:
            at += 1
        covered[at] += span.end - span.start
    lines = text.split("\n")
    for number, line in enumerate(lines):
        match = _HEADED_LINE.fullmatch(line) if len(line) <= _LONGEST_LINE else None
        if (
            match is None
            or covered[number]
            or not all(word[0].isupper() or word[0].isdigit() for word in match["line"].split())
        ):
            continue
        if any(
            covered[beside] * 2 > len(lines[beside].strip())
            for beside in (number - 1, number + 1)
            if 0 <= beside < len(lines)
        ):
            yield Span(starts[number] + match.start("line"), starts[number] + match.end("line"), "NAME", _TIER)


def _whole_words(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """The rest of a handle or file name of which a part is a name: `report_zorblatt_final`."""
    places = iter(spans)
    span = next(places, None)
    for match in _UNDERSCORED.finditer(text):
        while span and span.end <= match.start():
            span = next(places, None)
        if span and span.start < match.end():
            yield Span(match.start(), match.end(), span.type, _TIER)
