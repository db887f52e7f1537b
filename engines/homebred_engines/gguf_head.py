"""Reads the head of a GGUF file, distrustfully: header, metadata and tensor infos. Never reads a tensor.

The layout is the GGUF specification's, versions 2 and 3: header, metadata, tensor infos, padding, tensor data. Every
count and length is checked against a limit and against the file's size before anything of that size is read. What the
keys and tensors mean is for `gguf_file.py` (models) and `gguf_adapter.py` (adapters) to say.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeGuard

from homebred_engines.api import EngineError

MAX_METADATA_ENTRIES = 4096
MAX_TENSORS = 65_536
MAX_ARRAY_ITEMS = 4_000_000
MAX_KEY_BYTES = 65_535
MAX_STRING_BYTES = 4 * 1024 * 1024
MAX_DIMENSIONS = 4
_MAX_KEPT_ITEMS = 1024  # longer arrays (vocabulary, merges) are walked over, not kept
_MAX_ELEMENTS = 1 << 44
_DEFAULT_ALIGNMENT = 32
_MAX_ALIGNMENT = 1 << 16
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)

# Metadata value types, by the specification's numbers.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9

# Tensor types: number -> (name, elements in a block, bytes of a block).
_TENSOR_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}

Value = int | float | bool | str | list[int | float | bool] | None


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """What a file says of one of its tensors."""

    dimensions: tuple[int, ...]
    """Lengths in the file's order: the first is that of a row."""
    kind: str
    """Its type's name, such as `Q4_1`."""
    size_bytes: int
    """Of its data."""

    @property
    def elements(self) -> int:
        """How many values it holds."""
        return math.prod(self.dimensions)


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHead:
    """All that stands before a file's data."""

    file_name: str
    """For refusals."""
    file_bytes: int
    """Size of the file."""
    metadata: Mapping[str, Value]
    """By key; None stands for a long array."""
    tensors: Mapping[str, GgufTensor]
    """By name; at least one."""
    refused: type[EngineError]
    """What a refusal is raised as."""

    def refusal(self, why: str, hint: str = "") -> EngineError:
        """The error that says why this file is not taken."""
        return self.refused(f"{self.file_name} {why}.", hint=hint)

    def figure(self, key: str, *, default: int | None = None, most: int) -> int:
        """A whole number above 0. Raises the refusal where the file gives none."""
        value = self.metadata.get(key, default)
        if not _is_figure(value, most):
            raise self.refusal(f"gives {value!r:.80} for {key}")
        return value

    def text(self, key: str) -> str:
        """A text, empty where there is none. Raises the refusal where it is something else."""
        value = self.metadata.get(key, "")
        if not isinstance(value, str):
            raise self.refusal(f"gives no text for {key}")
        return value


def read_gguf_head(path: Path, refused: type[EngineError]) -> GgufHead:
    """The file's head. Raises `refused` when it is not a whole, sane GGUF file."""
    try:
        with path.open("rb") as file:
            return _Parser(file, path.name, os.fstat(file.fileno()).st_size, refused).parse()
    except OSError as error:
        raise refused(f"{path.name} cannot be read: {error.strerror}.", hint="Check path and rights.") from None


class _Parser:
    """One pass over the head of one file."""

    def __init__(self, file: BinaryIO, name: str, file_bytes: int, refused: type[EngineError]) -> None:
        self._file = file
        self._name = name
        self._file_bytes = file_bytes
        self._refused = refused
        self._at = 0

    def parse(self) -> GgufHead:
        tensors, entries = self._header()
        metadata = self._metadata(entries)
        return GgufHead(
            file_name=self._name,
            file_bytes=self._file_bytes,
            metadata=metadata,
            tensors=self._tensors(tensors, self._alignment(metadata)),
            refused=self._refused,
        )

    def _refuse(self, why: str, hint: str = "") -> EngineError:
        return self._refused(f"{self._name} {why}.", hint=hint)

    def _read(self, length: int) -> bytes:
        if length > self._file_bytes - self._at:
            raise self._refuse(f"is truncated: it ends at byte {self._file_bytes}, inside its header")
        content = self._file.read(length)
        if len(content) != length:
            raise self._refuse("shrank while it was read")
        self._at += length
        return content

    def _skip(self, length: int) -> None:
        if length > self._file_bytes - self._at:
            raise self._refuse(f"is truncated: it ends at byte {self._file_bytes}, inside its header")
        self._file.seek(length, os.SEEK_CUR)
        self._at += length

    def _number(self, code: str) -> int:
        (value,) = struct.unpack("<" + code, self._read(struct.calcsize("<" + code)))
        return int(value)

    def _count(self, what: str, code: str, most: int) -> int:
        count = self._number(code)
        if count > most:
            raise self._refuse(f"claims {count} {what}; at most {most} are read")
        return count

    def _string(self, what: str, most: int = MAX_STRING_BYTES) -> str:
        content = self._read(self._count(f"bytes of {what}", "Q", most))
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise self._refuse(f"holds {what} that is not UTF-8") from None

    def _header(self) -> tuple[int, int]:
        if self._file_bytes < len(_MAGIC) or self._read(len(_MAGIC)) != _MAGIC:
            raise self._refuse("is not a GGUF file", "Convert it to GGUF, or choose an engine for its format.")
        version = self._number("I")
        if version not in _VERSIONS:
            why = f"is a GGUF file of version {version}; versions 2 and 3 are read"
            if version & 0xFFFF == 0:
                why = "is a big-endian GGUF file; little-endian ones are read"
            raise self._refuse(why, "Convert it again with a current converter.")
        tensors = self._count("tensors", "Q", MAX_TENSORS)
        if not tensors:
            raise self._refuse("holds no tensor", "It may be a vocabulary only; choose the file with the weights.")
        return tensors, self._count("metadata entries", "Q", MAX_METADATA_ENTRIES)

    def _metadata(self, entries: int) -> dict[str, Value]:
        metadata: dict[str, Value] = {}
        for _ in range(entries):
            key = self._string("a key", MAX_KEY_BYTES)
            if key in metadata:
                raise self._refuse(f"names {key[:80]!r} twice")
            metadata[key] = self._value(self._number("I"))
        return metadata

    def _value(self, kind: int) -> Value:
        if kind == _STRING:
            return self._string("a value")
        if kind == _ARRAY:
            return self._array()
        code = _SCALARS.get(kind)
        if code is None:
            raise self._refuse(f"holds a value of the unknown type {kind}")
        value: int | float | bool = struct.unpack("<" + code, self._read(struct.calcsize("<" + code)))[0]
        return value

    def _array(self) -> list[int | float | bool] | None:
        kind = self._number("I")
        items = self._count("items of an array", "Q", MAX_ARRAY_ITEMS)
        if kind == _STRING:
            for _ in range(items):
                self._skip(self._count("bytes of an item", "Q", MAX_STRING_BYTES))
            return None
        code = _SCALARS.get(kind)
        if code is None:
            raise self._refuse(f"holds an array of the unknown or nested type {kind}")
        if items > _MAX_KEPT_ITEMS:
            self._skip(items * struct.calcsize("<" + code))
            return None
        layout = f"<{items}{code}"
        return list(struct.unpack(layout, self._read(struct.calcsize(layout))))

    def _alignment(self, metadata: dict[str, Value]) -> int:
        alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        if not _is_figure(alignment, _MAX_ALIGNMENT):
            raise self._refuse(f"gives {alignment!r:.80} for general.alignment")
        return alignment

    def _tensors(self, count: int, alignment: int) -> dict[str, GgufTensor]:
        """By name; refuses tensors that overlap, leave gaps or end elsewhere than the file."""
        tensors: dict[str, GgufTensor] = {}
        data_bytes = 0
        for _ in range(count):
            name = self._string("a tensor's name", MAX_KEY_BYTES)
            if name in tensors:
                raise self._refuse(f"names the tensor {name[:80]!r} twice")
            tensors[name] = tensor = self._tensor(name)
            if self._number("Q") != data_bytes:
                raise self._refuse(f"places the tensor {name[:80]!r} elsewhere than behind the one before it")
            data_bytes += _padded(tensor.size_bytes, alignment)
        needed = _padded(self._at, alignment) + data_bytes
        if self._file_bytes < needed - (alignment - 1):
            raise self._refuse(f"is truncated: its tensors need {needed} bytes and it has {self._file_bytes}")
        if self._file_bytes > needed:
            raise self._refuse(f"is oversized: {self._file_bytes - needed} bytes follow its last tensor")
        return tensors

    def _tensor(self, name: str) -> GgufTensor:
        """The tensor whose info comes next, up to where its offset stands."""
        lengths = tuple(self._number("Q") for _ in range(self._count("dimensions of a tensor", "I", MAX_DIMENSIONS)))
        elements = math.prod(lengths)
        if not 0 < elements <= _MAX_ELEMENTS:
            raise self._refuse(f"gives the tensor {name[:80]!r} {elements} elements")
        number = self._number("I")
        if number not in _TENSOR_TYPES:
            raise self._refuse(f"holds the tensor {name[:80]!r} in the unknown type {number}")
        kind, block_elements, block_bytes = _TENSOR_TYPES[number]
        if lengths and lengths[0] % block_elements:
            raise self._refuse(f"cuts the tensor {name[:80]!r} inside a block of {kind}")
        return GgufTensor(lengths, kind, elements // block_elements * block_bytes)


def _is_figure(value: Value, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most


def _padded(length: int, alignment: int) -> int:
    return -(-length // alignment) * alignment
