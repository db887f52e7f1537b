"""Reads what a Hugging Face checkpoint folder says of itself, and refuses a bad one before any engine sees it.

It reads `config.json`, the heads of the `*.safetensors` files and whether there are a tokenizer and a chat template;
never a tensor. Whether the weights mean anything is not checked: the model store's digest vouches for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homebred_engines.api import ModelRefusedError
from homebred_engines.config_folder import ConfigFolder
from homebred_engines.safetensors_file import read_safetensors_head

_KV_BYTES_PER_VALUE = 2  # caches are held in 16 bits
_TOKENIZERS = ("tokenizer.json", "tokenizer.model")
_TEMPLATE_FILE = "chat_template.jinja"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFacts:
    """What a checkpoint says of its model."""

    architecture: str
    """The class that transformers has for it: `LlamaForCausalLM`, …"""
    context_tokens: int
    """Context the model was trained for."""
    kv_bytes_per_token: int
    """What one token of context costs in a 16-bit cache."""
    file_bytes: int
    """Of the weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearShapes:
    """The linear layers that a checkpoint's config tells of: what an adapter must fit."""

    layers: int
    """Of the transformer."""
    shapes: Mapping[str, tuple[int, int]]
    """Inputs and outputs by module: `q_proj`, …"""


def read_checkpoint(folder: Path) -> CheckpointFacts:
    """The folder's facts. Raises ModelRefusedError when it is not a whole, sane checkpoint."""
    try:
        return _Reader(folder).read()
    except OSError as error:
        raise ModelRefusedError(
            f"{folder.name} cannot be read as a checkpoint folder: {error.strerror}.", hint="Check path and rights."
        ) from None


def read_linear_shapes(folder: Path) -> LinearShapes:
    """What the config of a folder, which `read_checkpoint` has taken, tells. Raises ModelRefusedError."""
    return _Reader(folder).linear_shapes()


class _Reader(ConfigFolder):
    """One look at one folder."""

    def read(self) -> CheckpointFacts:
        config = self.document("config.json")
        self._refuse_speechless()
        _, kv_heads, width = self._heads(config)
        return CheckpointFacts(
            architecture=str(next(iter(config.get("architectures") or ()), "unknown")),
            context_tokens=self.figure(config, "max_position_embeddings"),
            kv_bytes_per_token=2 * self.figure(config, "num_hidden_layers") * kv_heads * width * _KV_BYTES_PER_VALUE,
            file_bytes=self._weights_bytes(),
        )

    def linear_shapes(self) -> LinearShapes:
        config = self.document("config.json")
        heads, kv_heads, width = self._heads(config)
        hidden = self.figure(config, "hidden_size")
        shapes = {
            "q_proj": (hidden, heads * width),
            "k_proj": (hidden, kv_heads * width),
            "v_proj": (hidden, kv_heads * width),
            "o_proj": (heads * width, hidden),
        }
        if config.get("intermediate_size") is not None:
            inner = self.figure(config, "intermediate_size")
            shapes |= {"gate_proj": (hidden, inner), "up_proj": (hidden, inner), "down_proj": (inner, hidden)}
        return LinearShapes(layers=self.figure(config, "num_hidden_layers"), shapes=shapes)

    def _heads(self, config: Mapping[str, Any]) -> tuple[int, int, int]:
        """Heads, heads of keys and values, width of one."""
        heads = self.figure(config, "num_attention_heads")
        kv_heads = self.figure(config, "num_key_value_heads", default=heads)
        return heads, kv_heads, self.figure(config, "head_dim", default=self.figure(config, "hidden_size") // heads)

    def _refuse_speechless(self) -> None:
        if not any((self.folder / name).is_file() for name in _TOKENIZERS):
            raise self.refusal(f"brings no tokenizer ({' or '.join(_TOKENIZERS)})")
        has_template = (self.folder / _TEMPLATE_FILE).is_file()
        if not has_template and not self.document("tokenizer_config.json").get("chat_template"):
            hint = "Choose a model made for conversation, or save its template with it."
            raise self.refusal("brings no chat template", hint)

    def _weights_bytes(self) -> int:
        files = sorted(self.folder.glob("*.safetensors"))
        index = self.folder / "model.safetensors.index.json"
        named = set(self.document(index.name).get("weight_map", {}).values()) if index.is_file() else set()
        missing = sorted(named - {file.name for file in files})
        if missing or not files:
            raise self.refusal(f"lacks {missing[0] if missing else 'weights: it has no *.safetensors file'}")
        return sum(self._checked_bytes(file) for file in files)

    def _checked_bytes(self, path: Path) -> int:
        """The file's size, once its head fits it."""
        try:
            return read_safetensors_head(path).file_bytes
        except ValueError as error:
            raise self.refusal(f"holds a {path.name} {error}") from None
