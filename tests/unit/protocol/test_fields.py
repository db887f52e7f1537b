from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol.documents.fields import LARGEST_INTEGER, DocumentError, Fields, dotted, kind_of


def complaints(fields: Fields) -> list[str]:
    return [problem.sentence() for problem in fields.problems]


READERS: list[tuple[str, Callable[[Fields], Any], Any]] = [
    ("text", lambda fields: fields.text("key", "default"), "default"),
    ("boolean", lambda fields: fields.boolean("key", default=True), True),
    ("integer", lambda fields: fields.integer("key", 7), 7),
    ("number", lambda fields: fields.number("key", 0.5), 0.5),
    ("choice", lambda fields: fields.choice("key", ("a", "b"), "a"), "a"),
    ("texts", lambda fields: fields.texts("key", ("x",)), ("x",)),
    ("table", lambda fields: fields.table("key"), None),
    ("tables", lambda fields: list(fields.tables("key")), []),
    ("listed", lambda fields: list(fields.listed("key")), []),
    ("raw", lambda fields: fields.raw("key"), None),
]


@pytest.mark.parametrize("table", [{}, {"key": None}])
@pytest.mark.parametrize(("read", "default"), [one[1:] for one in READERS], ids=[one[0] for one in READERS])
def test_absent_and_null_take_the_default_without_a_complaint(
    table: dict[str, Any], read: Callable[[Fields], Any], default: object
) -> None:
    fields = Fields(table)
    assert read(fields) == default
    assert not fields.has("key")
    fields.finish()
    assert fields.problems == []


@pytest.mark.parametrize(
    ("read", "value", "complaint"),
    [
        (lambda f: f.text("k"), 5, "k: is an integer; write a string"),
        (lambda f: f.boolean("k"), "yes", "k: is a string; write true or false"),
        (lambda f: f.boolean("k"), 1, "k: is an integer; write true or false"),
        (lambda f: f.integer("k"), 1.0, "k: is a number; write an integer"),
        (lambda f: f.integer("k"), True, "k: is a boolean; write an integer"),
        (lambda f: f.integer("k", low=3), 2, "k: is 2; write an integer of at least 3"),
        (lambda f: f.integer("k"), 10**400, f"k: is too large; write an integer of at most {LARGEST_INTEGER}"),
        (lambda f: f.number("k"), "1", "k: is a string; write a number"),
        (lambda f: f.number("k"), False, "k: is a boolean; write a number"),
        (lambda f: f.number("k", low=0, high=1), 1.5, "k: is 1.5; write a finite number from 0 to 1"),
        (lambda f: f.number("k", low=0), -1, "k: is -1; write a finite number of at least 0"),
        (lambda f: f.number("k"), math.nan, "k: is nan; write a finite number (not NaN, not infinite)"),
        (lambda f: f.number("k"), math.inf, "k: is inf; write a finite number (not NaN, not infinite)"),
        (lambda f: f.number("k"), 10**400, "k: is too large; write a finite number (not NaN, not infinite)"),
        (lambda f: f.choice("k", ("a", "b")), "c", "k: is 'c'; write one of: a, b"),
        (lambda f: f.texts("k"), "a", "k: is a string; write a list of strings"),
        (lambda f: f.texts("k"), ["a", 1], "k: holds something that is not a string; write strings only"),
        (lambda f: f.table("k"), [], "k: is a list; write a table of keys and values"),
        (lambda f: list(f.tables("k")), {"x": 1}, "k.x: is an integer; write a table of keys and values"),
        (lambda f: list(f.listed("k")), {}, "k: is a table; write a list of tables"),
        (lambda f: list(f.listed("k")), [{}, 1], "k[1]: is an integer; write a table of keys and values"),
    ],
)
def test_a_value_that_does_not_fit_is_complained_of_by_place_what_and_remedy(
    read: Callable[[Fields], Any], value: object, complaint: str
) -> None:
    fields = Fields({"k": value})
    read(fields)
    assert complaints(fields) == [complaint]


@pytest.mark.parametrize(("read", "default"), [one[1:] for one in READERS[:6]], ids=[one[0] for one in READERS[:6]])
def test_reading_goes_on_with_the_default_so_that_all_problems_are_found(
    read: Callable[[Fields], Any], default: object
) -> None:
    assert read(Fields({"key": object()})) == default


def test_what_is_required_is_missed_by_name() -> None:
    fields = Fields({"a": None})
    fields.text("a", required=True)
    fields.integer("b", required=True)
    assert complaints(fields) == ["a: is missing; write a string", "b: is missing; write an integer"]


def test_a_document_that_is_no_table_is_one_complaint() -> None:
    fields = Fields(["a"])
    fields.text("x")
    fields.finish()
    assert complaints(fields) == ["(the document): is a list; write a table of keys and values"]


def test_numbers_may_be_written_as_integers_and_come_back_as_numbers() -> None:
    value = Fields({"k": 1}).number("k", low=0, high=1)
    assert (value, type(value)) == (1.0, float)


def test_problems_of_nested_tables_carry_the_whole_path() -> None:
    fields = Fields({"workflows": {"intake.normalise": {"floor": 2}}})
    for _, entry in fields.tables("workflows"):
        entry.number("floor", high=1)
    assert complaints(fields)[0].startswith('workflows."intake.normalise".floor: is 2;')


def test_an_unknown_key_is_complained_of_with_the_known_ones() -> None:
    fields = Fields({"a": 1, "c": 2})
    fields.integer("a")
    fields.integer("b")
    fields.finish()
    assert complaints(fields) == ["c: is not a known key; remove it or correct its spelling; known here: a, b"]


@pytest.mark.parametrize("key", ["data_clases", "Data_Classes", "dataclasses", "data-classes", "data_class"])
def test_leniently_only_what_looks_like_a_known_key_is_complained_of(key: str) -> None:
    fields = Fields({key: [], "colour": "red"})
    fields.texts("data_classes")
    assert fields.finish_leniently() == ("colour",)
    assert [problem.path for problem in fields.problems] == [(key,)]
    assert "'data_classes'" in fields.problems[0].hint


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ((), "(the document)"),
        (("a", "b_c"), "a.b_c"),
        (("workflows", "intake.normalise", "floor"), 'workflows."intake.normalise".floor'),
        (("specialists", "[0]", "id"), "specialists[0].id"),
    ],
)
def test_a_path_is_written_as_a_person_would(path: tuple[str, ...], written: str) -> None:
    assert dotted(path) == written


def test_kinds_are_named_in_an_authors_words() -> None:
    values: list[object] = [None, True, 1, 1.0, "x", [], {}]
    assert [kind_of(value) for value in values] == [
        "nothing",
        "a boolean",
        "an integer",
        "a number",
        "a string",
        "a list",
        "a table",
    ]


def test_an_error_names_its_document_and_every_problem() -> None:
    fields = Fields({"a": 1, "b": 2})
    fields.text("a")
    fields.text("b")
    error = DocumentError("policy", fields.problems)
    assert str(error) == "policy: a: is an integer; write a string; b: is an integer; write a string"
    assert error.problems == tuple(fields.problems)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "x"]), inner, max_size=3),
    max_leaves=8,
)


@given(document=JSON)
def test_nothing_that_json_can_say_makes_a_reader_fail(document: object) -> None:
    for _, read, _ in READERS:
        fields = Fields(document)
        read(fields)
        fields.finish()
        Fields(document).finish_leniently()
        assert all(problem.what and problem.hint for problem in fields.problems)
