from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.checkpoints import write_checkpoint
from tests.support.peft_folders import random_factors, write_peft_folder

from homebred_engines.api import Adapter, AdapterRefusedError, LoadOptions, ModelRefusedError, UnsupportedOptionError
from homebred_engines.trtllm_plan import MODULES, plan_load, with_adapters

FREE = 1 << 30


def options(folder: Path, *adapters: Adapter, context_tokens: int = 0, memory_budget_bytes: int = 0) -> LoadOptions:
    path = folder / "checkpoint"
    model = path if path.exists() else write_checkpoint(path)
    return LoadOptions(
        model_path=str(model),
        model_digest="sha256:m",
        slots=2,
        adapters=adapters,
        context_tokens=context_tokens,
        memory_budget_bytes=memory_budget_bytes,
    )


def adapter(folder: Path, name: str, *, rank: int = 4) -> Adapter:
    path = write_peft_folder(folder / name, random_factors(rank=rank), config={"r": rank})
    return Adapter(digest=f"sha256:{name}", path=str(path))


def test_without_adapters_no_room_is_set_aside(tmp_path: Path) -> None:
    assert plan_load(options(tmp_path), free_bytes=FREE).llm.adapters is None


def test_adapters_within_the_room_leave_the_loaded_model_as_it_is(tmp_path: Path) -> None:
    first, second = adapter(tmp_path, "first"), adapter(tmp_path, "second", rank=16)
    plan = plan_load(options(tmp_path, first), free_bytes=FREE)
    room = plan.llm.adapters
    assert room is not None
    assert (room.adapters, room.max_rank, room.modules) == (8, 16, tuple(MODULES.values()))
    other = with_adapters(plan, [second])
    assert (other.llm, other.adapters) == (plan.llm, (second,))
    assert with_adapters(plan, []).llm == plan.llm


def test_a_larger_rank_than_there_is_room_for_needs_another_load(tmp_path: Path) -> None:
    plan = plan_load(options(tmp_path, adapter(tmp_path, "small")), free_bytes=FREE)
    larger = with_adapters(plan, [adapter(tmp_path, "large", rank=32)])
    assert larger.llm.adapters is not None
    assert larger.llm.adapters.max_rank == 32
    assert larger.llm != plan.llm


def test_more_adapters_than_there_is_room_for_need_another_load(tmp_path: Path) -> None:
    adapters = [adapter(tmp_path, str(number)) for number in range(9)]
    plan = plan_load(options(tmp_path, adapters[0]), free_bytes=FREE)
    assert with_adapters(plan, adapters[:8]).llm == plan.llm
    more = with_adapters(plan, adapters).llm.adapters
    assert more is not None
    assert more.adapters == 9


def test_an_adapter_for_another_checkpoint_is_refused_by_its_digest(tmp_path: Path) -> None:
    foreign = write_peft_folder(tmp_path / "foreign", {(7, "q_proj"): random_factors()[0, "q_proj"]})
    with pytest.raises(AdapterRefusedError) as refused:
        plan_load(options(tmp_path, Adapter(digest="sha256:f", path=str(foreign))), free_bytes=FREE)
    assert refused.value.adapter == "sha256:f"


def test_adapters_count_against_the_budget(tmp_path: Path) -> None:
    bare = plan_load(options(tmp_path, context_tokens=32), free_bytes=FREE)
    needed = bare.facts.file_bytes + bare.facts.kv_bytes_per_token * 32 * 2
    plan_load(options(tmp_path, context_tokens=32, memory_budget_bytes=needed), free_bytes=FREE)
    with pytest.raises(ModelRefusedError, match="of adapters"):
        plan_load(
            options(tmp_path, adapter(tmp_path, "a"), context_tokens=32, memory_budget_bytes=needed), free_bytes=FREE
        )


def test_embeddings_are_not_made(tmp_path: Path) -> None:
    embedding = LoadOptions(model_path=str(tmp_path), model_digest="sha256:m", embeddings=True)
    with pytest.raises(UnsupportedOptionError):
        plan_load(embedding, free_bytes=FREE)
