"""When two spellings name the same person or thing: the keys under which a known name or code is kept and looked up.

Letters compare without case and accents and by how they sound (Meyer, Meier; Müller, Mueller, Muller), names in either
order, without their middle names, or by initial or title and family name. Codes compare without what separates their
parts. It keeps no list and searches no text: the gazetteer does.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import product
from typing import Final

MAX_WORDS: Final = 8
MIN_CODE: Final = 4
"""Letters and digits of the shortest code: shorter ones are everywhere."""
MIN_WORD: Final = 3
"""Letters of the shortest name of one word."""
NEAR_LETTERS: Final = 8
"""Letters of the shortest full name in which a wrong letter is overlooked."""

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"  # written without spaces: each is a word
_MARKS = "\u00ad\u0300-\u036f\u200b-\u200d\u2060"
WORD: Final = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+(?:[{_MARKS}]+[^\W_{_IDEOGRAPHS}]*)*")
"""A word of a name or a part of a code, with the invisible characters inside it."""

_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "a", "œ": "o", "\u0131": "i", "þ": "t"})
_SOUNDS = re.compile(r"ae|oe|ue|ai|ay|ey|ph|th|ck|dt|(?<=[^ ])h(?![^ ])")
_SOUND = {"ae": "a", "oe": "o", "ue": "u", "ai": "ei", "ay": "ei", "ey": "ei"}
_SOUND |= {"ph": "f", "th": "t", "ck": "k", "dt": "t", "h": ""}
_LIKE = str.maketrans("yczw", "iksv")
_DOUBLED = re.compile(r"([a-z])\1+")
_HYPHENS = re.compile("[-'\u2019\u2010\u2011]")
_HAS_DIGIT = re.compile(r"\d")

EXACT, SOUND, NEAR, PART, FAMILY, CODE = "=", "+", "?", "~", "@", "#"
"""First character of a key: a name of one word as it is written; a name as it sounds; one with a letter missing; a word
of a longer name; a family name; a code."""


def is_code(text: str) -> bool:
    """Whether it is compared as a code: what has a digit."""
    return _HAS_DIGIT.search(text) is not None


def folded(word: str) -> str:
    """The word without case, accents and invisible characters."""
    lowered = word.casefold()
    if lowered.isascii():
        return lowered
    plain = unicodedata.normalize("NFKD", lowered).translate(_LETTERS)
    return "".join(character for character in plain if character.isalnum()) or lowered


_HONORIFICS = """
    mr mrs ms miss mx dr doctor prof professor sir herr herrn frau fr hr monsieur madame mme m señor señora sr sra sig
    signora dhr mevr med rer nat phil jur dent ing habil
"""
_ROLES = "patient patientin client klient klientin kunde kundin customer student pupil schüler schülerin"
_PARTICLES = "van von de der den des la le di da del della dos du el al bin ibn ten ter zu zum zur"

HONORIFICS: Final = frozenset(map(folded, _HONORIFICS.split()))
ROLES: Final = frozenset(map(folded, _ROLES.split()))
"""What a family name may stand behind: an honorific always, a role where the name is written with a capital."""
PARTICLES: Final = frozenset(map(folded, _PARTICLES.split()))


def sounds(words: str) -> str:
    """Folded words, separated by spaces, as they sound: as many as before."""
    return _DOUBLED.sub(r"\1", _SOUNDS.sub(lambda found: _SOUND[found[0]], words).translate(_LIKE))


def letters(key: str) -> int:
    """How many letters a key's words have."""
    return len(key) - key.count(" ")


def shortened(key: str) -> Iterator[str]:
    """The key, and each that lacks one of its letters.

    Two words that differ in one letter, that lack one, or have two exchanged, share one of these (as in SymSpell,
    Garbe 2012).
    """
    yield key
    for at in range(len(key)):
        yield key[:at] + key[at + 1 :]


def keys(text: str) -> frozenset[str]:
    """Every key of a known name or code.

    Raises:
        ValueError: it would be found everywhere, or has too many words; the message does not quote it.
    """
    words = [folded(word) for word in WORD.findall(text)]
    if is_code(text):
        if len(joined := "".join(words)) < MIN_CODE:
            raise ValueError(f"a code has at least {MIN_CODE} letters and digits")
        return frozenset({CODE + joined})
    if len(words) > MAX_WORDS:
        raise ValueError(f"a name has at most {MAX_WORDS} words")
    if len(words) > 1:
        return frozenset(_full_name_keys(text, words))
    if not words or len(words[0]) < MIN_WORD:
        raise ValueError(f"a name of one word has at least {MIN_WORD} letters")
    return frozenset({EXACT + words[0]})


def _full_name_keys(text: str, words: list[str]) -> Iterator[str]:
    for spelling in (words, *_joined(text)):
        if len(spelling) == 1:
            yield EXACT + spelling[0]
            continue
        name = sounds(" ".join(spelling)).split(" ")
        yield from (PART + word for word in (*name, name[0][0]))
        yield from _name_keys(name)


def _name_keys(words: list[str]) -> Iterator[str]:
    first, last = words[0], words[-1]
    name, short = " ".join(words), f"{first} {last}"
    yield FAMILY + last
    for spelling in {name, short, f"{first[0]} {last}", " ".join((last, *words[:-1])), f"{last} {first}"}:
        yield SOUND + spelling
    for spelling in {name, short}:
        if letters(spelling) >= NEAR_LETTERS:
            yield from (NEAR + key for key in shortened(spelling))


def _joined(text: str) -> Iterator[list[str]]:
    """The name's folded words with its hyphens and apostrophes left out, each or none: Annalena, OBrien."""
    choices = [_spellings(word) for word in text.split()]
    if len(choices) <= MAX_WORDS:
        for choice in product(*choices):
            if words := [folded(word) for word in WORD.findall(" ".join(choice))]:
                yield words


def _spellings(word: str) -> tuple[str, ...]:
    return (word, _HYPHENS.sub("", word)) if _HYPHENS.search(word) else (word,)
