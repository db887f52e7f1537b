"""Reads what a GGUF LoRA adapter says of itself, and refuses a bad one, or one for another base. Never reads a tensor.

The form is that of llama.cpp's converter: for each tensor of the base that it changes, a factor A (`….lora_a`) and a
factor B (`….lora_b`). In the file's order of dimensions the base's tensor is (in, out), A is (in, rank), B (rank, out).
Of the token embedding, which is looked up and not multiplied with, A is (rank, tokens) and B (rank, width). llama.cpp
would refuse the same, but tells its caller no more than that it failed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from homebred_engines.api import AdapterRefusedError
from homebred_engines.gguf_file import GgufFacts
from homebred_engines.gguf_head import MAX_DIMENSIONS, GgufHead, read_gguf_head

BASE_DIGEST_KEY = "homebred.base_digest"
"""Optional; `sha256:` of the base model's file that the adapter was made for."""
_LOOKED_UP = "token_embd.weight"
_FACTORS = (".lora_a", ".lora_b")
_MATRIX = 2  # dimensions
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHOOSE_ANOTHER = "Choose an adapter that was made for this base model, or the base that this one was made for."

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LoraPair:
    """The two factors that change one tensor of the base."""

    first: Shape
    """Dimensions of A, in the file's order, 1 where the file names none."""
    second: Shape
    """Of B."""
    is_looked_up: bool
    """Whether the tensor is the token embedding."""

    @property
    def rank(self) -> int:
        """What both factors have in common; at least 1."""
        return self.second[0]

    @property
    def target(self) -> Shape:
        """The shape that the base's tensor must have."""
        if self.is_looked_up:
            return (self.second[1], self.first[1], *self.second[2:])
        return (self.first[0], self.second[1], *self.second[2:])


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufAdapterFacts:
    """What a GGUF file says of its LoRA adapter."""

    file_name: str
    """For refusals."""
    architecture: str
    """Of the base that it was made for: `llama`, `qwen2`, …"""
    name: str
    """The adapter's name, or empty."""
    alpha: float
    """Its effect is scaled by alpha / rank; 0: not scaled."""
    rank: int
    """The largest of its pairs."""
    pairs: Mapping[str, LoraPair] = field(repr=False)
    """By the name of the base's tensor; at least one."""
    base_digest: str
    """`sha256:` of the base's file that it was made for; empty: not recorded."""
    file_bytes: int
    """Size of the file."""


def read_gguf_adapter(path: Path) -> GgufAdapterFacts:
    """The file's facts. Raises AdapterRefusedError when it is not a whole, sane GGUF LoRA adapter."""
    return _facts(read_gguf_head(path, AdapterRefusedError))


def refuse_foreign(adapter: GgufAdapterFacts, base: GgufFacts, base_digest: str) -> None:
    """Raises AdapterRefusedError where the adapter was made for another base.

    Args:
        adapter: what its file says.
        base: what the base's file says.
        base_digest: `sha256:` of the base's file; empty: not known, and not compared.
    """
    if adapter.architecture != base.architecture:
        raise _foreign(
            adapter, f"is for the architecture {adapter.architecture!r:.80}, the base is {base.architecture!r:.80}"
        )
    for target, pair in adapter.pairs.items():
        shape = base.shapes.get(target)
        if shape is None:
            raise _foreign(adapter, f"changes the tensor {target[:80]!r}, which the base does not have")
        if pair.target != _filled(shape):
            raise _foreign(
                adapter,
                f"changes the tensor {target[:80]!r} as one of {_told(pair.target)}; the base's has {_told(shape)}",
            )
    if adapter.base_digest and base_digest and adapter.base_digest != base_digest:
        raise _foreign(adapter, f"was made for the base {adapter.base_digest}, and this base is {base_digest}")


def _foreign(adapter: GgufAdapterFacts, why: str) -> AdapterRefusedError:
    return AdapterRefusedError(f"{adapter.file_name} {why}.", hint=_CHOOSE_ANOTHER)


def _facts(head: GgufHead) -> GgufAdapterFacts:
    architecture = head.text("general.architecture")
    kind, method = head.text("general.type") or "model", head.text("adapter.type")
    if (kind, method) != ("adapter", "lora") or not architecture:
        raise head.refusal(
            f"holds {kind!r:.80} ({method!r:.80}) for the architecture {architecture!r:.80}, not a LoRA adapter",
            "Choose the adapter's file; a base model is named under [base].",
        )
    pairs = _pairs(head)
    return GgufAdapterFacts(
        file_name=head.file_name,
        architecture=architecture,
        name=head.text("general.name"),
        alpha=_alpha(head),
        rank=max(pair.rank for pair in pairs.values()),
        pairs=pairs,
        base_digest=_base_digest(head),
        file_bytes=head.file_bytes,
    )


def _alpha(head: GgufHead) -> float:
    value = head.metadata.get("adapter.lora.alpha", 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value >= 0):
        raise head.refusal(f"gives {value!r:.80} for adapter.lora.alpha")
    return float(value)


def _base_digest(head: GgufHead) -> str:
    digest = head.text(BASE_DIGEST_KEY)
    if digest and _DIGEST.fullmatch(digest) is None:
        raise head.refusal(f"gives {digest!r:.80} for {BASE_DIGEST_KEY}", "Write sha256: and 64 hexadecimal digits.")
    return digest


def _pairs(head: GgufHead) -> dict[str, LoraPair]:
    """By target; every tensor of the file belongs to exactly one."""
    factors: dict[str, dict[str, Shape]] = {}
    for name, tensor in head.tensors.items():
        target, factor = name[: -len(_FACTORS[0])], name[-len(_FACTORS[0]) :]
        if factor not in _FACTORS or not target:
            raise head.refusal(f"holds the tensor {name[:80]!r}, which is no factor of a LoRA pair")
        factors.setdefault(target, {})[factor] = _filled(tensor.dimensions)
    return {target: _pair(head, target, found) for target, found in factors.items()}


def _pair(head: GgufHead, target: str, found: Mapping[str, Shape]) -> LoraPair:
    missing = [factor for factor in _FACTORS if factor not in found]
    if missing:
        raise head.refusal(f"lacks the tensor {target[:80] + missing[0]!r}, the other half of a LoRA pair")
    first, second = (found[factor] for factor in _FACTORS)
    is_looked_up = target == _LOOKED_UP
    if first[0 if is_looked_up else 1] != second[0] or first[2:] != second[2:]:
        raise head.refusal(f"pairs {_told(first)} with {_told(second)} for {target[:80]!r}, which share no rank")
    return LoraPair(first, second, is_looked_up)


def _filled(shape: Shape) -> Shape:
    """The shape with as many dimensions as a tensor can have: a file may leave out those of 1 at the end."""
    return shape + (1,) * (MAX_DIMENSIONS - len(shape))


def _told(shape: Shape) -> str:
    """`64 x 32`, or all dimensions where matrices are stacked."""
    matrix, stacked = shape[:_MATRIX], shape[_MATRIX:]
    return " x ".join(map(str, matrix if set(stacked) <= {1} else shape))
