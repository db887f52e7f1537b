"""What makes a name a firm's: a legal form behind it, partners beside it. It finds no name by itself.

For the cloud lane alone (tier 3); `growing` asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from homebred_daemon.core.sensitivity import Span

_TIER = 3
# s.r.o., d.o.o., S.p.A., Sp. z o.o. Sp.k.: small words between dots that are no abbreviation of a sentence.
DOTTED_FORM = r"(?!(?:e\.g|i\.e|a\.k|z\.B|u\.a|d\.h|o\.ä|i\.d|(?i:u\.s|[ap]\.m))\.)(?:[^\W\d_]{1,2}\.){2,5}"
UNDOTTED_FORM = (
    r"(?:Inc|Ltd|LLC|LLP|PLC|Corp|GmbH|AG|KG|KGaA|OHG|GbR|UG|mbH|eG|SE|SA|SAS|SARL|EURL|SNC|SCS|SpA|Srl|SL|SLU|BV|NV|VOF"
    r"|Oy|Oyj|[Rr]y|AB|HB|AS|ASA|ANS|A/S|ApS|K/S|I/S|Kft|Bt|Zrt|Nyrt|Kht|Rt|OÜ|UAB|SIA|Lda|Ltda|Pty|Pvt|PC|Sp\.k|Sp\. j"
    r"|Sp\. z|e\.K|e\. ?V|Şti|A\.Ş|Group|Holdings?)"
)
_KIN = r"(?:&|and|und|et|og|och|y|e) (?:[Cc]o|Cie|Sons?|Söhne|Partners?|Sønner|Söner|társa)\b\.?"
_FORM = re.compile(rf"(?:,? (?:{_KIN}|{DOTTED_FORM}|{UNDOTTED_FORM}(?!\w)\.?)){{1,4}}")
_PARTICLE = r"(?:(?:[Dd]e|[Vv]an|[Vv]on|der|den|la|le|di|da|du|del|zu) ){0,2}"
_PARTNERS = re.compile(
    rf" (?:&|och|og|és|et|y|e|i|en|ja|ve|and|und) {_PARTICLE}| ?& ?{_PARTICLE}"
    r"|, [\w'\u2019-]{2,15},? (?:and|&|und|og|och|és|e|et|y) "
)


def legal_form(text: str, span: Span) -> Iterator[Span]:
    """The legal form behind a name."""
    if match := _FORM.match(text, span.end):
        yield Span(span.end, match.end(), span.type, _TIER)


def joins_partners(text: str, start: int, end: int) -> bool:
    """Whether what stands between two names joins them to one firm."""
    return _PARTNERS.fullmatch(text, start, end) is not None
