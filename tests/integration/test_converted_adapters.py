"""A converted adapter on the real llama.cpp, against model and adapter computed in numpy as PEFT defines them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support.build_orders import NOW, order_in
from tests.support.numpy_llama import adapted, next_logprobs, read_weights
from tests.support.peft_folders import ALPHA, RANK, Factors, random_factors, write_peft_folder
from tests.support.tiny_gguf import LINEAR_SHAPES, write_tiny_gguf
from tests.support.token_odds import TokenOdds

from homebred_engines import api
from homebred_engines.build import build
from homebred_engines.llamacpp import LlamaCppEngine
from homebred_engines.peft_adapter import read_peft_adapter
from homebred_engines.peft_to_gguf import MOVES_ROWS, write_gguf_adapter

PROMPT = [65, 97, 100, 33, 260, 5, 77, 80, 90]
TOLERANCE = 0.02
"""In log-probability: the engine computes in 16-bit floats here, the reference in 64-bit ones."""
NOTICEABLE = 1.0
"""What a wrong conversion is off by at least."""
DIGEST = "sha256:" + "0" * 64


def differences(
    tmp_path: Path,
    factors: Factors,
    *,
    dtype: str = "F32",
    config: dict[str, object] | None = None,
    scale: float = ALPHA / RANK,
    architecture: str = "llama",
) -> tuple[float, float]:
    """How far the engine is from the reference at most: the base alone, and with the adapter."""
    base = write_tiny_gguf(tmp_path / "base.gguf", architecture=architecture)
    adapter = read_peft_adapter(write_peft_folder(tmp_path / "adapter", factors, dtype=dtype, config=config))
    converted = tmp_path / "adapter.gguf"
    with converted.open("wb") as file:
        write_gguf_adapter(file, adapter, base, DIGEST)
    weights = read_weights(base, architecture=architecture)
    odds = TokenOdds(base, converted)
    found = []
    for reference, is_adapted in ((weights, False), (adapted(weights, factors, scale), True)):
        expected = next_logprobs(reference, PROMPT)
        found.append(np.abs(odds.next_logprobs(PROMPT, len(expected), adapted=is_adapted) - expected).max())
    return found[0], found[1]


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_the_engine_answers_as_peft_defines_the_adapter(tmp_path: Path, dtype: str, architecture: str) -> None:
    without, with_adapter = differences(tmp_path, random_factors(), dtype=dtype, architecture=architecture)
    assert without < TOLERANCE
    assert with_adapter < TOLERANCE


@pytest.mark.parametrize("module", list(LINEAR_SHAPES))
def test_each_layer_alone_has_its_effect(tmp_path: Path, module: str) -> None:
    factors = {key: pair for key, pair in random_factors(seed=1).items() if key[1] == module}
    without, with_adapter = differences(tmp_path, factors)
    assert max(without, with_adapter) < TOLERANCE
    plain = read_weights(tmp_path / "base.gguf")
    changed = next_logprobs(adapted(plain, factors, ALPHA / RANK), PROMPT)
    assert np.abs(changed - next_logprobs(plain, PROMPT)).max() > NOTICEABLE


def test_a_rank_stabilised_adapter_keeps_its_own_scale(tmp_path: Path) -> None:
    config: dict[str, object] = {"use_rslora": True}
    _, with_adapter = differences(tmp_path, random_factors(), config=config, scale=ALPHA / RANK**0.5)
    assert with_adapter < TOLERANCE


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_rows_in_the_wrong_order_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    monkeypatch.setitem(MOVES_ROWS, architecture, not MOVES_ROWS[architecture])
    without, with_adapter = differences(tmp_path, random_factors(), architecture=architecture)
    assert without < TOLERANCE
    assert with_adapter > NOTICEABLE


async def test_the_engine_serves_it_beside_the_base_and_on_no_other(tmp_path: Path) -> None:
    order = order_in(tmp_path, "llamacpp", adapter=write_peft_folder(tmp_path / "notes", random_factors()))
    manifest = build(order, now=NOW, hear=print)
    adapter = api.Adapter(digest=manifest.files["adapter.gguf"], path=str(order.out / "adapter.gguf"))
    model_path = str(order.out / "base.gguf")
    engine = LlamaCppEngine()
    options = api.LoadOptions(
        model_path=model_path, model_digest=manifest.source_digest, adapters=(adapter,), slots=1, threads=1
    )
    async for _ in engine.load(options):
        pass
    answers = [await greedy(engine, digest) for digest in ("", adapter.digest, "")]
    await engine.unload()
    assert answers[0] == answers[2] != answers[1]
    for_another = replace(options, model_digest=DIGEST)
    with pytest.raises(api.EngineError, match="was made for the base"):
        async for _ in LlamaCppEngine().load(for_another):
            pass


async def greedy(engine: LlamaCppEngine, adapter: str) -> str:
    options = api.GenerateOptions(max_tokens=12, temperature=0, adapter=adapter)
    events = [event async for event in engine.generate([api.Message(role="user", content="Hello")], options)]
    return "".join(event.text for event in events if isinstance(event, api.Delta))
