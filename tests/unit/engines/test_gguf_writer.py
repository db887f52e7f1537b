from __future__ import annotations

from pathlib import Path

import gguf
import pytest

from homebred_engines.api import ModelRefusedError
from homebred_engines.gguf_head import read_gguf_head
from homebred_engines.gguf_writer import NewTensor, write_gguf

TENSORS = (
    NewTensor(name="a", kind="F32", dimensions=(3, 1), content=lambda: b"0123" * 3),
    NewTensor(name="b", kind="F16", dimensions=(2, 2), content=lambda: b"01" * 4),
)
METADATA: dict[str, str | float] = {"general.architecture": "llama", "number": 0.5}


def written(path: Path, tensors: tuple[NewTensor, ...] = TENSORS) -> Path:
    with path.open("wb") as file:
        write_gguf(file, METADATA, tensors)
    return path


def test_what_was_written_is_read_by_our_reader_and_by_the_formats_own(tmp_path: Path) -> None:
    path = written(tmp_path / "x.gguf")
    head = read_gguf_head(path, ModelRefusedError)
    assert head.metadata == METADATA
    assert {name: (each.kind, each.dimensions) for name, each in head.tensors.items()} == {
        "a": ("F32", (3, 1)),
        "b": ("F16", (2, 2)),
    }
    tensors = {each.name: each.data.tobytes() for each in gguf.GGUFReader(path).tensors}
    assert tensors == {"a": b"0123" * 3, "b": b"01" * 4}


def test_the_same_input_makes_the_same_bytes(tmp_path: Path) -> None:
    assert written(tmp_path / "x.gguf").read_bytes() == written(tmp_path / "y.gguf").read_bytes()


def test_a_tensor_of_another_size_than_it_claims_is_refused(tmp_path: Path) -> None:
    wrong = NewTensor(name="a", kind="F32", dimensions=(3,), content=lambda: b"0123")
    with pytest.raises(ValueError, match="a has 4 bytes, not 12"):
        written(tmp_path / "x.gguf", (wrong,))
