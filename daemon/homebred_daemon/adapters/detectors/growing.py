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

from homebred_daemon.adapters.detectors.name_lists import name_lists
from homebred_daemon.core.sensitivity import Detector, Span, resolve

_TIER = 3
_PLACES = frozenset({"STREET_ADDRESS", "LOCATION", "POSTCODE", "NAME"})
_NAMES = frozenset({"PERSON", "NAME", "LOCATION", "ORGANIZATION"})
_LOOKS_BACK = 60
_LONGEST_LINE = 40
_LONG_WAY = (
    r"(?:rue|via|avenida|calle|rua|strada|piazza|plaza|plaça|avenue|allée|chemin|quai|impasse|ulica|ul\.|ул\.|пр\.)"
)
_WAY = rf"(?:{_LONG_WAY}|av\.?|ave\.?|c\.?|r\.?)"
_WAY_BEHIND = (
    r"(?:street|str|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|way|court|ct|square|sq|place|utca|u)"
)
_OF = r"(?:(?:d[eiou]|du|d[ao]s|des|del|della|da|do|la|le|l')\b[ ']?){0,2}"
_PART = (
    r"(?:(?:flat|unit|lot|house|block|floor|level|room|apt\.?|apartment|suite|road|no\.?|nr\.?) ?#?\w{1,5}[,/ ]{1,3})"
)
_NUMBER = r"(?:\d{1,6}[a-z]?[ \t]{1,2})"
_BEFORE_PLACE = re.compile(
    rf"(?<![\w.,/$€£-])"
    rf"(?i:{_PART}{{1,3}}{_NUMBER}{{0,2}}|{_NUMBER}{{1,2}}(?:{_WAY}[ \t]{_OF})?|{_LONG_WAY}[ \t]{_OF})$"
)
_CODE_AFTER = re.compile(
    r"(?:[ \t]{0,2},?[ \t]{0,2}\n?[ \t]{0,8},?[ \t]{0,2}(?:\d{2,6}(?:-\d{3,4})?|[A-Z]{2,3})(?![\w%]|[.,:]\w))+"
)
_LINE_WORD = r"(?:(?![a-z])[^\W_][\w'\u2019.-]{0,30})"
_LINES_BELOW = re.compile(
    r"(?:[ \t]{0,2},?[ \t]{0,2}\n\n?[ \t]{0,8}"
    rf"(?:{_LINE_WORD}(?:,?[ -]{_LINE_WORD}){{0,3}}[ \t]{{0,2}}(?=,|\n|$)"
    r"|,[ ]?[A-Za-z]{2,3}(?!\w)|\d{4,6}(?!\w))){1,4}"
)
_BETWEEN_PLACES = re.compile(
    r"[ \t]{0,2},?[ \t\n]{1,8}(?:[\w'\u2019-]{1,12}[ \t,\n]{1,4})?"
    rf"|[ ](?:\w{{1,12}}[ ])?{_WAY_BEHIND}[ ]"
    r"|(?=[^\d\n]{0,15}\d)[/ ,]{0,2}(?:[\wºª°./-]{1,8}[ ,]{1,2}){1,3}"
)
_BETWEEN_PARTNERS = re.compile(r", [\w'\u2019-]{2,15},? (?:and|&|und) ")
_PARTNER_BEFORE = re.compile(r"(?<!\w)[A-Z][\w'\u2019-]+, $")
_INITIALS_BEFORE = re.compile(
    r"(?<!\w)(?:[A-Z][\w'\u2019-]*[ ])?(?:[A-Z]\.[ ]?){1,2}$|(?<!\w)[A-Z][\w'\u2019-]+[ ](?:And|&)[ ]$"
)
_EXTENSION = re.compile(r"(?i:,? ?(?:x|ext\.?|extension) ?)\d{1,6}(?!\w)")
_WORD_BEFORE = re.compile(r"(?<![\w'\u2019-])(?P<word>[^\W\d_]{3,20})[ ]{1,2}$")
_WORD_AFTER = re.compile(r"[ ]{1,2}(?P<word>[^\W\d_]{3,20})(?![\w'\u2019-])")
_HEADED_LINE = re.compile(r"[ \t]*(?P<line>[^\W\d_][\w'\u2019.&-]*(?:[ ][^\W\d_][\w'\u2019.&-]*){0,4})[ \t]*")


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
        spans = resolve(found)
        grown = (*_beside(text, spans), *_between(text, spans), *_headed_lines(text, spans))
        return (*found, *dict.fromkeys(grown))


def _beside(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    for span in spans:
        if span.type in _PLACES:
            yield from _beside_place(text, span)
        if span.type in _NAMES:
            yield from _beside_name(text, span)
        if span.type == "PHONE" and (match := _EXTENSION.match(text, span.end)):
            yield Span(span.end, match.end(), span.type, _TIER)


def _beside_place(text: str, span: Span) -> Iterator[Span]:
    """Numbers before it, the line below a street, a state or postcode behind."""
    if match := _BEFORE_PLACE.search(text, max(0, span.start - _LOOKS_BACK), span.start):
        yield Span(match.start(), span.start, span.type, _TIER)
    end = span.end
    is_street = span.type == "STREET_ADDRESS" or any(map(str.isdigit, text[span.start : span.end]))
    if is_street and (match := _LINES_BELOW.match(text, end)):
        yield Span(end, match.end(), span.type, _TIER)
        end = match.end()
    if match := _CODE_AFTER.match(text, end):
        yield Span(end, match.end(), span.type, _TIER)


def _beside_name(text: str, span: Span) -> Iterator[Span]:
    """Initials before it, and a small word on either side that no dictionary has."""
    from_ = max(0, span.start - _LOOKS_BACK)
    if match := _INITIALS_BEFORE.search(text, from_, span.start):
        yield Span(match.start(), span.start, span.type, _TIER)
    is_firm = " and " in text[span.start : span.end]
    if is_firm and (match := _PARTNER_BEFORE.search(text, from_, span.start)):
        yield Span(match.start(), span.start, span.type, _TIER)
    words = name_lists().words
    if (match := _WORD_BEFORE.search(text, from_, span.start)) and match["word"].lower() not in words:
        yield Span(match.start(), span.start, span.type, _TIER)
    if (match := _WORD_AFTER.match(text, span.end)) and match["word"].lower() not in words:
        yield Span(span.end, match.end(), span.type, _TIER)


def _between(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """A word or a comma between two parts of an address, a partner between two others of a firm."""
    for left, right in pairwise(spans):
        is_address = left.type in _PLACES and right.type in _PLACES
        are_names = left.type in _NAMES and right.type in _NAMES
        if (is_address and _BETWEEN_PLACES.fullmatch(text, left.end, right.start)) or (
            are_names and _BETWEEN_PARTNERS.fullmatch(text, left.end, right.start)
        ):
            yield Span(left.end, right.start, left.type, _TIER)


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
        if match is None or covered[number] or not all(word[0].isupper() for word in match["line"].split()):
            continue
        if any(
            covered[beside] * 2 > len(lines[beside].strip())
            for beside in (number - 1, number + 1)
            if 0 <= beside < len(lines)
        ):
            yield Span(starts[number] + match.start("line"), starts[number] + match.end("line"), "NAME", _TIER)
