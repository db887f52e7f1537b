"""Reversible pseudonyms: what is sensitive leaves as tokens, and at home the answer gets it back.

A token looks like ⟦person:k7f2m9qd4⟧: the entity type, 40 bits of an HMAC under the session's key, a check character.
The same value has the same token within a session and another one in every other. It does not find anything, and what
may leave is decided elsewhere; no I/O.

An answer comes from a stranger, who may have been told what to write. So a value is put back only where it is read:
inside a link or an HTML tag it could be carried out by whatever shows the answer, and is withheld there.
"""

from __future__ import annotations

import hmac
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from enum import Enum
from typing import Final

from homebred_daemon.core.sensitivity import Span, stretches

OPEN: Final = "⟦"
CLOSE: Final = "⟧"
"""What opens and closes a token: mathematical brackets, which hardly any text has and language models copy."""
ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: no letter is taken for a digit."""
VALUE_CHARACTERS: Final = 8
"""Of 5 bits each: 40 bits."""
KEY_BYTES: Final = 32
WITHHELD: Final = "[withheld]"
"""Stands in an answer where a value may not."""

_TOKEN: Final = re.compile(rf"{OPEN}[a-z0-9_]+:[{ALPHABET}]{{{VALUE_CHARACTERS + 1}}}{CLOSE}")
_NAME: Final = "name"
_MARK: Final = "mark"
"""Type of a token that stands for an opening bracket which was in the text before."""
_SPELT: Final = r"\\/|\\u00(?:2e|2f|3a|3c)|%(?:2f|3a|40)|&(?:#|sol|colon|period|lt)"
"""How the marks of a link are written where something else reads the answer before it is shown."""
_FETCHED: Final = r"\b(?:href|src|srcset|action|formaction|background|poster|url)\s?[=(]"
"""Attributes that something is fetched by, whatever their tag is written like."""
_LINK: Final = re.compile(
    rf"//|\]\(|\bwww\.|\b(?:mailto|data|javascript):|[a-z0-9-]\.[a-z]{{2,}}[:/?#]|{_SPELT}|{_FETCHED}", re.IGNORECASE
)
_TURNS_INTO_LINK: Final = re.compile(r"[.@][a-z0-9]|//", re.IGNORECASE)
"""After a value in the same word: Smith.example.org is a link for many programs."""
_WORD_TAIL: Final = 80
"""Characters of a word that are kept to recognise a link by: more than the longest last label of a host name."""


def without_tokens(text: str) -> str:
    """The text with all that has a token's shape left out: in a masked text nothing but a token has it."""
    return _TOKEN.sub(OPEN + CLOSE, text)


class TokenError(Exception):
    """The answer has a token that was never issued, or was altered or cut off: nothing more of it may be shown."""


class Pseudonyms:
    """The tokens of one session. One thread at a time."""

    def __init__(self, key: bytes) -> None:
        """Takes a random key of KEY_BYTES that is kept in memory only. Raises ValueError for a shorter one."""
        if len(key) < KEY_BYTES:
            raise ValueError(f"a session's key has {KEY_BYTES} bytes")
        self._key = key
        self._tokens: dict[tuple[str, str], str] = {}
        self._values: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def token(self, type_: str, value: str) -> str:
        """The value's token, which no other value of the session has."""
        issued = self._tokens.get((type_, value))
        if issued is not None:
            return issued
        attempt = 0
        while (token := self._candidate(type_, value, attempt)) in self._values:
            attempt += 1
        self._tokens[type_, value] = token
        self._values[token] = value
        return token

    def masked(self, text: str, spans: Iterable[Span]) -> str:
        """The text with each resolved span as its token.

        An opening bracket of the text's own becomes a token too, so that nothing else looks like one.
        """
        return "".join(
            self._unmarked(stretch) if span is None else self.token(span.type.lower(), stretch)
            for stretch, span in stretches(text, spans)
        )

    def alias(self, name: str) -> str:
        """What stands for a name of letters, digits and `_`, made of the same; always the same one."""
        bare = self.token(_NAME, name).partition(":")[2].removesuffix(CLOSE)
        self._names[f"{_NAME}_{bare}"] = name
        return f"{_NAME}_{bare}"

    def name(self, alias: str) -> str:
        """The name that an alias stands for; what is none stands for itself."""
        return self._names.get(alias, alias)

    def masked_types(self) -> Counter[str]:
        """How many values were masked, by entity type."""
        return Counter(type_.upper() for type_, _ in self._tokens if type_ not in {_NAME, _MARK})

    def restorer(self, *, may_show: bool = True) -> Restorer:
        """Puts the values that were issued until now back into one answer, or with False, WITHHELD for each."""
        return Restorer(dict(self._values), may_show=may_show)

    def _unmarked(self, text: str) -> str:
        return text.replace(OPEN, self.token(_MARK, OPEN)) if OPEN in text else text

    def _candidate(self, type_: str, value: str, attempt: int) -> str:
        digest = self._digest(f"{type_}\0{attempt}\0{value}".encode(errors="surrogatepass"))
        bits = int.from_bytes(digest[:5], "big")
        numbers = [bits >> 5 * place & 31 for place in range(VALUE_CHARACTERS)]
        characters = "".join(ALPHABET[number] for number in (*numbers, check_number(numbers)))
        return f"{OPEN}{type_}:{characters}{CLOSE}"

    def _digest(self, message: bytes) -> bytes:
        return hmac.digest(self._key, message, "sha256")


def check_number(numbers: Iterable[int]) -> int:
    """The check character's number by the Luhn algorithm modulo 32: every single wrong character shows."""
    total = 0
    for place, number in enumerate(reversed(list(numbers))):
        weighted = number * (2 - place % 2)
        total += weighted // 32 + weighted % 32
    return -total % 32


class Restorer:
    """One answer as it streams in: `feed` its pieces, then `finish`. What was given out is never taken back.

    It holds back nothing but the beginning of an issued token. After a TokenError it gives out nothing more.
    """

    def __init__(self, values: dict[str, str], *, may_show: bool = True) -> None:
        self._values = values
        self._sorted = sorted(values)
        self._bare = [token.rpartition(":")[2].removesuffix(CLOSE) for token in values]
        self._held = ""
        self._tail = ""
        """The last characters that were no token, to find bare ones in however they were split."""
        self._place = _Place(may_show=may_show)
        self._has_failed = False

    @property
    def withheld(self) -> int:
        """How often WITHHELD was given out."""
        return self._place.withheld

    def feed(self, piece: str) -> str:
        """What can be shown now. Raises TokenError."""
        self._held += piece
        return self._shown(is_last=False)

    def finish(self) -> str:
        """What is left to be shown. Raises TokenError where the answer ends inside a token."""
        return self._shown(is_last=True)

    def _shown(self, *, is_last: bool) -> str:
        if self._has_failed:
            raise TokenError
        try:
            return "".join(iter(lambda: self._next(is_last=is_last), None))
        except TokenError:
            self._has_failed, self._held = True, ""
            raise

    def _next(self, *, is_last: bool) -> str | None:
        """The next stretch to be shown; None: there is none yet."""
        text, opening, rest = self._held.partition(OPEN)
        if text:
            self._held = opening + rest
            self._refuse_bare(text)
            return self._place.text(text)
        if not opening:
            return None
        token = self._held[: self._held.find(CLOSE) + 1]
        if not token:
            if is_last or not self._is_beginning(self._held):
                raise TokenError
            return None
        value = self._values.get(token)
        if value is None:
            raise TokenError
        self._held, self._tail = self._held[len(token) :], ""
        return self._place.text(value) if value == OPEN else self._place.value(value)

    def _is_beginning(self, text: str) -> bool:
        at = bisect_left(self._sorted, text)
        return at < len(self._sorted) and self._sorted[at].startswith(text)

    def _refuse_bare(self, text: str) -> None:
        """A token that lost its brackets, its type or its case is one that was altered."""
        joined = (self._tail + text).lower()
        if any(bare in joined for bare in self._bare):
            raise TokenError
        self._tail = joined[-VALUE_CHARACTERS:]


class _Within(Enum):
    TEXT = ""
    TAG = "<"
    SINGLE_QUOTES = "'"
    DOUBLE_QUOTES = '"'


class _Place:
    """Where in an answer one is: in what is read, or in something that whoever shows it may fetch.

    `text` and `value` say what to show of what comes next.
    """

    def __init__(self, *, may_show: bool) -> None:
        self.withheld = 0
        self._may_show = may_show
        self._within = _Within.TEXT
        self._after_bracket = False
        self._word = ""
        """The end of the word so far."""
        self._since_value: str | None = None
        """The same since a value was put into the word; None: none was."""
        self._is_link = False
        self._is_cut = False
        """Whether the rest of the word is not shown."""

    def value(self, value: str) -> str:
        """A value, where it can only be read."""
        is_in_markup = self._after_bracket or self._within is not _Within.TEXT
        if not self._may_show or self._is_link or self._is_cut or is_in_markup:
            return self._withhold()
        self._since_value = ""
        self._word += "x"
        return value

    def text(self, text: str) -> str:
        """Text of the answer's own, but for the rest of a word that would make a value part of a link."""
        return "".join(map(self._character, text))

    def _character(self, character: str) -> str:
        self._follow_tag(character)
        if character.isspace():
            self._word, self._since_value, self._is_link, self._is_cut = "", None, False, False
            return character
        if self._is_cut:
            return ""
        self._word = (self._word + character)[-_WORD_TAIL:]
        self._is_link = self._is_link or _LINK.search(self._word) is not None
        if self._since_value is not None:
            self._since_value = (self._since_value + character)[-2:]
            if _TURNS_INTO_LINK.search(self._since_value):
                self._is_cut = True
                return self._withhold()
        return character

    def _withhold(self) -> str:
        self.withheld += 1
        return WITHHELD

    def _follow_tag(self, character: str) -> None:
        match self._within:
            case _Within.TEXT:
                if self._after_bracket and (character.isalpha() or character in "/!?"):
                    self._within = _Within.TAG
                self._after_bracket = character == "<"
            case _Within.TAG:
                if character in "\"'":
                    self._within = _Within(character)
                elif character == ">":
                    self._within = _Within.TEXT
            case quoted:
                if character == quoted.value:
                    self._within = _Within.TAG
