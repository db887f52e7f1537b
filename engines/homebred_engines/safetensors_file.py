"""Reads the head of a safetensors file, distrustfully, and single tensors of it. It makes no numbers of their bytes.

Such a file is eight bytes of length, that much JSON (for each name the type, the shape and where its bytes are), and
the tensors' bytes without a gap. Whether the weights mean anything is not checked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_HEAD_BYTES = 100_000_000  # safetensors' own limit
_LENGTH_BYTES = 8
_ITEM_BYTES = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"), 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """What a file says of one of its tensors."""

    dtype: str
    """`F32`, `F16`, `BF16`, …"""
    shape: tuple[int, ...]
    """Lengths, the last of them that of a row."""
    start: int
    """Of its bytes in the file."""
    size_bytes: int
    """How many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetensorsHead:
    """All that stands before a file's tensors."""

    tensors: Mapping[str, StoredTensor]
    """By name; at least one."""
    file_bytes: int
    """Size of the file."""


def read_safetensors_head(path: Path) -> SafetensorsHead:
    """The file's head.

    Raises:
        ValueError: it is not whole and sane; says why in words that go on from "holds a NAME".
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head_bytes = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if not 0 < head_bytes <= min(MAX_HEAD_BYTES, size - _LENGTH_BYTES):
            raise ValueError("that is truncated or no safetensors file")
        head = file.read(head_bytes)
    start = _LENGTH_BYTES + head_bytes
    try:
        listed = {name: each for name, each in json.loads(head).items() if name != "__metadata__"}
        tensors = {name: _tensor(each, start) for name, each in listed.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        tensors = {}
    if not tensors:
        raise ValueError("whose head lists no tensors")
    _check_places(tensors, start, size)
    return SafetensorsHead(tensors=tensors, file_bytes=size)


def read_tensor(path: Path, tensor: StoredTensor) -> bytes:
    """The bytes of one tensor of the file. Raises OSError, ValueError where the file has become shorter."""
    with path.open("rb") as file:
        file.seek(tensor.start)
        content = file.read(tensor.size_bytes)
    if len(content) != tensor.size_bytes:
        raise ValueError("that shrank while it was read")
    return content


def _tensor(entry: Mapping[str, Any], start: int) -> StoredTensor:
    """Raises ValueError, TypeError, KeyError for what is none."""
    begin, end = entry["data_offsets"]
    if not all(_is_count(each) for each in (*entry["shape"], begin, end)) or not isinstance(entry["dtype"], str):
        raise ValueError("a length is none")
    return StoredTensor(dtype=entry["dtype"], shape=tuple(entry["shape"]), start=start + begin, size_bytes=end - begin)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_places(tensors: Mapping[str, StoredTensor], start: int, file_bytes: int) -> None:
    """Every byte behind the head belongs to exactly one tensor, and each has as many as its shape takes."""
    at = start
    for name, tensor in sorted(tensors.items(), key=lambda each: (each[1].start, each[1].size_bytes)):
        item_bytes = _ITEM_BYTES.get(tensor.dtype)
        if item_bytes is not None and tensor.size_bytes != math.prod(tensor.shape) * item_bytes:
            raise ValueError(f"whose tensor {name[:80]!r} has {tensor.size_bytes} bytes, not what its shape takes")
        if tensor.start != at or tensor.size_bytes < 0:
            raise ValueError(f"whose tensor {name[:80]!r} is elsewhere than behind the one before it")
        at += tensor.size_bytes
    if at != file_bytes:
        raise ValueError(f"of {file_bytes} bytes; its head tells of {at}")
