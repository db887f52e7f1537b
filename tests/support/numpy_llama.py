"""A LLaMA in forty lines of numpy, in the form that transformers and PEFT know it: the reference for what is converted.

Queries and keys have their rows in transformers' order, and the rotary embedding turns values half a head apart, as its
LlamaForCausalLM does. Weights of a GGUF file are brought into that order; whether that is right shows in the answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
from tests.support.peft_folders import Factors
from tests.support.tiny_gguf import HEADS, HEADS_KV, LAYERS

_EPSILON = 1e-5
_ROPE_BASE = 10_000.0
_TENSORS = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}

Weights = dict[str, np.ndarray]


def read_weights(path: Path, *, architecture: str = "llama") -> Weights:
    """Of the generated tiny model, by the GGUF file's names, queries and keys in transformers' order."""
    weights = {tensor.name: np.array(tensor.data, dtype=np.float64) for tensor in gguf.GGUFReader(path).tensors}
    if architecture != "llama":
        return weights  # other files have them in that order
    for layer in range(LAYERS):
        for name, heads in (("attn_q", HEADS), ("attn_k", HEADS_KV)):
            key = f"blk.{layer}.{name}.weight"
            rows, columns = weights[key].shape
            pairs = weights[key].reshape(heads, rows // heads // 2, 2, columns)
            weights[key] = pairs.swapaxes(1, 2).reshape(rows, columns)
    return weights


def adapted(weights: Weights, factors: Factors, scale: float) -> Weights:
    """The weights with an adapter's product added to each."""
    changed = {
        f"blk.{layer}.{_TENSORS[module]}.weight": scale * (second.astype(np.float64) @ first.astype(np.float64))
        for (layer, module), (first, second) in factors.items()
    }
    return {name: values + changed.get(name, 0.0) for name, values in weights.items()}


def next_logprobs(weights: Mapping[str, np.ndarray], tokens: list[int]) -> np.ndarray:
    """Log-probability of every token behind these."""
    hidden = weights["token_embd.weight"][tokens]
    for layer in range(LAYERS):
        block = {name: weights[f"blk.{layer}.{tensor}.weight"] for name, tensor in _TENSORS.items()}
        hidden = hidden + _attention(_normed(hidden), block)
        inner = _normed(hidden)
        gate = inner @ block["gate_proj"].T
        hidden = hidden + (gate / (1 + np.exp(-gate)) * (inner @ block["up_proj"].T)) @ block["down_proj"].T
    logits = _normed(hidden)[-1] @ weights["output.weight"].T
    logprobs: np.ndarray = logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
    return logprobs


def _normed(hidden: np.ndarray) -> np.ndarray:
    """The tiny model's norms have weights of 1."""
    normed: np.ndarray = hidden / np.sqrt((hidden**2).mean(axis=-1, keepdims=True) + _EPSILON)
    return normed


def _attention(hidden: np.ndarray, block: Mapping[str, np.ndarray]) -> np.ndarray:
    length = len(hidden)
    queries, keys, values = (
        (hidden @ block[name].T).reshape(length, heads, -1).swapaxes(0, 1)
        for name, heads in (("q_proj", HEADS), ("k_proj", HEADS_KV), ("v_proj", HEADS_KV))
    )
    queries, keys = _turned(queries), _turned(keys)
    keys, values = (np.repeat(each, HEADS // HEADS_KV, axis=0) for each in (keys, values))
    scores = queries @ keys.swapaxes(1, 2) / np.sqrt(queries.shape[-1])
    scores = np.where(np.tril(np.ones((length, length), dtype=bool)), scores, -np.inf)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    mixed: np.ndarray = (shares @ values).swapaxes(0, 1).reshape(length, -1) @ block["o_proj"].T
    return mixed


def _turned(heads: np.ndarray) -> np.ndarray:
    half = heads.shape[-1] // 2
    angles = np.outer(np.arange(heads.shape[1]), _ROPE_BASE ** (-np.arange(half) / half))
    cosines, sines = (np.concatenate([each, each], axis=-1) for each in (np.cos(angles), np.sin(angles)))
    rotated = np.concatenate([-heads[..., half:], heads[..., :half]], axis=-1)
    turned: np.ndarray = heads * cosines + rotated * sines
    return turned
