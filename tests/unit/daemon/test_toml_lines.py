"""Which line of a TOML text sets which key."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.toml_lines import key_lines, line_of

TEXT = '''# a comment with = and [brackets]
version = 1
extra = [
  "a", # not ] the end
  { deep = "x,]", more.dotted = 2 },
]
[workflows."intake.normalise"]
floor = 0.8 # why
text = """
floor = 0.9
[not.a.table]
"""
literal = \'\'\'
key = 'quoted'\'\'\'
[ a . "b\\u0063" ]
c.d = 1979-05-27 07:32:00
e = { }
[[list]]
x = "\\"]"
[list.sub]
y = -inf
[[list]]
x = 3
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("version",), 2),
        (("extra",), 3),
        (("extra", "[0]"), 4),
        (("extra", "[1]", "deep"), 5),
        (("extra", "[1]", "more", "dotted"), 5),
        (("workflows",), 7),
        (("workflows", "intake.normalise", "floor"), 8),
        (("workflows", "intake.normalise", "text"), 9),
        (("workflows", "intake.normalise", "literal"), 13),
        (("a", "bc"), 15),
        (("a", "bc", "c", "d"), 16),
        (("a", "bc", "e"), 17),
        (("list",), 18),
        (("list", "[0]", "x"), 19),
        (("list", "[0]", "sub", "y"), 21),
        (("list", "[1]"), 22),
        (("list", "[1]", "x"), 23),
    ],
)
def test_every_way_to_write_a_key_is_found_on_its_line(path: tuple[str, ...], line: int) -> None:
    assert key_lines(TEXT)[path] == line


def test_a_key_that_is_missing_is_placed_at_its_nearest_parent() -> None:
    lines = key_lines(TEXT)
    assert line_of(lines, ("workflows", "intake.normalise", "minimum_margin")) == 7
    assert line_of(lines, ("extra", "[7]", "deep")) == 3


def test_a_key_without_any_parent_in_the_text_has_no_line() -> None:
    assert line_of(key_lines(TEXT), ("drafting", "quality")) is None
    assert line_of(key_lines(TEXT), ()) is None


def test_nothing_of_a_multi_line_text_is_taken_for_a_key() -> None:
    assert not any("not" in path for path in key_lines(TEXT))


def test_windows_line_ends_are_counted_once() -> None:
    assert key_lines("a = 1\r\n\r\nb = [\r\n2]\r\n")[("b",)] == 3


def test_a_text_that_is_not_toml_is_refused_with_its_line() -> None:
    with pytest.raises(ValueError, match="line 2"):
        key_lines("a = 1\n= 2\n")


_KEYS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=6)
_LEAVES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12),
)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=6
)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _written(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _quoted(value)
        case list():
            return "[ " + " , ".join(map(_written, value)) + " ]"
        case dict():
            return "{ " + " , ".join(f"{_quoted(key)} = {_written(inner)}" for key, inner in value.items()) + " }"
        case _:
            return str(value)


def _paths(path: tuple[str, ...], value: Any) -> list[tuple[str, ...]]:
    inner: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    if isinstance(value, list):
        inner = [(f"[{position}]", item) for position, item in enumerate(value)]
    return [path, *(below for key, item in inner for below in _paths((*path, key), item))]


@given(st.dictionaries(_KEYS, st.dictionaries(_KEYS, _VALUES, max_size=3), max_size=4))
def test_every_key_of_any_document_is_found_on_the_line_it_was_written_on(
    document: dict[str, dict[str, Any]],
) -> None:
    written: list[str] = []
    expected: dict[tuple[str, ...], int] = {}
    for name, table in document.items():
        written.append(f"[{_quoted(name)}] # {name}")
        expected[(name,)] = len(written)
        for key, value in table.items():
            written.append(f"\t{_quoted(key)}={_written(value)} # = [x]")
            expected.update(dict.fromkeys(_paths((name, key), value), len(written)))
    text = "\n".join(written)
    assert tomllib.loads(text) == document
    assert dict(key_lines(text)) == expected
