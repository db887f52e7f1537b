"""How much a redacted text may still give away: a number in [0, 1] for the escalation branch alone.

It finds no entities and raises no class (CONTRACT.md "Detection"): it counts what a stranger could still look up. It
does not call a text anonymous; a low figure says only that nothing conspicuous was left.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from homebred_daemon.core.sensitivity import Span, resolve
from homebred_daemon.core.vocabulary import WORDS
from homebred_protocol.documents.policy import RiskWeights

_ODD_DIGITS = 4  # CONTRACT.md: runs of four or more
_IDENTIFYING_DIGITS = 7  # an account, a record, a phone number: as telling as a code
_CODE_LENGTH = 4  # shorter ones are H2O and the like
_COMPOUND_LENGTHS = range(10, 41)  # shorter ones are too often surnames, longer ones are no words
_MASK = "\ufffc"  # stands for a span: not a word, so it never counts, but it keeps sentence beginnings where they were
_TOKEN = re.compile(r"\w+(?:[-'\u2019]\w+)*")
_BEGINS_SENTENCE = re.compile(r"(?:^|[.!?:;…•*#|\n])[\s\"'“”„«»()\[\]>*_#-]*$")
_ADDRESS = re.compile(
    r"\b(?:apt|apartment|suite|flat|p\.?o\.? box|postfach|wohnung|appartement)\b\.? ?(?:no\.? ?|nr\.? ?|# ?)?\d+"
    r"|\b\d{1,5}[a-z]?,? (?:[^\W\d_]+ ){1,3}(?:street|st|road|rd|avenue|ave|lane|drive|boulevard|blvd)\b"
    r"|\b[^\W\d_]{3,}(?:straße|strasse|gasse|allee) \d{1,4}\b|\b(?:rue|avenue|place) (?:de |du |des )[^\W\d_]{3,}",
    re.IGNORECASE,
)
_QUANTITY = re.compile(r"\d{1,6}[^\W\d_]{1,4}")  # 10kg, 250mm, 3rd, 24h
_SHORT_LABEL = re.compile(r"[A-Za-z]{1,4}-?\d{1,2}|\d[A-Z]")  # Q3, B12, GPT-4, 5G
_COMMON_ENDING = re.compile(
    r".{4,}(?:tion|tions|sion|ment|ments|ness|ity|ism|ship|ology|graphy|able|ible|ful|less"
    r"|ung|ungen|heit|keit|keiten|schaft|tät|ismus)"
)
# Without "er": Miller, Baker and Walker are names first when they stand capitalised.
_ENDINGS = (
    *(("s", ""), ("es", ""), ("ies", "y"), ("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e")),
    *(("ly", ""), ("al", ""), ("en", "")),
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_STANDARD = re.compile(r"\b(?:ISO|IEC|EN|DIN|IEEE|RFC|ASTM)[ /-]$")
_VOWELS = frozenset("aeiouyäöüàâéèêëîïôûœæ")


def residual_risk(text: str, spans: Iterable[Span], weights: RiskWeights) -> float:
    """1 - Π(1 - w) over the distinct suspicious tokens outside the spans (CONTRACT.md "Detection"), to 12 decimals."""
    shown = _without(text, spans)
    kept = 1.0
    for _token, weight in sorted(dict(_suspicious(shown, weights)).items()):
        kept *= 1.0 - weight
    return round(1.0 - kept, 12)


def _without(text: str, spans: Iterable[Span]) -> str:
    pieces: list[str] = []
    shown_from = 0
    for span in resolve(spans):
        pieces += (text[shown_from : span.start], _MASK)
        shown_from = span.end
    return "".join((*pieces, text[shown_from:]))


def _suspicious(shown: str, weights: RiskWeights) -> Iterator[tuple[str, float]]:
    """(Token in lower case, its weight), the heaviest reading of a token last so that it is the one that counts."""
    written_small = {word for word in _TOKEN.findall(shown) if word.islower()}
    halves: list[tuple[str, float]] = []
    fulls: list[tuple[str, float]] = []
    for match in _TOKEN.finditer(shown):
        token = match.group()
        if _is_code(token):
            fulls.append((token.lower(), weights.rare))
        elif any(char.isdigit() for char in token):
            if _is_odd_number(token, shown[max(0, match.start() - 6) : match.start()]):
                fulls.append((token.lower(), weights.digits))
        elif _is_unknown_name(token, written_small):
            begins = _BEGINS_SENTENCE.search(shown, max(0, match.start() - 12), match.start())
            (halves if begins else fulls).append((token.lower(), weights.capitalised / (2 if begins else 1)))
    yield from halves
    yield from fulls
    for match in _ADDRESS.finditer(shown):
        yield match.group().lower(), weights.address


def _is_code(token: str) -> bool:
    """A part or record code, a long number, or a word nobody could pronounce."""
    parts = re.split(r"[-'\u2019_]", token)
    if any(part.isdigit() and len(part) >= _IDENTIFYING_DIGITS for part in parts):
        return True
    if any(char.isdigit() for char in token):
        plain = token.isdigit() or _SHORT_LABEL.fullmatch(token) or all(map(_is_plain_part, parts))
        return not plain and len(token) >= _CODE_LENGTH
    return any(map(_is_unpronounceable, parts))


def _is_plain_part(part: str) -> bool:
    """A word, a quantity, a short label or a short number inside a token such as `COVID-19` or `3-year`."""
    if part.isdigit():
        return len(part) < _ODD_DIGITS or _YEAR.fullmatch(part) is not None
    if part.isalpha():
        return _is_known(part.lower()) or part.islower()
    return bool(_QUANTITY.fullmatch(part) or _SHORT_LABEL.fullmatch(part))


def _is_unpronounceable(part: str) -> bool:
    if len(part) < 10 or not part.isalpha() or not part.isascii() or _is_known(part.lower()):  # noqa: PLR2004 - "Schwyz"
        return False
    vowels = sum(char in _VOWELS for char in part.lower())
    switches = sum(left.islower() and right.isupper() for left, right in itertools.pairwise(part))
    return vowels * 6 < len(part) or switches > 2  # noqa: PLR2004 - more humps than a product name has


def _is_odd_number(token: str, before: str) -> bool:
    """Four digits or more that are no year, no round figure, no decimals and no standard such as ISO 9001."""
    if (before[-1:] in {".", ","} and before[-2:-1].isdigit()) or _STANDARD.search(before):
        return False
    runs = (run for run in re.findall(r"\d+", token) if len(run) >= _ODD_DIGITS)
    return any(not _YEAR.fullmatch(run) and not run.endswith("00") for run in runs)


def _is_unknown_name(token: str, written_small: set[str]) -> bool:
    for part in re.split(r"[-'\u2019]", token):
        word = part.lower()
        if len(part) > 1 and part[0].isupper() and word not in written_small and not _is_known(word):
            return True
    return False


def _is_known(word: str) -> bool:
    """Whether the vocabulary has the word, its stem or both its halves, or it ends as only common words do."""
    if any(stem in WORDS for stem in _stems(word)) or _COMMON_ENDING.fullmatch(word):
        return True
    cuts = range(4, len(word) - 3) if len(word) in _COMPOUND_LENGTHS else ()  # mostly German: Marktanalyse
    return any(word[:cut] in WORDS and any(stem in WORDS for stem in _stems(word[cut:])) for cut in cuts)


def _stems(word: str) -> Iterator[str]:
    yield word
    for ending, instead in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 2:  # noqa: PLR2004 - "do" is not the stem of "Does"
            yield stem + instead
            if stem[-1] == stem[-2]:
                yield stem[:-1]  # planning
