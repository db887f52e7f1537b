"""What surrounds a place that was found and belongs to its address: house numbers, flats, postcodes, lines below.

For the cloud lane alone (tier 3), over spans that others found; `growing` asks. It finds no place by itself, and reads
no more than a line or two on either side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from homebred_daemon.adapters.detectors.shapes import one_of
from homebred_daemon.core.sensitivity import Span

_TIER = 3
_LOOKS_BACK = 60
_LONG_WAY = one_of(
    r"rue via avenida calle rua strada piazza plaza plaça avenue allée chemin quai impasse boulevard viale vicolo corso"
    r" largo contrada borgo travessa praça alameda estrada camino paseo carrer bulevardul aleea aleja ulica ulice trg"
    r" ul\. al\. os\. ул\. пр\."
)
_WAY = rf"(?:{_LONG_WAY}|av\.?|ave\.?|bd\.?|c\.?|r\.?|cl\.?)"
_WAY_BEHIND = one_of(
    "street str st road rd avenue ave lane ln drive dr boulevard blvd way court ct square sq place utca u"
)
_OF = r"(?:(?:d[eiou]|du|d[ao]s|des|del|della|da|do|la|le|l')\b[ ']?){0,2}"
_PART_WORD = (
    r"(?:flat|unit|lot|house|block|floor|level|room|studio|plot|shop|apt\.?|apartment|suite|road|no\.?|nr\.?|h\. ?no\.?"
    r"|hno\.?|building|bldg\.?|staircase|piano|scala|interno|appartamento|piso|puerta|appartement|appt\.?|bâtiment|top"
    r"|stiege|tür|wohnung|wng\.?|po box|p\.o\. box|rd)"
)
_PART = rf"(?:{_PART_WORD} ?#?\w{{1,5}}[,/ \n]{{1,3}})"
_NUMBER = r"(?:\d{1,6}[a-z]?[ \t]{1,2}|\d{1,5}[a-z]?/\d{1,5}[a-z]?,?[ \t]{1,2}|\d{1,5}/|\d{1,5}\n)"
_CODE = (
    r"(?:[A-Z]{1,3}-\d{4,6}|\d{4} ?[A-Z]{2}|\d{2,3}[ -]\d{2,3}"
    r"|[A-Za-z]{1,2}\d[A-Za-z\d]? ?\d[A-Za-z]{2}|[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d"
    r"|[A-Za-z]\d[\dWw] ?(?=[A-Za-z]{0,3}\d)[A-Za-z\d]{4})"
)
_BEFORE = re.compile(
    rf"(?<![\w.,/$€£-])"
    rf"(?i:{_PART}{{1,3}}{_NUMBER}{{0,2}}|{_NUMBER}{{1,2}}(?:{_WAY}[ \t]{_OF})?|{_LONG_WAY}[ \t]{_OF})$"
    rf"|(?<![\w.,/$€£-]){_CODE},?[ \t]{{1,2}}$|(?<!\w)(?i:c)\. (?:de (?:l[ao]s? )?)?$"
)
_FLAT_BEFORE = re.compile(rf"(?<![\w.,/$€£-])(?i:{_PART}{{1,3}}{_NUMBER}{{0,2}})$")
_LABEL_BEFORE = re.compile(rf"(?<![\w.])(?i:{_PART_WORD}|po)[ ]{{0,2}}#?$")
_HOUSE_AFTER = re.compile(
    r"(?i:,?[ ](?:n[ºr]?\.? ?|no\.? ?)\d{1,4}[a-z]?(?!\w)|, ?s/n(?!\w)"
    rf"|,?[ \n]{_PART_WORD}[ ]#?\d{{1,4}}[a-z]?(?!\w))"
)
_STAIR_AFTER = re.compile(r"/\d{1,5}[a-z]?(?![\w/]|[.,]\d)")
_CODE_AFTER = re.compile(
    r"(?:[ \t]{0,2},?[ \t]{0,2}\n?[ \t]{0,8},?[ \t]{0,2}"
    rf"(?:{_CODE}|\d{{2,6}}(?:-\d{{3,4}})?|[A-Z]{{2,3}}|\([A-Za-z]{{2}}\))(?![\w%]|[.,:]\w))+"
)
_LINE_WORD = r"(?:(?![a-z])[^\W_][\w'\u2019.-]{0,30})"
_LINES_BELOW = re.compile(
    r"(?:[ \t]{0,2},?[ \t]{0,2}\n\n?[ \t]{0,8}"
    rf"(?:{_LINE_WORD}(?:,?[ -]{_LINE_WORD}){{0,3}}[ \t]{{0,2}}(?=,|\n|$)"
    r"|,[ ]?[A-Za-z]{2,3}(?!\w)|\d{4,6}(?!\w))){1,4}"
)
_BETWEEN = re.compile(
    r"[ \t]{0,2},?[ \t\n]{1,8}(?:[\w'\u2019-]{1,12}[ \t,\n]{1,4})?"
    rf"|[ ](?:\w{{1,12}}[ ])?{_WAY_BEHIND}[ ]"
    r"|(?=[^\d\n]{0,15}\d)[/ ,]{0,2}(?:[\wºª°./-]{1,8}[ ,\n]{1,2}){1,3}"
)
_HOUSE_BETWEEN = re.compile(r",? (?:[^\W\d_]{2,16} )?\d{1,4}[a-z]?(?:/\d{1,4}[a-z]?)?[.,]?[ \n]{1,2}")


def flat_before(text: str, span: Span) -> Iterator[Span]:
    """The flat, plot or floor before a street that is called after a person."""
    if match := _FLAT_BEFORE.search(text, max(0, span.start - _LOOKS_BACK), span.start):
        yield Span(match.start(), span.start, "STREET_ADDRESS", _TIER)


def beside(text: str, span: Span) -> Iterator[Span]:
    """Numbers before a place, what is left of a street behind it, the line below, a state or postcode."""
    behind = max(0, span.start - _LOOKS_BACK)
    if match := _BEFORE.search(text, behind, span.start) or _LABEL_BEFORE.search(text, behind, span.start):
        yield Span(match.start(), span.start, span.type, _TIER)
    end = span.end
    has_number = any(map(str.isdigit, text[span.start : span.end]))
    if has_number and (match := _STAIR_AFTER.match(text, end)):
        yield Span(end, match.end(), span.type, _TIER)
        end = match.end()
    while match := _HOUSE_AFTER.match(text, end):
        yield Span(end, match.end(), span.type, _TIER)
        end, has_number = match.end(), True
    if (span.type == "STREET_ADDRESS" or has_number) and (match := _LINES_BELOW.match(text, end)):
        yield Span(end, match.end(), span.type, _TIER)
        end = match.end()
    if match := _CODE_AFTER.match(text, end):
        yield Span(end, match.end(), span.type, _TIER)


def fills(text: str, start: int, end: int) -> bool:
    """Whether what stands between two parts of an address is a part of it too: a word, a comma, a house number."""
    return _BETWEEN.fullmatch(text, start, end) is not None


def is_house(text: str, start: int, end: int) -> bool:
    """Whether what stands between a name and a postcode is a house number: then the name is a street's."""
    return _HOUSE_BETWEEN.fullmatch(text, start, end) is not None
