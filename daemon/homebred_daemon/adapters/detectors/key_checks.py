"""Whether a value could be a key or a password: randomness, and what programs and manuals write in its place.

It knows no format. A value is generated where digits, letters and cases alternate as they do by chance and no common
word stands in it. No measure tells a short key from a name for certain: rules for those ask for a label.
"""

from __future__ import annotations

import binascii
import math
import re
from collections import Counter
from itertools import pairwise

from homebred_daemon.core.vocabulary import WORDS

_PLACEHOLDER = re.compile(
    r"[*x.•_-]+|[<\[{(].*|[$%][{(].*|%\w+%|[$%](?-i:[A-Z_][A-Z0-9_]*|[a-z_][a-z0-9_]*)"
    r"|(?:null|none|true|false|undefined|required|optional|missing|invalid|incorrect|expired|reset"
    r"|forgotten|wrong|protected|example|placeholder|redacted|changeme|your[_-].*|my[_-](?:password|secret|key|token))",
    re.IGNORECASE,
)
_FILLERS = ("xxxxx", "XXXXX", "***", "...")
_STAND_INS = ("placeholder", "redacted", "changeme", "your_", "your-")
_CODE_REFERENCE = re.compile(r"[A-Za-z_]+(?:\.[A-Za-z_]+)*(?:\(.*|\[.*)?|[A-Za-z_]\w*(?:\.\w+)+\(.*")
_PATH_OR_NAME = re.compile(r"\.{1,2}/.*|/[a-z]{3,}/.*|(?:[A-Za-z]+_)+(?:pass|password|passwd|pwd)")
_LETTERS = re.compile(r"[A-Z][a-z]{3,}|[a-z]{4,}|[A-Z]{4,}(?![a-z])")  # a word of an identifier, in camel case too
_CONSONANTS = re.compile("[b-df-hj-np-tv-xz]{5}", re.IGNORECASE)

_WORDLIKE_BITS = 2.5  # entropy of a short word; "hunterkey" has more
_GENERATED_BITS = 2.75  # random hexadecimal has 3.5 in 32 digits, and one value in a million so few
_RANDOM_BITS = 4.3  # 32 random characters of base64
_SHORT = 32  # characters: below, chance alone brings the entropy under 3 bits
_NAME_SHARE = 1 / 3  # of common words in a name; chance brings four letters of them into one key in a hundred
_LETTERS_NAME_SHARE = 1 / 4
_LETTERS_ALONE = 14  # characters: the shortest key of letters alone that is told from a word


def entropy_bits(value: str) -> float:
    """Shannon entropy of the characters, bits per character."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())


def has_letter_and_digit(value: str) -> bool:
    """Not a plain number, not a plain word."""
    return any(char.isdigit() for char in value) and any(char.isalpha() for char in value)


def issued(value: str) -> bool:
    """Behind a vendor's prefix: not the stand-in that a manual prints there."""
    small = value.lower()
    return not any(filler in value for filler in _FILLERS) and not any(word in small for word in _STAND_INS)


def password(value: str) -> bool:
    """No placeholder, no reference to a variable, and not a plain word."""
    if _PLACEHOLDER.fullmatch(value) or _PATH_OR_NAME.fullmatch(value):
        return False
    if any(sign in value for sign in "([.") and _CODE_REFERENCE.fullmatch(value):
        return False
    return not value.isalpha() or (value.lower() not in WORDS and entropy_bits(value) > _WORDLIKE_BITS)


def spoken_password(value: str) -> bool:
    """As `password`, behind "is", where a plain word only goes on with the sentence."""
    return not value.replace("-", "").replace("_", "").isalpha() and password(value)


def key(value: str) -> bool:
    """A generated key, behind a word that says so: no words, and more entropy than words have."""
    if not password(value) or not issued(value) or _worded_share(value) >= _NAME_SHARE:
        return False
    if not has_letter_and_digit(value):
        return _is_letters_by_chance(value)
    return entropy_bits(value) > (_GENERATED_BITS if len(value) >= _SHORT else _WORDLIKE_BITS)


def generated(value: str) -> bool:
    """As `key`, where only a weaker word says so: letters, digits and cases alternate as in random text."""
    return _alternates(value) and key(value)


def generated_behind_a_dot(value: str) -> bool:
    """As `generated`, of what follows the first dot."""
    return generated(value.partition(".")[2])


def encoded(value: str) -> bool:
    """Base64, and no plain word or name: padded, with small letters, capitals and digits, or of readable text."""
    if value.endswith("=") or all(any(map(kind, value)) for kind in (str.isupper, str.islower, str.isdigit)):
        return True
    meant = binascii.a2b_base64(value)
    return meant.isascii() and meant.decode().isprintable()


def vendor_key(value: str) -> bool:
    """As `key`, beside the name of a vendor, some of which issue plain numbers."""
    return key(value) or (value.isdigit() and len(set(value)) > 3)  # noqa: PLR2004 - a round number has fewer digits


def bare_key(value: str) -> bool:
    """Random enough to be a key without anybody saying so; digests, identifiers and blocks of lines are not."""
    if value.startswith("sha") or any(map(str.isspace, value)):
        return False
    if any(sum(map(kind, value)) < 3 for kind in (str.isupper, str.islower, str.isdigit)):  # noqa: PLR2004 - base64 has more
        return False
    switches = sum(a.isdigit() != b.isdigit() or a.isupper() != b.isupper() for a, b in pairwise(value))
    return switches * 3 > len(value) and entropy_bits(value) > _RANDOM_BITS


def _alternates(value: str) -> bool:
    """A digit meets a letter, or a capital follows a small letter, once in ten characters; or nobody could say it."""
    switches = sum(
        a.isdigit() != b.isdigit() or (a.islower() and b.isupper())
        for a, b in pairwise(value)
        if a.isalnum() and b.isalnum()
    )
    return switches * 10 >= len(value) or _CONSONANTS.search(value) is not None


def _worded_share(value: str) -> float:
    """How much of it common words make up."""
    return sum(len(word) for word in _LETTERS.findall(value) if word.lower() in WORDS) / len(value)


def _is_letters_by_chance(value: str) -> bool:
    """Letters without a digit, as one short key in thirty has them."""
    if len(value) < _LETTERS_ALONE or not any(map(str.isalpha, value)):
        return False
    if value.islower() or value.isupper():
        small = value.lower()
        return value.isalpha() and not any(
            small[at : at + length] in WORDS for length in range(4, 10) for at in range(len(small) - length + 1)
        )
    return _alternates(value) and _worded_share(value) < _LETTERS_NAME_SHARE
