from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol.documents.readable import as_lines, lines, without_escapes


def test_a_value_stands_beside_its_name() -> None:
    assert lines({"a": "x", "b": {"c": [1, None, "two\nlines"]}}) == "a: x\nb:\nc:\n1\nnull\ntwo\nlines\n"


def test_what_is_no_json_is_read_as_it_is() -> None:
    assert as_lines("{no") == "{no"
    assert as_lines("[" * 100_000) == "[" * 100_000


def test_letters_are_read_however_deep_they_are_escaped() -> None:
    once = json.dumps("Jürgen")
    assert without_escapes(once) == without_escapes(json.dumps(once)[1:-1].replace('\\"', '"')) == '"Jürgen"'
    assert without_escapes("plain \\n text") == "plain \\n text"


@given(st.text())
def test_json_stays_json_of_the_same_meaning(value: str) -> None:
    text = value.replace("\\", "")  # a string within the string may change
    assert json.loads(without_escapes(json.dumps(text))) == text
