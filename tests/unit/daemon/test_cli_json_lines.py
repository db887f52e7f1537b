"""Lines of standard input: bounded, in order, each an object or an error."""

from __future__ import annotations

import io

import pytest

from homebred_daemon.cli.json_lines import MAX_LINE_BYTES, BadLineError, json_object, lines


def read(content: bytes) -> list[bytes | None]:
    return list(lines(io.BytesIO(content)))


def test_every_line_is_read_with_or_without_a_newline_at_the_end() -> None:
    assert read(b"a\nb\n") == [b"a", b"b"]
    assert read(b"a\nb") == [b"a", b"b"]
    assert read(b"") == []


def test_an_empty_line_is_a_line() -> None:
    assert read(b"\n\na\n\n") == [b"", b"", b"a", b""]


@pytest.mark.parametrize("ending", [b"\n", b""])
def test_the_longest_line_is_read_and_a_longer_one_is_skipped_whole(ending: bytes) -> None:
    longest = b"x" * MAX_LINE_BYTES
    assert read(longest + ending) == [longest]
    assert read(longest + b"x" + ending) == [None]
    assert read(b"a\n" + longest * 2 + b"\nb" + ending) == [b"a", None, b"b"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (None, "longer than 4,194,304 bytes"),
        (b"", "the line is empty"),
        (b" \t\r", "the line is empty"),
        (b"{", "the line is not JSON"),
        (b"[]", "the line is not a JSON object"),
        (b"null", "the line is not a JSON object"),
        (b'{"a": Infinity}', "the line holds Infinity"),
    ],
)
def test_a_line_that_is_no_object_says_why(line: bytes | None, message: str) -> None:
    with pytest.raises(BadLineError, match=message) as caught:
        json_object(line)
    assert caught.value.record()["code"] == "bad_line"
    assert caught.value.hint


def test_a_windows_line_end_belongs_to_no_value() -> None:
    assert json_object(b'{"a": "b"}\r') == {"a": "b"}
