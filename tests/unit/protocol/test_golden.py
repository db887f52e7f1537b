from __future__ import annotations

import json
from typing import Any

import pytest

from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.golden import MAX_PROBLEMS, GoldenRow, read_golden
from homebred_protocol.documents.specialist import Example


def problems_of(body: bytes, scorer: str = "exact", examples: tuple[Example, ...] = ()) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read_golden(body, "sha256:golden", scorer=scorer, examples=examples)
    return [problem.sentence() for problem in caught.value.problems]


def lines(*rows: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def test_rows_keep_their_line_numbers_and_blank_lines_are_no_rows() -> None:
    body = b'{"input": "a", "expected": "1"}\n\n  \r\n{"input": "b", "expected": "2"}\r\n'
    golden = read_golden(body, "sha256:golden", scorer="exact")
    assert golden.rows == (GoldenRow(line=1, input="a", expected="1"), GoldenRow(line=4, input="b", expected="2"))
    assert golden.digest == "sha256:golden"


def test_a_line_separator_inside_json_text_parts_no_line() -> None:
    golden = read_golden('{"input": "a\u2028b", "expected": ""}'.encode(), "", scorer="exact")
    assert golden.rows[0].input == "a\u2028b"


@pytest.mark.parametrize(
    ("line", "scorer", "complaint"),
    [
        (b"{", "exact", "is not JSON"),
        (b"[" * 100_000, "exact", "is not JSON"),
        (b'"text"', "exact", "is a string; write one JSON object"),
        (b"\xff", "exact", "is not UTF-8"),
        (b'{"expected": "x"}', "exact", "input: is missing"),
        (b'{"input": " ", "expected": "x"}', "exact", "input: is empty"),
        (b'{"input": "x"}', "exact", "expected: does not suit the scorer exact"),
        (b'{"input": "x", "expected": {"a": 1}}', "exact", "expected: does not suit the scorer exact"),
        (b'{"input": "x", "expected": "a"}', "json_fields", "write an object with the fields"),
        (b'{"input": "x", "expected": {}}', "json_fields", "write an object with the fields"),
        (b'{"input": "x", "expected": null}', "json_equal", "write the JSON value"),
        (b'{"input": "x", "expected": "", "id": 3}', "exact", "id: is not a known key"),
    ],
)
def test_a_malformed_line_is_refused_with_its_number(line: bytes, scorer: str, complaint: str) -> None:
    (said,) = problems_of(
        b'\n{"input": "fine", "expected": {"a": 1}}\n'.replace(b'{"a": 1}', _fine(scorer)) + line, scorer
    )
    assert said.startswith('"line 3"')
    assert complaint in said


def _fine(scorer: str) -> bytes:
    return b'"text"' if scorer == "exact" else b'{"a": 1}'


@pytest.mark.parametrize("body", [b"", b"\n \n"])
def test_a_set_without_rows_is_refused(body: bytes) -> None:
    (said,) = problems_of(body)
    assert "holds no row" in said


def test_a_row_that_the_prompt_shows_as_an_example_is_refused() -> None:
    examples = (Example(input="Two  Coffees", output="2"),)
    (said,) = problems_of(lines({"input": " two coffees ", "expected": "2"}), examples=examples)
    assert said.startswith('"line 1": has the input of a few-shot example')


def test_a_row_twice_is_refused_since_it_is_no_second_sample() -> None:
    body = lines({"input": "a", "expected": "1"}, {"input": "b", "expected": "1"}, {"input": "A ", "expected": "1"})
    (said,) = problems_of(body)
    assert said.startswith('"line 3": has the input of line 1')


def test_a_thousand_wrong_lines_are_not_all_told() -> None:
    assert len(problems_of(b"{\n" * 1000)) == MAX_PROBLEMS
