from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.checkpoints import KV_BYTES_PER_TOKEN, WEIGHTS, write_checkpoint

from homebred_engines.api import ModelRefusedError
from homebred_engines.checkpoint import CheckpointFacts, read_checkpoint, read_linear_shapes


def test_a_whole_checkpoint_says_what_it_takes(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    assert read_checkpoint(folder) == CheckpointFacts(
        architecture="LlamaForCausalLM",
        context_tokens=8192,
        kv_bytes_per_token=KV_BYTES_PER_TOKEN,
        file_bytes=(folder / WEIGHTS).stat().st_size,
    )


def test_what_a_config_leaves_out_has_its_usual_value(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model", num_key_value_heads=None, head_dim=8, architectures=None)
    facts = read_checkpoint(folder)
    assert (facts.architecture, facts.kv_bytes_per_token) == ("unknown", 2 * 2 * 4 * 8 * 2)


@pytest.mark.parametrize("value", [0, -1, "4", True, 1.5, 1 << 40])
def test_a_figure_that_is_none_is_refused_by_its_name(tmp_path: Path, value: object) -> None:
    with pytest.raises(ModelRefusedError, match=r"model gives .* for num_hidden_layers"):
        read_checkpoint(write_checkpoint(tmp_path / "model", num_hidden_layers=value))


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def holding(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def safetensors(head: object, body: bytes = b"") -> bytes:
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (without("config.json"), "cannot be read as a checkpoint folder: No such file"),
        (holding("config.json", b"{"), "config.json that is not JSON"),
        (holding("config.json", b"[]"), "config.json that is no JSON object"),
        (without("tokenizer.json"), "brings no tokenizer"),
        (holding("tokenizer_config.json", b"{}"), "brings no chat template"),
        (without(WEIGHTS), "lacks weights"),
        (
            holding("model.safetensors.index.json", b'{"weight_map": {"w": "model-2.safetensors"}}'),
            "lacks model-2.safetensors",
        ),
        (holding(WEIGHTS, b""), "truncated or no safetensors file"),
        (holding(WEIGHTS, (1 << 62).to_bytes(8, "little")), "truncated or no safetensors file"),
        (
            holding(WEIGHTS, safetensors({"w": {"dtype": "U8", "shape": [9], "data_offsets": [0, 9]}}, b"12345678")),
            "its head tells of",
        ),
        (holding(WEIGHTS, safetensors({"__metadata__": {}})), "whose head lists no tensors"),
        (holding(WEIGHTS, safetensors([])), "whose head lists no tensors"),
        (holding(WEIGHTS, safetensors({"w": {"data_offsets": [0, "9"]}})), "whose head lists no tensors"),
    ],
)
def test_a_damaged_checkpoint_is_refused_before_an_engine_sees_it(
    tmp_path: Path, damage: Callable[[Path], object], why: str
) -> None:
    folder = write_checkpoint(tmp_path / "model")
    damage(folder)
    with pytest.raises(ModelRefusedError, match=why) as refusal:
        read_checkpoint(folder)
    assert refusal.value.why.startswith("model ")
    assert refusal.value.hint


def test_a_template_of_its_own_file_is_one(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert read_checkpoint(folder).context_tokens == 8192


def test_the_config_tells_the_shapes_that_an_adapter_must_fit(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model", head_dim=8, intermediate_size=96)
    known = read_linear_shapes(folder)
    assert known.layers == 2
    assert known.shapes == {
        "q_proj": (64, 32),
        "k_proj": (64, 16),
        "v_proj": (64, 16),
        "o_proj": (32, 64),
        "gate_proj": (64, 96),
        "up_proj": (64, 96),
        "down_proj": (96, 64),
    }


def test_a_config_without_a_feed_forward_width_tells_of_attention_alone(tmp_path: Path) -> None:
    assert set(read_linear_shapes(write_checkpoint(tmp_path / "model", intermediate_size=None)).shapes) == {
        *("q_proj", "k_proj", "v_proj", "o_proj")
    }
