"""Writes a small GGUF file, version 3: metadata of texts and numbers, then tensors. The same input, the same bytes.

It knows no key's meaning, and quantises nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

ALIGNMENT = 32  # the format's default
_MAGIC, _VERSION = b"GGUF", 3
_FLOAT, _STRING = 6, 8  # kinds of metadata, by the specification's numbers
_TENSOR_KINDS = {"F32": (0, 4), "F16": (1, 2)}  # number, bytes of a value


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTensor:
    """A tensor that is to be written."""

    name: str
    """Unique in the file."""
    kind: str
    """F32 or F16."""
    dimensions: tuple[int, ...]
    """Lengths in the file's order: the first is that of a row."""
    content: Callable[[], bytes]
    """Makes its bytes when it is their turn, so that only one tensor is held at a time."""

    @property
    def size_bytes(self) -> int:
        """Of its bytes."""
        size = _TENSOR_KINDS[self.kind][1]
        for length in self.dimensions:
            size *= length
        return size


def write_gguf(file: BinaryIO, metadata: Mapping[str, str | float], tensors: Sequence[NewTensor]) -> None:
    """Writes the whole file. Raises ValueError where a tensor's bytes are not as many as it claims."""
    head = b"".join(
        (
            _MAGIC,
            struct.pack("<IQQ", _VERSION, len(tensors), len(metadata)),
            *(_entry(key, value) for key, value in metadata.items()),
            *_infos(tensors),
        )
    )
    file.write(head + _padding(len(head)))
    for tensor in tensors:
        content = tensor.content()
        if len(content) != tensor.size_bytes:
            raise ValueError(f"{tensor.name} has {len(content)} bytes, not {tensor.size_bytes}")
        file.write(content + _padding(len(content)))


def _entry(key: str, value: str | float) -> bytes:
    if isinstance(value, str):
        return _string(key) + struct.pack("<I", _STRING) + _string(value)
    return _string(key) + struct.pack("<If", _FLOAT, value)


def _infos(tensors: Sequence[NewTensor]) -> list[bytes]:
    infos, at = [], 0
    for tensor in tensors:
        lengths = tensor.dimensions
        number = _TENSOR_KINDS[tensor.kind][0]
        layout = f"<I{len(lengths)}QIQ"
        infos.append(_string(tensor.name) + struct.pack(layout, len(lengths), *lengths, number, at))
        at += tensor.size_bytes + len(_padding(tensor.size_bytes))
    return infos


def _string(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<Q", len(content)) + content


def _padding(length: int) -> bytes:
    return bytes(-length % ALIGNMENT)
