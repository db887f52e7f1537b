"""Derives llama.cpp's form of an adapter from its PEFT folder: a GGUF file for one GGUF base. Same input, same bytes.

Numbers keep their precision: 16-bit floats stay, bfloat16 and 32-bit ones become 32-bit floats. A base of the
architecture `llama` holds the rows of its query and key matrices in another order than PEFT's base did (its rotary
embedding turns neighbouring values, transformers' those half a head apart); the adapter's rows are moved alike. Of
architectures that are not listed here nobody has proved such an order, and they are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from homebred_engines.api import AdapterRefusedError, ModelRefusedError
from homebred_engines.gguf_adapter import BASE_DIGEST_KEY
from homebred_engines.gguf_head import GgufHead, read_gguf_head
from homebred_engines.gguf_writer import NewTensor, write_gguf
from homebred_engines.peft_adapter import AdaptedLinear, PeftAdapter, refuse_misfit
from homebred_engines.safetensors_file import StoredTensor, read_tensor

TENSOR_OF_MODULE = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}
MOVES_ROWS = {"llama": True, "qwen2": False}
"""By architecture: whether rows of queries and keys stand in another order than in PEFT's base."""
_HEADS_KEY = {"q_proj": "head_count", "k_proj": "head_count_kv"}
_MAX_HEADS = 1 << 16


def write_gguf_adapter(file: BinaryIO, adapter: PeftAdapter, base: Path, base_digest: str) -> None:
    """Writes the adapter for a base.

    Args:
        file: where to.
        adapter: what was read of its folder.
        base: a GGUF model.
        base_digest: `sha256:` of that file, written into the adapter's.

    Raises:
        ModelRefusedError: the base is no GGUF model.
        AdapterRefusedError: the adapter is for another base, or cannot be read.
    """
    head = read_gguf_head(base, ModelRefusedError)
    architecture = head.text("general.architecture")
    if architecture not in MOVES_ROWS:
        known = ", ".join(MOVES_ROWS)
        raise AdapterRefusedError(
            f"{base.name} is of the architecture {architecture!r:.80}; adapters are converted for {known}.",
            hint="Convert it with llama.cpp's convert_lora_to_gguf.py, and name the file in the specialist's manifest.",
        )
    refuse_misfit(adapter, base.name, lambda linear: _shape(head, linear))
    tensors = [tensor for linear in adapter.linears for tensor in _pair(adapter, linear, _heads(head, linear))]
    # llama.cpp divides alpha by the rank, and knows no other scale.
    metadata: dict[str, str | float] = {
        "general.type": "adapter",
        "general.architecture": architecture,
        "adapter.type": "lora",
        "adapter.lora.alpha": adapter.scale * adapter.rank,
        BASE_DIGEST_KEY: base_digest,
    }
    try:
        write_gguf(file, metadata, tensors)
    except ValueError as error:
        raise AdapterRefusedError(f"{adapter.folder.name} holds weights {error}.", hint="Fetch them again.") from None


def _shape(head: GgufHead, linear: AdaptedLinear) -> tuple[int, int] | None:
    tensor = head.tensors.get(_base_tensor(linear))
    if tensor is None or len(tensor.dimensions) != 2:  # noqa: PLR2004 - a matrix
        return None
    return tensor.dimensions[0], tensor.dimensions[1]


def _base_tensor(linear: AdaptedLinear) -> str:
    return f"blk.{linear.layer}.{TENSOR_OF_MODULE[linear.module]}.weight"


def _heads(head: GgufHead, linear: AdaptedLinear) -> int:
    """Heads whose rows are to be moved; 0: none are."""
    architecture = head.text("general.architecture")
    if linear.module not in _HEADS_KEY or not MOVES_ROWS[architecture]:
        return 0
    attention = f"{architecture}.attention."
    queries = head.figure(attention + "head_count", most=_MAX_HEADS)
    heads = head.figure(attention + _HEADS_KEY[linear.module], default=queries, most=_MAX_HEADS)
    if linear.shape[1] % (2 * heads):
        raise head.refusal(f"cuts the {linear.shape[1]} rows of {_base_tensor(linear)} into {heads} heads")
    return heads


def _pair(adapter: PeftAdapter, linear: AdaptedLinear, heads: int) -> tuple[NewTensor, NewTensor]:
    """The two tensors of one layer; in the file's order of dimensions a row comes first."""
    inputs, outputs = linear.shape
    name = _base_tensor(linear)
    down = partial(_content, adapter.weights_path, linear.down)
    up = partial(_content, adapter.weights_path, linear.up)
    return (
        NewTensor(name=f"{name}.lora_a", kind=_kind(linear.down), dimensions=(inputs, adapter.rank), content=down),
        NewTensor(
            name=f"{name}.lora_b",
            kind=_kind(linear.up),
            dimensions=(adapter.rank, outputs),
            content=partial(_moved, up, outputs, heads) if heads else up,
        ),
    )


def _kind(tensor: StoredTensor) -> str:
    return "F16" if tensor.dtype == "F16" else "F32"


def _content(path: Path, tensor: StoredTensor) -> bytes:
    content = read_tensor(path, tensor)
    return _widened(content) if tensor.dtype == "BF16" else content


def _widened(content: bytes) -> bytes:
    """Bfloat16 as 32-bit floats: it is their upper half."""
    wide = bytearray(2 * len(content))
    wide[2::4], wide[3::4] = content[0::2], content[1::2]
    return bytes(wide)


def _moved(content: Callable[[], bytes], rows: int, heads: int) -> bytes:
    """The rows in the order of llama.cpp's converter: of each head the first of either half, then the second."""
    before = content()
    row_bytes = len(before) // rows
    half = rows // heads // 2
    order = (head * 2 * half + side * half + pair for head in range(heads) for pair in range(half) for side in range(2))
    return b"".join(before[row * row_bytes : (row + 1) * row_bytes] for row in order)
