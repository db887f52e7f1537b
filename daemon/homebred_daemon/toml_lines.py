"""Finds the line on which a TOML text sets a key, so that a complaint can name it.

Pure. It does not check the text: give it what `tomllib` accepts. Paths are written as `Problem.path` writes them, list
positions as `[0]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Path = tuple[str, ...]

_BLANK = re.compile(r"[ \t]*")
_BLANK_OR_COMMENT = re.compile(r"(?:\s|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


def key_lines(text: str) -> Mapping[Path, int]:
    """The line, counted from 1, on which each table and key of a valid TOML text first appears."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """The line of a path, or of its nearest parent that the text names; None: the text names none of them."""
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)


class _Scanner:
    """One pass over a text, noting where keys stand."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._line = 1
        self._array_tables: dict[Path, int] = {}
        """Position of the last `[[table]]` under each path."""

    def document(self) -> None:
        table: Path = ()
        while self._skip_to_next():
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._assignment(table)

    def _header(self) -> Path:
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        *parents, name = self._key()
        path: Path = ()
        for parent in parents:
            path = self._note((*path, parent))
            if path in self._array_tables:
                path = (*path, f"[{self._array_tables[path]}]")
        path = self._note((*path, name))
        if is_array:
            self._array_tables[path] = self._array_tables.get(path, -1) + 1
            path = self._note((*path, f"[{self._array_tables[path]}]"))
        self._skip(_BLANK)
        self._at += 2 if is_array else 1
        return path

    def _assignment(self, table: Path) -> None:
        path = table
        for name in self._key():
            path = self._note((*path, name))
        self._at += 1  # the equals sign, behind which `_key` has stopped
        self._skip(_BLANK)
        self._value(path)

    def _key(self) -> list[str]:
        names: list[str] = []
        while True:
            self._skip(_BLANK)
            quoted = self._text[self._at] in "\"'"
            word = self._skip(_STRING if quoted else _BARE_KEY)
            names.append(_unquoted(word) if quoted else word)
            self._skip(_BLANK)
            if self._text[self._at] != ".":
                return names
            self._at += 1

    def _value(self, path: Path) -> None:
        match self._text[self._at]:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        position = 0
        while self._skip_to_next() and self._text[self._at] != "]":
            self._value(self._note((*path, f"[{position}]")))
            position += 1
            self._skip_comma()
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._skip_to_next() and self._text[self._at] != "}":
            self._assignment(path)
            self._skip_comma()
        self._at += 1

    def _skip_comma(self) -> None:
        if self._skip_to_next() and self._text[self._at] == ",":
            self._at += 1

    def _skip_to_next(self) -> bool:
        """Stands at the next character that means something; false at the end."""
        self._skip(_BLANK_OR_COMMENT)
        return self._at < len(self._text)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"line {self._line} is not valid TOML; parse the text with tomllib first")
        self._line += found.group().count("\n")
        self._at = found.end()
        return found.group()

    def _note(self, path: Path) -> Path:
        self.lines.setdefault(path, self._line)
        return path


def _unquoted(word: str) -> str:
    if word.startswith("'"):
        return word[1:-1]
    return _ESCAPE.sub(_unescaped, word[1:-1])


def _unescaped(found: re.Match[str]) -> str:
    code = found.group(1) or found.group(2)
    letter = found.group(3)
    return chr(int(code, 16)) if code else _ESCAPED.get(letter, letter)
