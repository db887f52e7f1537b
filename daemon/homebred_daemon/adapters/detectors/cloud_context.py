"""What only a text that leaves the house is masked for: years, times, ages of any height, further telephones.

For the cloud lane alone (tier 3); the tables of tier 1 hold what both lanes look for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cached_property

from homebred_daemon.adapters.detectors.checks import phone
from homebred_daemon.adapters.detectors.cloud_people import RULES as PEOPLE_RULES
from homebred_daemon.adapters.detectors.cloud_places import RULES as PLACE_RULES
from homebred_daemon.adapters.detectors.patterns import as_read
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
_PHONE_WORD = (
    r"(?i:phone|call|number|mobile|fax|reach|contact|dial|\btel\b|text me|voicemail|\bring\b|line|telefon|handy|anruf"
    r"|\brufen\b|rückruf|erreich|\bmobil|nummer|appel|joindre|portable|numéro|telefono|cellulare|móvil|llam|bellen|ringa"
    r"|whatsapp|\bsms\b|\bcell\b|pager)"
)
# Eight digits and more in groups that nothing but a telephone is written in.
_SURE_GROUPS = (
    r"(?:\d{3}[ .-]\d{3}[ .-]\d{4}|\d{3}[ -]\d{4}[ -]\d{4}|\d{4}[ -]\d{3}[ -]\d{3,4}|\d{2}[ -]\d{4}[ -]\d{4}"
    r"|0\d{1,4}[ ./-]{1,3}\d{2,4}(?:[ .-]\d{2,4}){0,4}|\d{2,3}(?:-\d{2,4}){2,4}"
    r"|\(\d{2,5}\) ?\d{2,4}(?:[ .-]?\d{2,4}){1,3}|\d{2}(?: \d{2}){4}|\d{3}/\d{3}[ -]?\d{2,4}(?:[ -]\d{2,4})?"
    r"|\d{2} \d{3} \d{2} \d{2})"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_ROUND = r"(?:\d{1,5}0[ -]){1,5}\d{1,5}0(?!\d)"  # a list of figures
_YEARS = r"(?:19|20)\d\d[ -](?:(?:19|20)\d\d|\d\d[ -]\d\d)\b"
_WEEKDAY = "(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|(?:Mon|Diens|Donners|Frei|Sams|Sonn)tag|Mittwoch|Sonnabend)"
RULES: tuple[tuple[str, str], ...] = (
    *PEOPLE_RULES,
    *PLACE_RULES,
    ("AGE", rf"(?<![\w.$€£-])(?<!\d,)\d{{1,3}}(?={_AGE_UNIT})"),
    ("AGE", r"(?i:\b(?:aged?|turn|turned|turns|turning|became|alter)\b)[ :=?|–-]{1,4}(?P<v>\d{1,3})(?![\w%]|[.,:-]\d)"),
    ("AGE", r"(?i:\bage[sd]?) (?:between |from )?(?P<v>\d{1,3}(?: ?(?:and|to|or|-|–) ?\d{1,3})?)(?![\w%]|[.,:]\d)"),
    ("AGE", rf"(?i:\b{_PERSON} of) (?P<v>1?\d{{1,2}})(?![\w%]|[.,:-]\d)"),
    ("AGE", rf"(?<![\w.-])(?<!\d,)1?\d{{1,2}}(?=[ -](?i:{_PERSON})\b|, ?(?:[MF]|{_STATUS})\b)"),
    ("AGE", rf"(?:\b[MF]|(?i:\b(?:fe)?male)|\b{_STATUS}),? (?P<v>1?\d{{1,2}})(?![\w%]|[.,:-]\d)"),
    ("AGE", r"(?<![\w.$€£-])(?<!\d,)1?\d{1,2} ?[-–] ?1?\d{1,2}(?=[ -](?:years?|yrs?)[ -]old)"),
    ("AGE", r"(?i:\b(?:older|younger|over|under|above|below)(?: than)?) (?P<v>1?\d{1,2})(?= years|[.,;!?](?!\d)|$)"),
    ("AGE", r"(?i:\bold\b[^.\n\d]{0,12}[?:]) ?(?P<v>1?\d{1,2})(?![\w%]|[.,:-]\d)"),
    ("AGE", rf"(?i:\b(?:his|her|my|their|our|your|early|mid|late))[ -](?P<v>(?:teens|{_TENS}ties))\b"),
    ("AGE", rf"(?i:\b{_NUMBER_WORD})(?=[ -]years?[ -](?:olds?|of age)\b)"),
    ("AGE", r"(?i:\bborn) (?P<v>\d{1,3}) years ago\b"),
    ("AGE", r"(?<![\w.-])(?<!\d,)\d{1,3}(?:st|nd|rd|th)(?= birthday\b)"),
    ("AGE", r"(?<=[^\W\d_])(?:, | \()(?P<v>1?\d{1,2})(?=[,)])(?!,\d)"),
    ("AGE", r"(?i:\bat) (?P<v>[1-9]\d)(?=[.,!?;](?!\d)|$| (?:I|he|she|we|they)\b)"),
    ("AGE", r"(?<![\w.-])(?<!\d,)\d{1,3}(?= ?(?:/ ?)?[MF]\b(?!-))"),
    ("AGE", rf"(?i:\b(?:{_WHO}|age of|ages|be|is|am|i'm|was))(?: {_HEDGE})? (?P<v>\d{{1,2}})(?={_AGE_END})"),
    ("AGE", r"(?i:\b(?:his|her|my|their|early|mid|late))[ -](?P<v>[1-9]0)'?s\b"),
    ("DATE", r"(?<![\w./$€£-])(?<!\d,)(?:19|20)\d\d(?:s|[-/](?:19|20)?\d\d)?(?![\w%]|[.,:/-]\d)"),
    ("DATE", r"\d{4}-\d\d-\d\d(?P<v>[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)"),
    ("DATE", rf"\b{_WEEKDAY}s?\b"),
    ("IDENTIFIER", r"(?<![\w-])[A-Za-z]{1,4}-?\d{6,20}(?!\w)"),
    ("PHONE", rf"(?<![\w./$€£-])(?<!\d,)(?<!\d ){_SURE_GROUPS}{_EXTENSION}(?![\w/-]|[.,]\d| \d)"),
    (
        "PHONE",
        (
            rf"(?<![\w./$€£-])(?<!\d,)(?!{_ROUND})(?!{_YEARS})(?=(?:[ -]?\d){{8,13}}(?!\d|[ -]\d))"
            r"\d{1,5}(?:[ -]\d{1,6}){1,5}(?![\w%/-]|[.,]\d)"
        ),
    ),
    (
        "DATE",
        (
            rf"(?<![\w./-])(?<!\d,)(?<![vV] ){_DAY}"
            rf"(?:([/-]){_DAY}\1(?:(?:19|20)\d\d|\d\d)|\.{_DAY}\.(?:19|20)\d\d)(?![\w/-]|[.,]\d)"
        ),
    ),
    (
        "IDENTIFIER",
        r"(?<![\w-])(?=[\w#-]{0,40}\d)(?=[\w#-]{0,40}[A-Z])[A-Z0-9#]{1,8}(?:-[A-Z0-9]{1,8}){3,5}(?![\w-])",
    ),
    ("PHONE", rf"(?<![\w./-])(?<!\d,)(?P<doubtful>{_DIGIT_GROUPS}){_EXTENSION}(?![\w-]|[.,]\d)"),
    ("PHONE", r"(?<![\w./$€£-])(?<!\d,)(?<!\d )\d{3}[ .-]\d{4}(?![\w-]|[.,]\d| \d)"),
    ("PHONE", r"(?<![\w./$€£-])(?<!\d,)1-8(?:00|88|77|66|55|44|33)-(?=[\w-]*[A-Z])[A-Z0-9-]{4,9}(?!\w)"),
    ("PHONE", r"(?<![\w)])\(\d{1,4}\)[ -]?\d{2,4}[ -]?\d{4,9}(?![\w-]|[.,]\d)"),
    ("IDENTIFIER", r"(?<![\w.$€£-])(?<!\d,)\d{7,20}(?<!000)(?![\w%]|[.,]\d)"),
)


# What a number behind one of these counts is no person: a book, a standard, a version.
_REFERENCE = re.compile(
    r"(?i:\b(?:isbn|issn|ean|gtin|rfc|iso|iec|din|ansi|ieee|astm|cve|version|release|firmware|build|ticket|issue|error|bug|sequence|series)"
    r"(?:-1[03])?[ :#.-]{0,3}(?:(?:no|nr|number|is|ist)\b[ :#.]{0,3})?)$"
)
_CALCULATED_BEFORE = re.compile(r"\d[ ]?[+*×÷^][ ]?$")
_CALCULATED_BEHIND = re.compile(r"[ ]?[+*=×÷^][ ]?\d")
_LOOKS_BACK = 24
_NUMBERS = frozenset({"PHONE", "DATE", "IDENTIFIER", "POSTCODE"})


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
        return tuple(self._found(as_read(text)))

    def _found(self, text: str) -> Iterator[Span]:
        speaks_of_phones = re.search(_PHONE_WORD, text) is not None
        for kind, pattern in self._compiled:
            group, is_doubtful = "v" if "v" in pattern.groupindex else 0, "doubtful" in pattern.groupindex
            if is_doubtful and not speaks_of_phones:
                continue
            for match in pattern.finditer(text):
                counts = kind in _NUMBERS and _counts_something(text, *match.span(group))
                if not counts and (not is_doubtful or phone(match.group())):
                    yield Span(*match.span(group), kind, _TIER)


def _counts_something(text: str, start: int, end: int) -> bool:
    """Whether a number names a document, a version or a term of a calculation."""
    before = max(0, start - _LOOKS_BACK)
    return (
        _REFERENCE.search(text, before, start) is not None
        or _CALCULATED_BEFORE.search(text, before, start) is not None
        or _CALCULATED_BEHIND.match(text, end) is not None
    )
