"""Writes a tiny LLaMA model with its own random weights, and LoRA adapters for it: the engine's real file formats.

The model loads in milliseconds. It has learnt nothing: it babbles printable ASCII, and spells JSON where a grammar
makes it; each adapter has it babble something else. Same seed, same bytes.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

CONTEXT_TOKENS = 8192
_EMBEDDING = 64
_FEED_FORWARD = 128
HEADS = 4
HEADS_KV = 2
LAYERS = 2
_KV_WIDTH = _EMBEDDING // HEADS * HEADS_KV
LINEAR_SHAPES = {
    "q_proj": (_EMBEDDING, _EMBEDDING),
    "k_proj": (_EMBEDDING, _KV_WIDTH),
    "v_proj": (_EMBEDDING, _KV_WIDTH),
    "o_proj": (_EMBEDDING, _EMBEDDING),
    "gate_proj": (_EMBEDDING, _FEED_FORWARD),
    "up_proj": (_EMBEDDING, _FEED_FORWARD),
    "down_proj": (_FEED_FORWARD, _EMBEDDING),
}
"""Inputs and outputs of its linear layers, by the names that transformers has for them."""
_MERGES = ("t h", "i n", "e r", "a n", "Ġ a", "Ġ t")
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# One channel of the embedding is the same for every token, so that the output layer has a bias to silence tokens with.
_BIAS_CHANNEL = 0
_BIAS = 8.0
_SILENCED = -4.0
_ADAPTER_STRENGTH = 2.0


def write_tiny_gguf(path: Path, *, seed: int = 0, chat_template: bool = True, architecture: str = "llama") -> Path:
    """The file at `path`, under 1 MB. As `qwen2` it has biases, of zero, and rows in the order of transformers."""
    tokens = _tokens()
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(f"homebred tiny {seed}")
    writer.add_license("Apache-2.0")
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(_EMBEDDING)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS_KV)
    writer.add_rope_dimension_count(_EMBEDDING // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_token_types([control if token in _SPECIAL else normal for token in tokens])
    writer.add_token_merges(list(_MERGES))
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)  # noqa: FBT003 - the library's signature
    if chat_template:
        writer.add_chat_template(_CHAT_TEMPLATE)
    biases = _biases() if architecture == "qwen2" else {}
    for name, tensor in {**_tensors(tokens, seed), **biases}.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_tiny_adapter(
    path: Path,
    *,
    seed: int = 1,
    rank: int = 4,
    architecture: str = "llama",
    blocks: int = LAYERS,
    width: int = _EMBEDDING,
    base_digest: str = "",
) -> Path:
    """A LoRA adapter at `path`, of some 11 kB; it fits the tiny model unless architecture, blocks or width are others.

    Its factors are as large as the model's own weights, so that greedy answers differ from the first tokens on.
    """
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_name(f"homebred tiny adapter {seed}")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(rank))
    if base_digest:
        writer.add_string("homebred.base_digest", base_digest)
    random = np.random.default_rng(seed)
    for block in range(blocks):
        for target, inputs, outputs in (("attn_output", width, width), ("ffn_down", 2 * width, width)):
            first = random.standard_normal((rank, inputs)) / np.sqrt(inputs)
            second = random.standard_normal((outputs, rank)) * _ADAPTER_STRENGTH / np.sqrt(rank)
            name = f"blk.{block}.{target}.weight"
            writer.add_tensor(f"{name}.lora_a", first.astype(np.float32))
            writer.add_tensor(f"{name}.lora_b", second.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tokens() -> list[str]:
    """Every byte in GPT-2's spelling, a few merges, three special tokens."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    spelling = {byte: chr(byte) for byte in printable}
    spelling |= {byte: chr(256 + position) for position, byte in enumerate(others)}
    return [*(spelling[byte] for byte in range(256)), *(pair.replace(" ", "") for pair in _MERGES), *_SPECIAL]


def _tensors(tokens: list[str], seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> np.ndarray:
        values: np.ndarray = random.standard_normal((rows, columns)) / np.sqrt(columns)
        return values.astype(np.float16)

    embedding = matrix(len(tokens), _EMBEDDING) * np.float16(4)
    embedding[:, _BIAS_CHANNEL] = _BIAS
    output = matrix(len(tokens), _EMBEDDING) * np.float16(4)
    spoken = [token in _MERGES or (len(token) == 1 and " " < token <= "~") or token == "Ġ" for token in tokens]  # noqa: S105 - a space, in GPT-2's spelling
    output[:, _BIAS_CHANNEL] = np.where(spoken, 0, _SILENCED).astype(np.float16)
    tensors = {"token_embd.weight": embedding, "output.weight": output}
    tensors["output_norm.weight"] = np.ones(_EMBEDDING, dtype=np.float32)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        tensors[block + "attn_norm.weight"] = np.ones(_EMBEDDING, dtype=np.float32)
        tensors[block + "attn_q.weight"] = matrix(_EMBEDDING, _EMBEDDING)
        tensors[block + "attn_k.weight"] = matrix(_KV_WIDTH, _EMBEDDING)
        tensors[block + "attn_v.weight"] = matrix(_KV_WIDTH, _EMBEDDING)
        tensors[block + "attn_output.weight"] = matrix(_EMBEDDING, _EMBEDDING)
        tensors[block + "ffn_norm.weight"] = np.ones(_EMBEDDING, dtype=np.float32)
        tensors[block + "ffn_gate.weight"] = matrix(_FEED_FORWARD, _EMBEDDING)
        tensors[block + "ffn_up.weight"] = matrix(_FEED_FORWARD, _EMBEDDING)
        tensors[block + "ffn_down.weight"] = matrix(_EMBEDDING, _FEED_FORWARD)
    return tensors


def _biases() -> dict[str, np.ndarray]:
    widths = {"q": _EMBEDDING, "k": _KV_WIDTH, "v": _KV_WIDTH}
    return {
        f"blk.{layer}.attn_{name}.bias": np.zeros(width, dtype=np.float32)
        for layer in range(LAYERS)
        for name, width in widths.items()
    }
