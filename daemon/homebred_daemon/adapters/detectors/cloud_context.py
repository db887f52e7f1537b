"""What only a text that leaves the house is masked for: years, times, ages of any height, military addresses.

For the cloud lane alone (tier 3); the tables of tier 1 hold what both lanes look for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cached_property

from homebred_daemon.core.sensitivity import Span

_TIER = 3
_AGE_UNIT = (
    r"(?:[ -](?:years?|yrs?|months?|weeks?)[ -](?:old|of age)|[ -]?(?:y/o|yo|y\.o\.|jährige?[rnms]?)\b| Jahre alt)"
)
_WEEKDAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
RULES: tuple[tuple[str, str], ...] = (
    ("AGE", rf"(?<![\w.,$€£-])\d{{1,3}}(?={_AGE_UNIT})"),
    ("AGE", r"(?i:\b(?:aged?|turned|turns|turning|alter)\b)[ :=]{1,3}(?P<v>\d{1,3})(?![\w%]|[.,:-]\d)"),
    ("AGE", r"(?<![\w.,-])\d{1,3}(?= ?(?:/ ?)?[MF]\b(?!-))"),
    ("AGE", r"(?i:\b(?:is|i'm|i am|was|are)) (?P<v>\d{1,2})(?= and\b|[,.!](?!\d)|$)"),
    ("DATE", r"(?<![\w.,/$€£-])(?:19|20)\d\d(?:s|[-/](?:19|20)?\d\d)?(?![\w%]|[.,:/-]\d)"),
    ("DATE", r"\d{4}-\d\d-\d\d(?P<v>[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)"),
    ("DATE", rf"(?i:\b(?:meet|met|on|next|last|this|until|by|since))\s(?P<v>{_WEEKDAY})\b"),
    ("STREET_ADDRESS", r"(?i:\b(?:psc|unit|cmr) \d{1,5},? box \d{1,5}(?:\s{1,3}[adf]po,? a[aep],? \d{5}\b)?)"),
    ("STREET_ADDRESS", r"(?i:\b(?:the )?corner of )(?=[^\W\d_]|\d)"),
    ("STREET_ADDRESS", r"(?i:\b[adf]po,? a[aep],? \d{5})(?!\w)"),
    ("STREET_ADDRESS", r",\s{0,2}(?P<v>[A-Z]{1,3},?\s{1,4}\d{4,6}(?:-\d{4})?)(?!\w)"),
    ("IDENTIFIER", r"(?<![\w-])[A-Za-z]{1,4}-?\d{6,20}(?!\w)"),
    ("PHONE", r"(?i:number|phone|mobile|registered|tel)\b[ .:#]{1,3}(?P<v>\d{3}[ -]\d{4})(?![\w-])"),
    ("POSTCODE", r"(?i:\b(?:zip|postcode|post code|postal code|plz))[ :]{1,3}(?P<v>[\w-]{3,10}(?: \d\w{2})?)"),
)


class CloudContext:
    """`Detector` on a few patterns."""

    entity_types = frozenset(kind for kind, _ in RULES)

    @cached_property
    def digest(self) -> str:
        """`sha256:…` over the patterns; whatever else there is."""
        return f"sha256:{hashlib.sha256(repr(RULES).encode()).hexdigest()}"

    @cached_property
    def _compiled(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        return tuple((kind, re.compile(pattern)) for kind, pattern in RULES)

    def detect(self, text: str) -> tuple[Span, ...]:
        """Every span found, rule by rule."""
        return tuple(self._found(text))

    def _found(self, text: str) -> Iterator[Span]:
        for kind, pattern in self._compiled:
            group = "v" if "v" in pattern.groupindex else 0
            for match in pattern.finditer(text):
                yield Span(*match.span(group), kind, _TIER)
