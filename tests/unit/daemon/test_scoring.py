from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.scoring import json_equal, mean, percentile_95, score

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text("ab ", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("answer", "expected", "points"),
    [(" yes\n", "yes", 1.0), ("yes", "yes ", 1.0), ("Yes", "yes", 0.0), ("yes!", "yes", 0.0), ("", "", 1.0)],
)
def test_exact_compares_text_without_its_surrounding_white_space(answer: str, expected: str, points: float) -> None:
    assert score("exact", answer, expected) == points


@pytest.mark.parametrize(
    ("answer", "expected", "points"),
    [
        ('{"a": 1, "b": 2}', {"b": 2, "a": 1.0}, 1.0),
        ('\n {"a": " x "} ', {"a": "x"}, 1.0),
        ('{"a": "X"}', {"a": "x"}, 0.0),
        ('{"a": 1}', {"a": True}, 0.0),
        ('{"a": 1}', {"a": "1"}, 0.0),
        ('{"a": 1, "b": null}', {"a": 1}, 0.0),
        ('{"a": 1}', {"a": 1, "b": None}, 0.0),
        ("[1, 2]", [2, 1], 0.0),
        ("[1, 2]", [1, 2], 1.0),
        ("[1, 2]", [1], 0.0),
        ('"refund"', "refund", 1.0),
        ("refund", "refund", 0.0),
        ('```json\n{"a": 1}\n```', {"a": 1}, 0.0),
        ('{"a": 1} done', {"a": 1}, 0.0),
        ("", {"a": 1}, 0.0),
        ("NaN", 1, 0.0),
        ("[" * 100_000, [], 0.0),
        ("9" * 5000, 9, 0.0),
    ],
)
def test_json_equal_is_strict_about_all_that_carries_meaning(answer: str, expected: Any, points: float) -> None:
    assert score("json_equal", answer, expected) == points


@pytest.mark.parametrize(
    ("answer", "points"),
    [
        ('{"a": 1, "b": "x", "c": {"d": 2}}', 1.0),
        ('{"a": 1, "b": "y", "c": {"d": 2}, "e": 9}', 2 / 3),
        ('{"a": 1}', 1 / 3),
        ('{"c": {"d": 3}}', 0.0),
        ('["a", "b", "c"]', 0.0),
        ("no JSON", 0.0),
    ],
)
def test_json_fields_is_the_share_of_expected_fields_that_are_equal(answer: str, points: float) -> None:
    assert score("json_fields", answer, {"a": 1, "b": "x", "c": {"d": 2}}) == points


def test_an_expected_null_is_not_met_by_a_missing_field() -> None:
    assert score("json_fields", "{}", {"a": None}) == 0.0
    assert score("json_fields", '{"a": null}', {"a": None}) == 1.0


@given(JSON_VALUES, JSON_VALUES)
def test_equality_of_json_values_is_reflexive_and_symmetric(one: Any, other: Any) -> None:
    assert json_equal(one, one)
    assert json_equal(one, other) == json_equal(other, one)


def test_a_mean_does_not_depend_on_the_order_of_rows() -> None:
    scores = [0.1] * 7 + [1.0, 1 / 3]
    assert mean(scores) == mean(scores[::-1])
    assert mean([1.0, 0.0, 1.0, 1.0]) == 0.75


def test_the_95th_percentile_is_the_value_of_the_nearest_rank() -> None:
    assert percentile_95([7.0]) == 7.0
    assert percentile_95(list(range(100, 0, -1))) == 95
    assert percentile_95([1.0] * 19 + [9.0]) == 1.0
    assert percentile_95([1.0] * 18 + [9.0] * 2) == 9.0
