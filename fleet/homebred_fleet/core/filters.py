"""A filter of devices, as admins write it: `site==clinic-east and label.role==kiosk and not seen>15m`.

    filter      = [ or-part ]                         nothing written: every device
    or-part     = and-part { "or" and-part }
    and-part    = one { "and" one }
    one         = "not" one | "(" or-part ")" | comparison
    comparison  = key operator value | key [ "not" ] "in" "(" value { "," value } ")"
    value       = letters, digits and . _ : + / * - | "…" | '…'

It reads text into a tree. What the tree says of a device is core/device_filters.py's, and of a row the store's.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from homebred_fleet.core.filter_values import KEYS, KeyKind, Value, kind_of, read_value

MAX_CHARACTERS: Final = 500
MAX_DEPTH: Final = 16
MAX_COMPARISONS: Final = 64
"""Values in lists count too."""
OPERATORS: Final = ("==", "!=", "<=", ">=", "<", ">")
_WORDS: Final = frozenset({"and", "or", "not", "in"})
_LEXEME: Final = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<operator>==|!=|<=|>=|<|>)"
    r"|(?P<sign>[(),])"
    r"|(?P<quoted>\"[^\"]*\"|'[^']*')"
    r"|(?P<word>[A-Za-z0-9._:+/*-]+)"
)


class FilterError(ValueError):
    """A filter that says nothing: where, what, why, what next."""

    def __init__(self, what: str, *, column: int, hint: str) -> None:
        self.column = column
        """Of its first character, from 1."""
        self.hint = hint
        super().__init__(f"the filter at column {column}: {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One thing that is asked of a device."""

    key: str
    """As KEYS has it; `label` for all labels."""
    label: str = ""
    """Which label."""
    operator: str
    """One of OPERATORS; `in` is read as `==`."""
    values: tuple[Value, ...]
    """Any of them; more than one with `==` alone."""


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: Tree


@dataclass(frozen=True, slots=True)
class And:
    """All of them; of none: every device."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of them."""

    parts: tuple[Tree, ...]


Tree = Comparison | Not | And | Or
EVERY: Final = And(())


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """operator, sign, quoted, word, end."""
    text: str
    column: int

    def is_word(self, text: str) -> bool:
        return self.kind == "word" and self.text == text

    def shown(self) -> str:
        return "its end" if self.kind == "end" else repr(self.text)


def parse(text: str) -> Tree:
    """The tree of a filter; EVERY where nothing is written.

    Raises:
        FilterError: it is none.
    """
    if len(text) > MAX_CHARACTERS:
        raise FilterError(
            f"it is longer than {MAX_CHARACTERS} characters",
            column=MAX_CHARACTERS + 1,
            hint="give the devices a label, and ask for that",
        )
    reader = _Reader(_tokens(text))
    return reader.whole()


def _tokens(text: str) -> list[_Token]:
    tokens = []
    place = 0
    while place < len(text):
        found = _LEXEME.match(text, place)
        if found is None:
            _refuse_character(text, place)
        kind = found.lastgroup or ""
        if kind != "space":
            tokens.append(_Token(kind, found.group(), place + 1))
        place = found.end()
    return [*tokens, _Token("end", "", len(text) + 1)]


def _refuse_character(text: str, place: int) -> NoReturn:
    sign = text[place]
    hints = {
        "=": "write `==` to compare",
        "!": "write `!=` to compare, and `not` for the opposite",
        "&": "write `and`",
        "|": "write `or`",
        ";": "write `and`",
        '"': "close the quotation with another one",
        "'": "close the quotation with another one",
    }
    hint = hints.get(sign, "put a value with such characters in double quotes")
    raise FilterError(f"{sign!r} begins nothing that a filter has", column=place + 1, hint=hint)


class _Reader:
    """Recursive descent over the tokens, one method for each line of the grammar."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._comparisons = 0

    def whole(self) -> Tree:
        if self._here.kind == "end":
            return EVERY
        tree = self._or_part(0)
        if self._here.kind != "end":
            self._refuse("is left over", "join comparisons with `and` or `or`")
        return tree

    @property
    def _here(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _or_part(self, depth: int) -> Tree:
        return self._joined("or", lambda: self._and_part(depth), Or)

    def _and_part(self, depth: int) -> Tree:
        return self._joined("and", lambda: self._one(depth), And)

    def _joined(self, word: str, part: Callable[[], Tree], kind: Callable[[tuple[Tree, ...]], Tree]) -> Tree:
        parts = [part()]
        while self._here.is_word(word):
            self._take()
            parts.append(part())
        return parts[0] if len(parts) == 1 else kind(tuple(parts))

    def _one(self, depth: int) -> Tree:
        if depth > MAX_DEPTH:
            self._refuse(f"is nested deeper than {MAX_DEPTH}", "leave out parentheses, or make a cohort of a part")
        if self._here.is_word("not"):
            self._take()
            return Not(self._one(depth + 1))
        if self._here.text == "(" and self._here.kind == "sign":
            opened = self._take()
            tree = self._or_part(depth + 1)
            if self._here.text != ")":
                self._refuse(f"stands where the `(` of column {opened.column} should be closed", "write `)`")
            self._take()
            return tree
        return self._comparison()

    def _comparison(self) -> Tree:
        key = self._take_key()
        kind, label = kind_of(key.text) or _refuse_key(key)
        if self._here.is_word("not") and self._tokens[self._next + 1].is_word("in"):
            self._take()
            return Not(self._listed(key, kind, label))
        if self._here.is_word("in"):
            return self._listed(key, kind, label)
        operator = self._take_operator(key, kind)
        value = self._take_value(key, kind)
        return Comparison(key=kind.name, label=label, operator=operator.text, values=(value,))

    def _take_key(self) -> _Token:
        token = self._here
        if token.kind != "word" or token.text in _WORDS:
            self._refuse("stands where a key should", f"begin with a key: {', '.join(KEYS)}")
        return self._take()

    def _take_operator(self, key: _Token, kind: KeyKind) -> _Token:
        token = self._here
        if token.kind != "operator":
            self._refuse(f"stands where {key.text!r} should be compared", f"write one of {' '.join(kind.operators)}")
        if token.text not in kind.operators:
            hint = f"write one of {' '.join(kind.operators)}"
            self._refuse(f"does not compare {key.text!r}, which is {kind.what}", hint)
        return self._take()

    def _take_value(self, key: _Token, kind: KeyKind) -> Value:
        token = self._here
        if token.kind not in {"word", "quoted"} or (token.kind == "word" and token.text in _WORDS):
            self._refuse(f"stands where a value for {key.text!r} should", f"write {kind.example}")
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            self._refuse(f"is comparison {self._comparisons}", f"ask for at most {MAX_COMPARISONS} values in all")
        self._take()
        quoted = token.kind == "quoted"
        value = read_value(kind, token.text[1:-1] if quoted else token.text, quoted=quoted)
        if value is None:
            what = f"{token.text!r} is no value of {key.text!r}, which is {kind.what}"
            raise FilterError(what, column=token.column, hint=f"write {kind.example}")
        return value

    def _listed(self, key: _Token, kind: KeyKind, label: str) -> Tree:
        if "==" not in kind.operators:
            self._refuse(f"does not compare {key.text!r}", f"write one of {' '.join(kind.operators)}")
        self._take()
        if self._here.text != "(":
            self._refuse("stands where a list should begin", "write `in (one, another)`")
        self._take()
        values = [self._take_value(key, kind)]
        while self._here.text == ",":
            self._take()
            values.append(self._take_value(key, kind))
        if self._here.text != ")":
            self._refuse("stands in a list of values", "write `,` between them, and `)` at the end")
        self._take()
        return Comparison(key=kind.name, label=label, operator="==", values=tuple(values))

    def _refuse(self, what: str, hint: str) -> NoReturn:
        raise FilterError(f"{self._here.shown()} {what}", column=self._here.column, hint=hint)


def _refuse_key(key: _Token) -> NoReturn:
    if key.text.startswith("label"):
        hint = "write label.KEY, the key in lower-case letters, digits and . _ -"
    else:
        near = difflib.get_close_matches(key.text.lower(), KEYS, n=1)
        hint = f"write {near[0]!r} if that was meant" if near else f"write one of {', '.join(KEYS)}"
    raise FilterError(f"{key.text!r} is no key of a device", column=key.column, hint=hint)
