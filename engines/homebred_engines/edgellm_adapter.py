"""Reads a LoRA adapter in the form that TensorRT Edge-LLM takes, and refuses what does not fit the engine.

The form is what `tensorrt-edgellm-process-lora` makes of a PEFT folder: one safetensors file, whose names begin with
`model.`, with `lora_A` as inputs x rank and `lora_B` as rank x outputs. No tensor is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from homebred_engines.api import AdapterRefusedError
from homebred_engines.edgellm_bundle import BundleFacts
from homebred_engines.safetensors_file import StoredTensor, read_safetensors_head

_TENSOR = re.compile(r"(model\.(?:\w+\.)*?layers\.(\d{1,5})\.[\w.]+\.(\w+))\.lora_([AB])\.weight")
_FROM_HIDDEN = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")
_TO_HIDDEN = ("o_proj", "down_proj")
_PROCESS = "Make it with tensorrt-edgellm-process-lora of the PEFT folder that was bred for this base."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """The two tensors that adapt one linear layer of the base."""

    name: str
    layer: int
    module: str
    """`q_proj`, …"""
    inputs: int
    rank: int
    outputs: int


def adapter_bytes(path: Path, bundle: BundleFacts) -> int:
    """The file's size, once it is known to fit the engine. Raises AdapterRefusedError."""
    try:
        head = read_safetensors_head(path)
    except OSError as error:
        raise AdapterRefusedError(
            f"{path.name} cannot be read: {error.strerror}.", hint="Check path and rights."
        ) from None
    except ValueError as error:
        raise AdapterRefusedError(f"{path.name} is a file {error}.", hint=_PROCESS) from None
    try:
        for pair in _pairs(head.tensors):
            _refuse_unfitting(pair, bundle)
    except ValueError as error:
        raise AdapterRefusedError(f"{path.name} {error}.", hint=_PROCESS) from None
    return head.file_bytes


def _pairs(tensors: Mapping[str, StoredTensor]) -> list[_Pair]:
    """Raises ValueError for a tensor that belongs to no pair."""
    halves: dict[str, dict[str, StoredTensor]] = {}
    places: dict[str, tuple[int, str]] = {}
    for name, tensor in tensors.items():
        found = _TENSOR.fullmatch(name)
        if found is None or len(tensor.shape) != 2:  # noqa: PLR2004 - a matrix
            raise ValueError(f"holds {name[:80]!r}, which is no processed LoRA tensor")
        halves.setdefault(found[1], {})[found[4]] = tensor
        places[found[1]] = (int(found[2]), found[3])
    pairs = []
    for name, half in halves.items():
        if half.keys() != {"A", "B"} or half["A"].shape[1] != half["B"].shape[0]:
            raise ValueError(f"holds no lora_A and lora_B of one rank for {name[:80]!r}")
        layer, module = places[name]
        inputs, rank, outputs = *half["A"].shape, half["B"].shape[1]
        pairs.append(_Pair(name=name, layer=layer, module=module, inputs=inputs, rank=rank, outputs=outputs))
    return pairs


def _refuse_unfitting(pair: _Pair, bundle: BundleFacts) -> None:
    """Raises ValueError."""
    if pair.rank > bundle.adapter_rank:
        raise ValueError(f"has rank {pair.rank}, and the engine was built for adapters of rank {bundle.adapter_rank}")
    if pair.layer >= bundle.layers:
        raise ValueError(f"adapts layer {pair.layer} of another base; this one has {bundle.layers}")
    width = pair.inputs if pair.module in _FROM_HIDDEN else pair.outputs if pair.module in _TO_HIDDEN else None
    if width is not None and width != bundle.hidden_size:
        raise ValueError(f"adapts a base of width {width}, and this one has {bundle.hidden_size} ({pair.name})")
