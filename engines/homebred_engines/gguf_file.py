"""Reads what a GGUF file says of its model, and refuses a bad one before any engine sees it. Never reads a tensor.

How such a file is laid out, `gguf_head.py` knows. Whether the weights mean anything is not checked: the model store's
digest vouches for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from homebred_engines.api import ModelRefusedError
from homebred_engines.gguf_head import MAX_TENSORS, GgufHead, read_gguf_head

_MAX_MODEL_FIGURE = 1 << 31
_KV_BYTES_PER_VALUE = 2  # caches are held in 16 bits


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
    shapes: Mapping[str, tuple[int, ...]] = field(repr=False)
    """Dimensions of its tensors by name, in the file's order: what an adapter must fit."""


def read_gguf(path: Path) -> GgufFacts:
    """The file's facts. Raises ModelRefusedError when it is not a whole, sane GGUF model."""
    return _facts(read_gguf_head(path, ModelRefusedError))


def _facts(head: GgufHead) -> GgufFacts:
    architecture = head.text("general.architecture")
    kind = head.text("general.type") or "model"
    if kind != "model" or not architecture:
        raise head.refusal(
            f"holds {kind!r:.80} of the architecture {architecture!r:.80}, not a base model",
            "Choose the base model's file; an adapter is loaded on top of one.",
        )
    if head.metadata.get("split.count", 1) not in (0, 1):
        raise head.refusal("is one part of several", "Merge the parts into one file.")
    elements: Counter[str] = Counter()
    for tensor in head.tensors.values():
        elements[tensor.kind] += tensor.elements
    layers = head.figure(f"{architecture}.block_count", most=MAX_TENSORS)
    return GgufFacts(
        architecture=architecture,
        name=head.text("general.name"),
        licence=head.text("general.license"),
        parameters=elements.total(),
        quantisation=elements.most_common(1)[0][0],
        context_tokens=head.figure(f"{architecture}.context_length", most=_MAX_MODEL_FIGURE),
        embedding_length=head.figure(f"{architecture}.embedding_length", most=_MAX_MODEL_FIGURE),
        layers=layers,
        has_chat_template=bool(head.text("tokenizer.chat_template")),
        kv_bytes_per_token=_kv_bytes_per_token(head, architecture, layers),
        file_bytes=head.file_bytes,
        shapes={name: tensor.dimensions for name, tensor in head.tensors.items()},
    )


def _kv_bytes_per_token(head: GgufHead, architecture: str, layers: int) -> int:
    """Layers x KV heads x (key + value length) x 2 bytes; heads may be listed per layer."""
    attention = f"{architecture}.attention."
    width = head.figure(f"{architecture}.embedding_length", most=_MAX_MODEL_FIGURE)
    heads = head.metadata.get(attention + "head_count", 1)
    most_heads = max(heads, default=1) if isinstance(heads, list) else heads
    if not isinstance(most_heads, int) or not 0 < most_heads <= width:
        raise head.refusal(f"gives {most_heads!r:.80} for {attention}head_count")
    kv_heads = head.metadata.get(attention + "head_count_kv", most_heads)
    all_kv_heads = sum(kv_heads) if isinstance(kv_heads, list) else kv_heads
    if not isinstance(all_kv_heads, int) or not 0 <= all_kv_heads <= _MAX_MODEL_FIGURE:
        raise head.refusal(f"gives {kv_heads!r:.80} for {attention}head_count_kv")
    if not isinstance(kv_heads, list):
        all_kv_heads *= layers
    key_length = head.figure(attention + "key_length", default=width // most_heads, most=width * 8)
    value_length = head.figure(attention + "value_length", default=width // most_heads, most=width * 8)
    return all_kv_heads * (key_length + value_length) * _KV_BYTES_PER_VALUE
