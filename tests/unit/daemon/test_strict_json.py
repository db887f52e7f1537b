"""JSON from strangers: one meaning or an error."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon import strict_json

_TEXT = st.text(st.characters(codec="utf-8"))
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**200), 10**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
    max_leaves=10,
)


@given(_VALUES, st.booleans())
def test_whatever_json_can_say_is_read_as_it_was_written(value: object, ascii_only: bool) -> None:  # noqa: FBT001
    assert strict_json.parse(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8")) == value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "is not JSON: .* at line 1 column 2"),
        (b"", "is not JSON"),
        (b"{} {}", "is not JSON: Extra data"),
        (b"NaN", "holds NaN"),
        (b'{"a": -Infinity}', "holds -Infinity"),
        (b'{"a": 1, "a": 2}', "has the key 'a' twice"),
        (b'[{"b": {"a": 1, "c": 2, "a": 1}}]', "has the key 'a' twice"),
        (b'"\\ud800"', "half of a surrogate pair"),
        (b'{"\\uDFFF": 1}', "half of a surrogate pair"),
        (b'"\xff"', "is not UTF-8: invalid start byte at byte 1"),
        (b'"\xed\xa0\x80"', "is not UTF-8"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"1" * 309, "an integer of 309 digits"),
        (b"[-" + b"1" * 5000 + b"]", "an integer of 5001 digits"),
    ],
)
def test_anything_else_is_refused_with_its_reason(body: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        strict_json.parse(body)


def test_a_key_written_twice_at_the_end_of_many_is_found_in_passing() -> None:
    body = ("{" + "".join(f'"{number}": 0, ' for number in range(50_000)) + '"49999": 1}').encode()
    before_s = time.process_time()
    with pytest.raises(ValueError, match="has the key '49999' twice"):
        strict_json.parse(body)
    assert time.process_time() - before_s < 2  # looking each key up among all takes longer by far


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert strict_json.parse(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


def test_a_backslash_before_ud_is_text() -> None:
    assert strict_json.parse(b'"C:\\\\udine"') == "C:\\udine"
