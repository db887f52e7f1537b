from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homebred_engines.safetensors_file import StoredTensor, read_safetensors_head, read_tensor


def written(path: Path, head: object, body: bytes = b"") -> Path:
    text = json.dumps(head).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def entry(begin: object, end: object, shape: object = (2,), dtype: object = "F16") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_a_file_says_what_it_holds_and_gives_each_tensors_bytes(tmp_path: Path) -> None:
    head = {"__metadata__": {"format": "pt"}, "b": entry(4, 8), "a": entry(0, 4)}
    path = written(tmp_path / "x", head, b"aaaabbbb")
    read = read_safetensors_head(path)
    start = path.stat().st_size - 8
    assert read.file_bytes == path.stat().st_size
    assert read.tensors["b"] == StoredTensor(dtype="F16", shape=(2,), start=start + 4, size_bytes=4)
    assert [read_tensor(path, read.tensors[name]) for name in "ab"] == [b"aaaa", b"bbbb"]


def test_a_type_that_is_newer_is_taken_as_it_is(tmp_path: Path) -> None:
    read = read_safetensors_head(written(tmp_path / "x", {"a": entry(0, 3, dtype="F4")}, b"123"))
    assert read.tensors["a"].size_bytes == 3


@pytest.mark.parametrize(
    ("head", "body", "why"),
    [
        ({"a": entry(0, 4), "b": entry(2, 6)}, b"123456", "'b' is elsewhere than behind the one before it"),
        ({"a": entry(0, 4), "b": entry(6, 10)}, b"1234567890", "'b' is elsewhere"),
        ({"a": entry(2, 6)}, b"123456", "'a' is elsewhere"),
        ({"a": entry(4, 0)}, b"1234", "'a' has -4 bytes"),
        ({"a": entry(4, 0, dtype="F4")}, b"1234", "'a' is elsewhere"),
        ({"a": entry(0, 6)}, b"123456", "'a' has 6 bytes, not what its shape takes"),
        ({"a": entry(0, 4)}, b"12345", "its head tells of"),
        ({"a": entry(0, 4)}, b"123", "its head tells of"),
        ({"a": entry(0, 4, shape=[-2])}, b"1234", "lists no tensors"),
        ({"a": entry(0, 4, shape=[2.0])}, b"1234", "lists no tensors"),
        ({"a": entry(0, 4, shape=None)}, b"1234", "lists no tensors"),
        ({"a": entry(0, 4, dtype=7)}, b"1234", "lists no tensors"),
        ({"a": entry("0", 4)}, b"1234", "lists no tensors"),
        ({"a": {"shape": [2], "dtype": "F16", "data_offsets": [0]}}, b"1234", "lists no tensors"),
        ({"a": None}, b"", "lists no tensors"),
        ([], b"", "lists no tensors"),
    ],
)
def test_a_head_that_does_not_hold_is_refused(tmp_path: Path, head: object, body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_safetensors_head(written(tmp_path / "x", head, body))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=64), st.integers(0, 80))
def test_no_bytes_break_the_reader(tmp_path: Path, content: bytes, claimed: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(claimed.to_bytes(8, "little") + content)
    with pytest.raises(ValueError, match=r"that is|whose|of"):
        read_safetensors_head(path)


def test_a_file_that_shrank_since_its_head_was_read_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "x", {"a": entry(0, 4)}, b"1234")
    tensor = read_safetensors_head(path).tensors["a"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="shrank"):
        read_tensor(path, tensor)
