"""What only a text that leaves the house is masked for: years, times, ages of any height, military addresses.

For the cloud lane alone (tier 3); the tables of tier 1 hold what both lanes look for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cached_property

from homebred_daemon.adapters.detectors.checks import phone
from homebred_daemon.core.sensitivity import Span

_TIER = 3
_AGE_UNIT = (
    r"(?:[ -](?:years?|yrs?|y|months?|weeks?|days?)[ -](?:olds?|of age|young)"
    r"|(?:yrs?|y)\b(?! ?/)| (?:ans|años|anni|Jahren?|jaar|lat|år)\b"
    r"|[ -]?(?:y/o|yo|y\.o\.?|jährige?[rnms]?)(?!\w)| Jahre alt)"
)
_HEDGE = "(?:only|just|about|around|almost|nearly|now|already|over|under|turning)"
_AGE_END = (
    r"[,;!?)]|[.](?!\d)|$"
    r"| (?:and|but|or|now|today|at|when|who|so|this|next|years?|then|because|if|male|female|man|woman)\b"
)
_PERSON = "(?:man|woman|boy|girl|male|female|lady|gentleman|person|patient|child|kid|Mann|Frau|Kind)"
_ONES = "(?:one|two|three|four|five|six|seven|eight|nine)"
_TEENS = "(?:ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen)"
_TENS = "(?:twen|thir|for|fif|six|seven|eigh|nine)"
_STATUS = "(?:married|single|divorced|widowed|verheiratet|ledig)"
_NUMBER_WORD = rf"(?:{_TENS}ty(?:[ -]{_ONES})?|{_TEENS}|{_ONES})"
_WHO = (
    "(?:he|she|who|i|they|we|it|wife|husband|son|daughter|mother|father|patient)(?:'s|'m|'re| is| was| am| are| were)"
)
_DIGIT_GROUPS = r"\+?\(?\d{1,5}\)?(?:[ .\-/]{1,2}\(?\d{2,5}\)?){1,5}"
_EXTENSION = r"(?:,? ?(?:x|ext\.?) ?\d{1,6})?"
_POSTCODE = "(?:zip|postcode|post code|postal code|plz)(?: code)?"
_FILLER = "(?:(?i:is|was|to|of|number|for|it|the|my|new|our|your)[ :]{1,2}){0,4}"
_PHONE_WORD = r"(?i:phone|call|number|mobile|fax|reach|contact|dial|\btel\b|text me|voicemail|\bring\b|line)"
_WEEKDAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
RULES: tuple[tuple[str, str], ...] = (
    ("AGE", rf"(?<![\w.,$€£-])\d{{1,3}}(?={_AGE_UNIT})"),
    ("AGE", r"(?i:\b(?:aged?|turn|turned|turns|turning|became|alter)\b)[ :=?|–-]{1,4}(?P<v>\d{1,3})(?![\w%]|[.,:-]\d)"),
    ("AGE", r"(?i:\bage[sd]?) (?:between |from )?(?P<v>\d{1,3}(?: ?(?:and|to|or|-|–) ?\d{1,3})?)(?![\w%]|[.,:]\d)"),
    ("AGE", rf"(?i:\b{_PERSON} of) (?P<v>1?\d{{1,2}})(?![\w%]|[.,:-]\d)"),
    ("AGE", rf"(?<![\w.,-])1?\d{{1,2}}(?=[ -](?i:{_PERSON})\b|, ?(?:[MF]|{_STATUS})\b)"),
    ("AGE", rf"(?:\b[MF]|(?i:\b(?:fe)?male)|\b{_STATUS}),? (?P<v>1?\d{{1,2}})(?![\w%]|[.,:-]\d)"),
    ("AGE", r"(?<![\w.,$€£-])1?\d{1,2} ?[-–] ?1?\d{1,2}(?=[ -](?:years?|yrs?)[ -]old)"),
    ("AGE", r"(?i:\b(?:older|younger|over|under|above|below)(?: than)?) (?P<v>1?\d{1,2})(?= years|[.,;!?](?!\d)|$)"),
    ("AGE", r"(?i:\bold\b[^.\n\d]{0,12}[?:]) ?(?P<v>1?\d{1,2})(?![\w%]|[.,:-]\d)"),
    ("AGE", rf"(?i:\b(?:his|her|my|their|our|your|early|mid|late))[ -](?P<v>(?:teens|{_TENS}ties))\b"),
    ("AGE", rf"(?i:\b{_NUMBER_WORD})(?=[ -]years?[ -](?:olds?|of age)\b)"),
    ("AGE", r"(?i:\bborn) (?P<v>\d{1,3}) years ago\b"),
    ("AGE", r"(?<![\w.,-])\d{1,3}(?:st|nd|rd|th)(?= birthday\b)"),
    ("AGE", r"(?<=[a-z])(?:, | \()(?P<v>1?\d{1,2})(?=[,)])(?!,\d)"),
    ("AGE", r"(?i:\bat) (?P<v>[1-9]\d)(?=[.,!?;](?!\d)|$| (?:I|he|she|we|they)\b)"),
    ("AGE", r"(?<![\w.,-])\d{1,3}(?= ?(?:/ ?)?[MF]\b(?!-))"),
    ("AGE", rf"(?i:\b(?:{_WHO}|age of|ages|be|is|am|i'm|was))(?: {_HEDGE})? (?P<v>\d{{1,2}})(?={_AGE_END})"),
    ("AGE", r"(?i:\b(?:his|her|my|their|early|mid|late))[ -](?P<v>[1-9]0)'?s\b"),
    ("DATE", r"(?<![\w.,/$€£-])(?:19|20)\d\d(?:s|[-/](?:19|20)?\d\d)?(?![\w%]|[.,:/-]\d)"),
    ("DATE", r"\d{4}-\d\d-\d\d(?P<v>[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)"),
    ("DATE", rf"(?i:\b(?:meet|met|on|next|last|this|until|by|since))\s(?P<v>{_WEEKDAY})\b"),
    ("STREET_ADDRESS", r"(?i:\b(?:psc|unit|cmr) \d{1,5},? box \d{1,5}(?:\s{1,3}[adf]po,? a[aep],? \d{5}\b)?)"),
    ("STREET_ADDRESS", r"(?i:\b(?:the )?corner of )(?=[^\W\d_]|\d)"),
    ("STREET_ADDRESS", r"(?i:\b[adf]po,? a[aep],? \d{5})(?!\w)"),
    ("STREET_ADDRESS", r",\s{0,2}(?P<v>[A-Z]{1,3},?\s{1,4}\d{4,6}(?:-\d{4})?)(?!\w)"),
    ("IDENTIFIER", r"(?<![\w-])[A-Za-z]{1,4}-?\d{6,20}(?!\w)"),
    ("PHONE", rf"(?<![\w.,/-])(?P<doubtful>{_DIGIT_GROUPS}){_EXTENSION}(?![\w-]|[.,]\d)"),
    ("PHONE", r"(?<![\w.,/$€£-])(?<!\d )\d{3}[ .-]\d{4}(?![\w-]|[.,]\d| \d)"),
    ("PHONE", r"(?<![\w.,/$€£-])1-8(?:00|88|77|66|55|44|33)-(?=[\w-]*[A-Z])[A-Z0-9-]{4,9}(?!\w)"),
    ("PHONE", r"(?<![\w)])\(\d{1,4}\)[ -]?\d{2,4}[ -]?\d{4,9}(?![\w-]|[.,]\d)"),
    ("IDENTIFIER", r"(?<![\w.,$€£-])\d{7,20}(?<!000)(?![\w%]|[.,]\d)"),
    ("POSTCODE", r"(?i:\b(?:in|to|at|near|from|around)) (?P<v>\d{5})(?<!000)(?=[.,!?;](?!\d)|\s|$)"),
    ("POSTCODE", rf"(?i:\b{_POSTCODE})[ :#]{{1,3}}{_FILLER}(?P<v>(?=[\w-]{{0,9}}\d)[\w-]{{3,10}}(?: \d\w{{1,3}}\b)?)"),
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
        speaks_of_phones = re.search(_PHONE_WORD, text) is not None
        for kind, pattern in self._compiled:
            group, is_doubtful = "v" if "v" in pattern.groupindex else 0, "doubtful" in pattern.groupindex
            if is_doubtful and not speaks_of_phones:
                continue
            for match in pattern.finditer(text):
                if not is_doubtful or phone(match.group()):
                    yield Span(*match.span(group), kind, _TIER)
