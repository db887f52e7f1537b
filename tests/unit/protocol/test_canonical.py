from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical
from tests.support.release_manifests import any_json

from homebred_protocol.documents.canonical import MAX_KEYS, NotCanonicalError, canonical, from_canonical, is_plain
from homebred_protocol.documents.fields import LARGEST_INTEGER

PLAIN = st.text(max_size=8).filter(is_plain)
KEYS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=5)
LEAVES = st.none() | st.booleans() | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | PLAIN
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def read(body: bytes, *, max_bytes: int = 10_000, max_values: int = 1_000) -> Any:
    return from_canonical(body, max_bytes=max_bytes, max_values=max_values)


def complaint_of(body: bytes) -> str:
    with pytest.raises(NotCanonicalError) as caught:
        read(body)
    return str(caught.value)


@given(VALUES)
def test_a_value_comes_back_from_its_text(value: object) -> None:
    assert read(canonical(value)) == value


@given(VALUES)
def test_the_text_is_the_one_that_the_update_framework_signs(value: Any) -> None:
    assert canonical(value).decode() == encode_canonical(value)


@given(any_json())
def test_any_other_text_of_a_value_is_refused(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=1), json.dumps(value, ensure_ascii=False) + "\n"):
        body = text.encode(errors="surrogatepass")
        try:
            found = read(body)
        except NotCanonicalError:
            continue
        assert canonical(found) == body


@given(st.binary(max_size=60))
def test_any_bytes_are_the_one_text_of_a_value_or_refused(body: bytes) -> None:
    try:
        found = read(body)
    except NotCanonicalError:
        return
    assert canonical(found) == body


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "it is not JSON: Expecting value at character 0"),
        (b"\xff", "it is not UTF-8 at byte 0"),
        (b'{"a":1,"a":2}', "an object has a key twice"),
        (b"0.5", "it holds 0.5, and only integers are canonical"),
        (b"1e3", "it holds 1e3, and only integers are canonical"),
        (b"NaN", "it holds NaN, and only integers are canonical"),
        (b"9007199254740993", "it holds an integer above 9007199254740992"),
        (b"-0", "it is not written canonically: keys sorted, no space, nothing escaped needlessly"),
        (b'{"b":1,"a":2}', "it is not written canonically: keys sorted, no space, nothing escaped needlessly"),
        (b'"\\u00fc"', "it is not written canonically: keys sorted, no space, nothing escaped needlessly"),
        (b'"\\n"', "the text '\\n' holds a control character"),
        (b'"\\ud800"', "the text '\\ud800' holds a control character"),
        ('{"ü":1}'.encode(), "the key 'ü' is not printable ASCII"),
        (b"9" * 5_000, "it holds an integer above 9007199254740992"),
        (b"[" * 999 + b"]" * 999, "it is nested too deeply"),
        (b"[" * 17 + b"]" * 17, "it is nested too deeply"),
        (b"[" * 2_000, "it has more than 1,000 values"),
        (b"1" * 10_001, "it has more than 10,000 bytes"),
    ],
)
def test_what_is_not_canonical_is_named(body: bytes, complaint: str) -> None:
    assert complaint_of(body) == complaint


def test_an_object_with_very_many_keys_is_refused_before_anything_of_it_is_looked_at() -> None:
    assert f"more than {MAX_KEYS} keys" in complaint_of(canonical({f"k{n}": 0 for n in range(MAX_KEYS + 1)}))


@pytest.mark.parametrize("value", [0.5, {1: 2}, {"a": b""}, [object()], {"a": {"ü": 1}}, 2**54, "\x7f"])
def test_what_has_no_canonical_text_is_not_written(value: object) -> None:
    with pytest.raises(NotCanonicalError):
        canonical(value)
