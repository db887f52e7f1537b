from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.peft_folders import ALPHA, RANK, Factors, random_factors, write_peft_folder
from tests.support.tiny_gguf import HEADS, write_tiny_gguf

from homebred_engines.api import AdapterRefusedError, EngineError, ModelRefusedError
from homebred_engines.gguf_adapter import read_gguf_adapter, refuse_foreign
from homebred_engines.gguf_file import read_gguf
from homebred_engines.peft_adapter import read_peft_adapter
from homebred_engines.peft_to_gguf import _moved, write_gguf_adapter

DIGEST = "sha256:" + "a" * 64


def converted(
    tmp_path: Path, factors: Factors, *, dtype: str = "F32", architecture: str = "llama", name: str = "a"
) -> Path:
    base = write_tiny_gguf(tmp_path / f"{name}-base.gguf", architecture=architecture)
    adapter = read_peft_adapter(write_peft_folder(tmp_path / name, factors, dtype=dtype))
    with (tmp_path / f"{name}.gguf").open("wb") as file:
        write_gguf_adapter(file, adapter, base, DIGEST)
    return tmp_path / f"{name}.gguf"


def tensors(path: Path) -> dict[str, np.ndarray]:
    return {each.name: np.array(each.data) for each in gguf.GGUFReader(path).tensors}


def test_the_file_is_an_adapter_for_that_base_and_no_other(tmp_path: Path) -> None:
    facts = read_gguf_adapter(converted(tmp_path, random_factors()))
    assert (facts.architecture, facts.alpha, facts.rank, facts.base_digest) == ("llama", ALPHA, RANK, DIGEST)
    assert len(facts.pairs) == 14
    base = read_gguf(tmp_path / "a-base.gguf")
    refuse_foreign(facts, base, DIGEST)
    with pytest.raises(EngineError, match="was made for the base"):
        refuse_foreign(facts, base, "sha256:" + "b" * 64)


def test_queries_and_keys_have_their_rows_moved_within_each_head_and_nothing_else_is(tmp_path: Path) -> None:
    factors = random_factors()
    found = tensors(converted(tmp_path, factors))
    for module, name in (("v_proj", "attn_v"), ("down_proj", "ffn_down"), ("o_proj", "attn_output")):
        first, second = factors[0, module]
        assert np.array_equal(found[f"blk.0.{name}.weight.lora_a"], first)
        assert np.array_equal(found[f"blk.0.{name}.weight.lora_b"], second)
    first, second = factors[1, "q_proj"]
    assert np.array_equal(found["blk.1.attn_q.weight.lora_a"], first)
    width = 64 // HEADS
    assert np.array_equal(found["blk.1.attn_q.weight.lora_b"][:4], second[[0, width // 2, 1, width // 2 + 1]])
    assert np.array_equal(found["blk.1.attn_q.weight.lora_b"][width], second[width])


@given(heads=st.integers(1, 6), half=st.integers(1, 9), rank=st.integers(1, 5))
def test_rows_are_moved_as_llama_cpps_converter_moves_them(heads: int, half: int, rank: int) -> None:
    rows = 2 * heads * half
    before = np.arange(rows * rank, dtype=np.float32).reshape(rows, rank)
    # reshape and swapaxes are how its `permute` is written
    expected = before.reshape(heads, 2, half, rank).swapaxes(1, 2).reshape(rows, rank)
    assert _moved(before.tobytes, rows, heads) == expected.tobytes()


@pytest.mark.parametrize(("dtype", "kind"), [("F32", np.float32), ("BF16", np.float32), ("F16", np.float16)])
def test_numbers_keep_their_precision(tmp_path: Path, dtype: str, kind: type[np.generic]) -> None:
    factors = random_factors()
    found = tensors(converted(tmp_path, factors, dtype=dtype))["blk.0.attn_v.weight.lora_b"]
    assert found.dtype == kind
    assert np.array_equal(found.astype(np.float32), factors[0, "v_proj"][1])


def test_the_same_folder_makes_the_same_bytes(tmp_path: Path) -> None:
    one, other = (converted(tmp_path, random_factors(), name=name) for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_an_adapter_of_another_size_is_refused(tmp_path: Path) -> None:
    factors = {(0, "q_proj"): (np.zeros((RANK, 32)), np.zeros((32, RANK)))}
    with pytest.raises(AdapterRefusedError, match=r"from 32 to 32; in a-base.gguf it is one from 64 to 64"):
        converted(tmp_path, factors)


def test_an_architecture_whose_order_nobody_has_proved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterRefusedError, match="architecture 'gemma3'; adapters are converted for llama, qwen2"):
        converted(tmp_path, random_factors(), architecture="gemma3")


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def test_a_base_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    base = write_tiny_gguf(tmp_path / "base.gguf")
    base.write_bytes(base.read_bytes()[:-1000])
    adapter = read_peft_adapter(write_peft_folder(tmp_path / "a", random_factors()))
    with (tmp_path / "a.gguf").open("wb") as file, pytest.raises(ModelRefusedError, match="truncated"):
        write_gguf_adapter(file, adapter, base, DIGEST)


def test_weights_that_shrank_meanwhile_are_refused(tmp_path: Path) -> None:
    base = write_tiny_gguf(tmp_path / "base.gguf")
    adapter = read_peft_adapter(write_peft_folder(tmp_path / "a", random_factors()))
    adapter.weights_path.write_bytes(adapter.weights_path.read_bytes()[:-8])
    with (tmp_path / "a.gguf").open("wb") as file, pytest.raises(AdapterRefusedError, match="that shrank"):
        write_gguf_adapter(file, adapter, base, DIGEST)
