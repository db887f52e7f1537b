"""Reads what a GGUF file says of itself, and refuses a bad one before any engine sees it. Never reads a tensor.

The layout is the GGUF specification's, versions 2 and 3: header, metadata, tensor infos, padding, tensor data. Every
count and length is checked against a limit and against the file's size before anything of that size is read. Whether
the weights mean anything is not checked: the model store's digest vouches for them.
"""

from __future__ import annotations

import math
import os
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from homebred_engines.api import ModelRefusedError

MAX_METADATA_ENTRIES = 4096
MAX_TENSORS = 65_536
MAX_ARRAY_ITEMS = 4_000_000
MAX_KEY_BYTES = 65_535
MAX_STRING_BYTES = 4 * 1024 * 1024
MAX_DIMENSIONS = 4
_MAX_KEPT_ITEMS = 1024  # longer arrays (vocabulary, merges) are walked over, not kept
_MAX_ELEMENTS = 1 << 44
_MAX_ALIGNMENT = 1 << 16
_MAX_MODEL_FIGURE = 1 << 31
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_KV_BYTES_PER_VALUE = 2  # caches are held in 16 bits

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

_Value = int | float | bool | str | list[int | float | bool] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufFacts:
    """What a GGUF file says of its model."""

    architecture: str
    """`llama`, `qwen2`, …"""
    name: str
    """The model's name, or empty."""
    licence: str
    """As the file states it, or empty."""
    parameters: int
    """Elements of all tensors."""
    quantisation: str
    """Tensor type of most parameters, such as `Q4_1`."""
    context_tokens: int
    """Context the model was trained for."""
    embedding_length: int
    """Width of the hidden state."""
    layers: int
    """Transformer blocks."""
    has_chat_template: bool
    """Whether the file brings a chat template."""
    kv_bytes_per_token: int
    """What one token of context costs in a 16-bit cache, estimated from the attention's shape."""
    file_bytes: int
    """Size of the file."""


def read_gguf(path: Path) -> GgufFacts:
    """The file's facts. Raises ModelRefusedError when it is not a whole, sane GGUF model."""
    try:
        with path.open("rb") as file:
            return _Parser(file, path.name, os.fstat(file.fileno()).st_size).parse()
    except OSError as error:
        raise ModelRefusedError(
            f"{path.name} cannot be read: {error.strerror}.", hint="Check path and rights."
        ) from None


class _Parser:
    """One pass over the head of one file."""

    def __init__(self, file: BinaryIO, name: str, file_bytes: int) -> None:
        self._file = file
        self._name = name
        self._file_bytes = file_bytes
        self._at = 0

    def parse(self) -> GgufFacts:
        tensors, entries = self._header()
        metadata = self._metadata(entries)
        alignment = self._figure(metadata, "general.alignment", default=32, most=_MAX_ALIGNMENT)
        elements = self._tensor_infos(tensors, alignment)
        return self._facts(metadata, elements)

    def _refuse(self, why: str, hint: str = "") -> ModelRefusedError:
        return ModelRefusedError(f"{self._name} {why}.", hint=hint)

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
            raise self._refuse("is not a GGUF file", "Convert the model to GGUF, or choose an engine for its format.")
        version = self._number("I")
        if version not in _VERSIONS:
            why = f"is a GGUF file of version {version}; versions 2 and 3 are read"
            if version & 0xFFFF == 0:
                why = "is a big-endian GGUF file; little-endian ones are read"
            raise self._refuse(why, "Convert the model again with a current converter.")
        tensors = self._count("tensors", "Q", MAX_TENSORS)
        if not tensors:
            raise self._refuse("holds no tensor", "It may be a vocabulary only; choose the file with the weights.")
        return tensors, self._count("metadata entries", "Q", MAX_METADATA_ENTRIES)

    def _metadata(self, entries: int) -> dict[str, _Value]:
        metadata: dict[str, _Value] = {}
        for _ in range(entries):
            key = self._string("a key", MAX_KEY_BYTES)
            if key in metadata:
                raise self._refuse(f"names {key[:80]!r} twice")
            metadata[key] = self._value(self._number("I"))
        return metadata

    def _value(self, kind: int) -> _Value:
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

    def _tensor_infos(self, tensors: int, alignment: int) -> Counter[str]:
        """Elements by tensor type; refuses tensors that overlap, leave gaps or end elsewhere than the file."""
        elements: Counter[str] = Counter()
        names: set[str] = set()
        data_bytes = 0
        for _ in range(tensors):
            name = self._string("a tensor's name", MAX_KEY_BYTES)
            if name in names:
                raise self._refuse(f"names the tensor {name[:80]!r} twice")
            names.add(name)
            count, kind, size = self._tensor_shape(name)
            elements[kind] += count
            if self._number("Q") != data_bytes:
                raise self._refuse(f"places the tensor {name[:80]!r} elsewhere than behind the one before it")
            data_bytes += _padded(size, alignment)
        needed = _padded(self._at, alignment) + data_bytes
        if self._file_bytes < needed - (alignment - 1):
            raise self._refuse(f"is truncated: its tensors need {needed} bytes and it has {self._file_bytes}")
        if self._file_bytes > needed:
            raise self._refuse(f"is oversized: {self._file_bytes - needed} bytes follow its last tensor")
        return elements

    def _tensor_shape(self, name: str) -> tuple[int, str, int]:
        """Elements, type name and bytes of the tensor whose info comes next."""
        dimensions = [self._number("Q") for _ in range(self._count("dimensions of a tensor", "I", MAX_DIMENSIONS))]
        elements = math.prod(dimensions)
        if not 0 < elements <= _MAX_ELEMENTS:
            raise self._refuse(f"gives the tensor {name[:80]!r} {elements} elements")
        number = self._number("I")
        if number not in _TENSOR_TYPES:
            raise self._refuse(f"holds the tensor {name[:80]!r} in the unknown type {number}")
        kind, block_elements, block_bytes = _TENSOR_TYPES[number]
        if dimensions and dimensions[0] % block_elements:
            raise self._refuse(f"cuts the tensor {name[:80]!r} inside a block of {kind}")
        return elements, kind, elements // block_elements * block_bytes

    def _figure(self, metadata: dict[str, _Value], key: str, *, default: int | None = None, most: int) -> int:
        value = metadata.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
            raise self._refuse(f"gives {value!r:.80} for {key}")
        return value

    def _text(self, metadata: dict[str, _Value], key: str) -> str:
        value = metadata.get(key, "")
        if not isinstance(value, str):
            raise self._refuse(f"gives no text for {key}")
        return value

    def _facts(self, metadata: dict[str, _Value], elements: Counter[str]) -> GgufFacts:
        architecture = self._text(metadata, "general.architecture")
        kind = self._text(metadata, "general.type") or "model"
        if kind != "model" or not architecture:
            raise self._refuse(
                f"holds {kind!r:.80} of the architecture {architecture!r:.80}, not a base model",
                "Choose the base model's file; an adapter is loaded on top of one.",
            )
        if metadata.get("split.count", 1) not in (0, 1):
            raise self._refuse("is one part of several", "Merge the parts into one file.")
        layers = self._figure(metadata, f"{architecture}.block_count", most=MAX_TENSORS)
        return GgufFacts(
            architecture=architecture,
            name=self._text(metadata, "general.name"),
            licence=self._text(metadata, "general.license"),
            parameters=elements.total(),
            quantisation=elements.most_common(1)[0][0],
            context_tokens=self._figure(metadata, f"{architecture}.context_length", most=_MAX_MODEL_FIGURE),
            embedding_length=self._figure(metadata, f"{architecture}.embedding_length", most=_MAX_MODEL_FIGURE),
            layers=layers,
            has_chat_template=bool(self._text(metadata, "tokenizer.chat_template")),
            kv_bytes_per_token=self._kv_bytes_per_token(metadata, architecture, layers),
            file_bytes=self._file_bytes,
        )

    def _kv_bytes_per_token(self, metadata: dict[str, _Value], architecture: str, layers: int) -> int:
        """Layers x KV heads x (key + value length) x 2 bytes; heads may be listed per layer."""
        attention = f"{architecture}.attention."
        width = self._figure(metadata, f"{architecture}.embedding_length", most=_MAX_MODEL_FIGURE)
        heads = metadata.get(attention + "head_count", 1)
        most_heads = max(heads, default=1) if isinstance(heads, list) else heads
        if not isinstance(most_heads, int) or not 0 < most_heads <= width:
            raise self._refuse(f"gives {most_heads!r:.80} for {attention}head_count")
        kv_heads = metadata.get(attention + "head_count_kv", most_heads)
        all_kv_heads = sum(kv_heads) if isinstance(kv_heads, list) else kv_heads
        if not isinstance(all_kv_heads, int) or not 0 <= all_kv_heads <= _MAX_MODEL_FIGURE:
            raise self._refuse(f"gives {kv_heads!r:.80} for {attention}head_count_kv")
        if not isinstance(kv_heads, list):
            all_kv_heads *= layers
        key_length = self._figure(metadata, attention + "key_length", default=width // most_heads, most=width * 8)
        value_length = self._figure(metadata, attention + "value_length", default=width // most_heads, most=width * 8)
        return all_kv_heads * (key_length + value_length) * _KV_BYTES_PER_VALUE


def _padded(length: int, alignment: int) -> int:
    return -(-length // alignment) * alignment
