"""Reads what a PEFT LoRA folder says of itself, and refuses what is none or holds more than can be carried over.

Such a folder is what an adapter is bred as; every engine's own form is derived from it. Taken is plain LoRA on the
linear layers of attention and feed-forward, one rank and one alpha for all of them: `adapter_config.json` and
`adapter_model.safetensors`. Anything else that would change the answers is refused, never left out in silence. No
tensor is read: whether the weights mean anything is for the golden set to say.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homebred_engines.api import AdapterRefusedError
from homebred_engines.checkpoint import read_linear_shapes
from homebred_engines.safetensors_file import StoredTensor, read_safetensors_head

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
MODULES = {
    **dict.fromkeys(("q_proj", "k_proj", "v_proj", "o_proj"), "self_attn"),
    **dict.fromkeys(("gate_proj", "up_proj", "down_proj"), "mlp"),
}
"""The linear layers that can be adapted, with the block of a transformer's layer that each belongs to."""
DTYPES = ("F32", "F16", "BF16")
MAX_RANK = 1024
_MAX_CONFIG_BYTES = 1024 * 1024
_MAX_ALPHA = 1e6
_PICKLED_FILE = "adapter_model.bin"
_TENSOR_NAME = re.compile(r"base_model\.model\.model\.layers\.(0|[1-9][0-9]{0,4})\.(\w+)\.(\w+)\.lora_([AB])\.weight")
# What changes an adapter's answers and has no place in the forms that are derived from it, by its key in the config.
_NOT_CARRIED = {
    "use_dora": "DoRA scales the base's own weights",
    "use_qalora": "QA-LoRA pools the input",
    "modules_to_save": "it replaces whole layers of the base",
    "trainable_token_indices": "it replaces rows of the base's embedding",
    "target_parameters": "it adapts parameters that are no linear layers",
    "alora_invocation_tokens": "it works from a certain text on alone",
    "arrow_config": "it chooses among adapters for each token",
    "use_bdlora": "its factors are block-diagonal",
    "layer_replication": "it stacks the base's layers anew",
    "rank_pattern": "it has several ranks",
    "alpha_pattern": "it has several alphas",
    "lora_bias": "it adds biases",
    "fan_in_fan_out": "its weights are transposed",
}
_BREED_PLAIN = "Breed it as plain LoRA: one r, one lora_alpha, bias none, linear layers alone."


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptedLinear:
    """One linear layer of the base and the two factors that are added to it."""

    layer: int
    """From 0."""
    module: str
    """One of MODULES."""
    down: StoredTensor
    """`lora_A`: rank x inputs."""
    up: StoredTensor
    """`lora_B`: outputs x rank."""

    @property
    def shape(self) -> tuple[int, int]:
        """Inputs and outputs that the base's layer must have."""
        return self.down.shape[1], self.up.shape[0]

    def told(self) -> str:
        """As people name it."""
        return f"{self.module} of layer {self.layer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeftAdapter:
    """What a folder says of its adapter."""

    folder: Path
    """Where it is."""
    rank: int
    """Of every pair of factors."""
    alpha: float
    """`lora_alpha`."""
    is_rank_stabilised: bool
    """Whether its effect is scaled by alpha / √rank (rsLoRA) instead of alpha / rank."""
    base_model: str
    """What it was bred on, as it says; may be empty or a path of another machine."""
    linears: tuple[AdaptedLinear, ...]
    """By layer, then in the order of MODULES; at least one."""

    @property
    def weights_path(self) -> Path:
        """The file that holds the factors."""
        return self.folder / WEIGHTS_FILE

    @property
    def scale(self) -> float:
        """What the product of the factors is multiplied with."""
        return self.alpha / (math.sqrt(self.rank) if self.is_rank_stabilised else self.rank)


def read_peft_adapter(folder: Path) -> PeftAdapter:
    """The folder's adapter. Raises AdapterRefusedError."""
    try:
        config = _config(folder)
        _refuse_other_kinds(folder, config)
        rank, alpha = config.get("r"), config.get("lora_alpha")
        if not isinstance(rank, int) or isinstance(rank, bool) or not 0 < rank <= MAX_RANK:
            raise _refusal(folder, f"gives {rank!r:.80} for r", f"Write a rank from 1 to {MAX_RANK}.")
        if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 0 < alpha <= _MAX_ALPHA:
            raise _refusal(folder, f"gives {alpha!r:.80} for lora_alpha", "Write a number above 0.")
        return PeftAdapter(
            folder=folder,
            rank=rank,
            alpha=float(alpha),
            is_rank_stabilised=bool(config.get("use_rslora")),
            base_model=str(config.get("base_model_name_or_path") or ""),
            linears=_linears(folder, _tensors(folder), rank),
        )
    except OSError as error:
        raise AdapterRefusedError(
            f"{folder.name} cannot be read as a PEFT folder: {error.strerror}.",
            hint=f"Name a folder with {CONFIG_FILE} and {WEIGHTS_FILE}, and check its rights.",
        ) from None


def refuse_misfit(adapter: PeftAdapter, base: str, shape_of: Callable[[AdaptedLinear], tuple[int, int] | None]) -> None:
    """Raises AdapterRefusedError where the base has no such layers, or in other sizes.

    Args:
        adapter: what was read of its folder.
        base: the base's name, for people.
        shape_of: inputs and outputs of the base's layer; None: it has none such.
    """
    for linear in adapter.linears:
        expected = shape_of(linear)
        if expected is None:
            raise _foreign(adapter, f"adapts {linear.told()}, which {base} does not have")
        if linear.shape != expected:
            mine, theirs = (f"{inputs} to {outputs}" for inputs, outputs in (linear.shape, expected))
            raise _foreign(adapter, f"takes {linear.told()} as one from {mine}; in {base} it is one from {theirs}")


def refuse_other_checkpoint(adapter: PeftAdapter, checkpoint: Path) -> None:
    """Raises AdapterRefusedError where a checkpoint, which `read_checkpoint` has taken, has no such layers."""
    known = read_linear_shapes(checkpoint)

    def shape_of(linear: AdaptedLinear) -> tuple[int, int] | None:
        return known.shapes.get(linear.module) if linear.layer < known.layers else None

    refuse_misfit(adapter, checkpoint.name, shape_of)


def _foreign(adapter: PeftAdapter, why: str) -> AdapterRefusedError:
    bred_on = f" It says that it was bred on {adapter.base_model[:80]!r}." if adapter.base_model else ""
    hint = "Name the base that it was bred on, or an adapter that was bred on this one."
    return AdapterRefusedError(f"{adapter.folder.name} {why}.{bred_on}", hint=hint)


def _refusal(folder: Path, why: str, hint: str = _BREED_PLAIN) -> AdapterRefusedError:
    return AdapterRefusedError(f"{folder.name} {why}.", hint=hint)


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / CONFIG_FILE
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise _refusal(folder, f"holds a {CONFIG_FILE} of more than {_MAX_CONFIG_BYTES} bytes")
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise _refusal(folder, f"holds a {CONFIG_FILE} that is no JSON object", "Save the adapter again with PEFT.")
    return config


def _refuse_other_kinds(folder: Path, config: Mapping[str, Any]) -> None:
    if config.get("peft_type") != "LORA":
        raise _refusal(folder, f"holds an adapter of the kind {config.get('peft_type')!r:.80}, not LORA")
    for key, why in _NOT_CARRIED.items():
        if config.get(key):
            raise _refusal(folder, f"sets {key} in {CONFIG_FILE}: {why}, which cannot be carried over")
    if config.get("bias") not in (None, "none"):
        raise _refusal(
            folder, f"sets bias in {CONFIG_FILE}: it trained the base's biases, which cannot be carried over"
        )


def _tensors(folder: Path) -> Mapping[str, StoredTensor]:
    path = folder / WEIGHTS_FILE
    if not path.is_file() and (folder / _PICKLED_FILE).is_file():
        raise _refusal(
            folder,
            f"holds its weights as {_PICKLED_FILE}: opening such a file runs what somebody put into it",
            f"Save the adapter again as {WEIGHTS_FILE} (safe_serialization=True).",
        )
    try:
        return read_safetensors_head(path).tensors
    except ValueError as error:
        raise _refusal(folder, f"holds a {WEIGHTS_FILE} {error}", "Fetch the file again.") from None


def _linears(folder: Path, tensors: Mapping[str, StoredTensor], rank: int) -> tuple[AdaptedLinear, ...]:
    """Every tensor of the file belongs to exactly one of them."""
    factors: dict[tuple[int, str], dict[str, StoredTensor]] = {}
    for name, tensor in tensors.items():
        matched = _TENSOR_NAME.fullmatch(name)
        if matched is None or MODULES.get(matched[3]) != matched[2]:
            raise _refusal(folder, f"adapts {name[:120]!r}; {', '.join(MODULES)} of the layers can be adapted")
        if tensor.dtype not in DTYPES or len(tensor.shape) != 2:  # noqa: PLR2004 - a matrix
            raise _refusal(folder, f"holds {name[:120]!r} as {tensor.dtype} of {len(tensor.shape)} dimensions")
        factors.setdefault((int(matched[1]), matched[3]), {})[matched[4]] = tensor
    order = list(MODULES)
    keys = sorted(factors, key=lambda each: (each[0], order.index(each[1])))
    return tuple(_linear(folder, layer, module, factors[layer, module], rank) for layer, module in keys)


def _linear(folder: Path, layer: int, module: str, found: Mapping[str, StoredTensor], rank: int) -> AdaptedLinear:
    for factor in "AB":
        if factor not in found:
            raise _refusal(folder, f"lacks lora_{factor} for {module} of layer {layer}", "Fetch the file again.")
    down, up = found["A"], found["B"]
    if down.shape[0] != rank or up.shape[1] != rank or 0 in (*down.shape, *up.shape):
        sizes = " and ".join("x".join(map(str, each.shape)) for each in (down, up))
        raise _refusal(folder, f"pairs factors of {sizes} for {module} of layer {layer}; its rank is {rank}")
    return AdaptedLinear(layer=layer, module=module, down=down, up=up)
