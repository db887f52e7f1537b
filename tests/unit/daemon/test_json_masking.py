from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.json_masking import masked_json
from homebred_daemon.core.sensitivity import Span, stretches
from homebred_protocol.documents.readable import as_lines

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('ab7 "\\\nQ'),
    lambda held: st.lists(held, max_size=3) | st.dictionaries(st.text("ab Q", max_size=4), held, max_size=3),
    max_leaves=8,
)


def finds(pattern: str) -> Any:
    return lambda text: tuple(Span(*found.span(), "X", 1) for found in re.finditer(pattern, text))


def mask(text: str, spans: Sequence[Span]) -> str:
    return "".join(part if span is None else "#" for part, span in stretches(text, spans))


def masked(value: Any, pattern: str) -> Any:
    return json.loads(masked_json(json.dumps(value), finds(pattern), mask))


@given(JSON)
def test_where_nothing_is_found_nothing_changes(value: Any) -> None:
    assert masked(value, "$^") == value


@given(JSON)
def test_what_is_found_is_nowhere_and_what_is_left_is_json(value: Any) -> None:
    hidden = masked_json(json.dumps(value), finds("Q|7"), mask)
    json.loads(hidden)
    assert not re.search("Q|7", as_lines(hidden))


@pytest.mark.parametrize(
    ("value", "pattern", "wanted"),
    [
        ({"name": "Ada Quill"}, "(?<=name: )Ada Quill", {"name": "#"}),
        ({"id": 4711, "n": 2}, "4711", {"id": "#", "n": 2}),
        ({"Quill": {"of": ["a", "Quill"]}}, "Quill", {"#": {"of": ["a", "#"]}}),
        ({"a": "x", "b": "y"}, r"x\nb: y", {"a": "#", "#": "#"}),
        ({"flag": True, "none": None}, "true|null", {"flag": "#", "none": "#"}),
    ],
)
def test_a_value_is_seen_beside_its_name_and_masked_in_its_own_place(value: Any, pattern: str, wanted: Any) -> None:
    assert masked(value, pattern) == wanted


def test_escapes_hide_nothing() -> None:
    assert masked({"name": "M\u00fcller"}, "Müller") == {"name": "#"}
    assert masked({"result": json.dumps({"name": "Müller"})}, "Müller") == {"result": '{"name": "#"}'}


def test_half_of_a_surrogate_pair_can_be_sent() -> None:
    assert masked_json(r'{"a": "\ud83d\ude00 \ud83d"}', finds("$^"), mask) == '{"a": "😀 \ufffd"}'


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        masked_json("{no", finds("a"), mask)
