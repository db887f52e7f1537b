from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.edgellm_bundles import KV_BYTES_PER_TOKEN, write_adapters, write_bundle

from homebred_engines.api import (
    AdapterRefusedError,
    InvalidRequestError,
    LoadOptions,
    ModelRefusedError,
    UnsupportedOptionError,
)
from homebred_engines.edgellm_plan import Plan, plan_load, with_adapters

MEGABYTE = 1_000_000


def options(folder: Path, **changes: object) -> LoadOptions:
    asked = LoadOptions(model_path=str(folder), model_digest="sha256:a", memory_budget_bytes=100 * MEGABYTE)
    return replace(asked, **changes)  # type: ignore[arg-type]  # as named


def planned(folder: Path, **changes: object) -> Plan:
    return plan_load(options(folder, **changes), gpu_architecture="sm_87", engine_version="0.11.0")


def test_defaults_are_what_the_engine_was_built_for(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "engine", capacity=8192, rows=4)
    plan = planned(folder)
    assert (plan.slots, plan.context_tokens) == (4, 2048)
    assert plan.runtime.engine_folder == str(folder)
    assert plan.needed_bytes == plan.bundle.file_bytes + 4 * 8192 * KV_BYTES_PER_TOKEN
    asked = planned(folder, slots=2, context_tokens=8192)
    assert (asked.slots, asked.context_tokens, asked.needed_bytes) == (2, 8192, plan.needed_bytes)


def test_the_engine_is_asked_for_no_more_than_it_was_built_for(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "engine")
    for changes in ({"slots": 5}, {"context_tokens": 4096}):
        with pytest.raises(InvalidRequestError, match="built for 4 of 2048") as refusal:
            planned(folder, **changes)
        assert "build the engine for more" in refusal.value.hint
    with pytest.raises(UnsupportedOptionError, match="embeddings"):
        planned(folder, embeddings=True)


def test_adapters_go_by_their_digests_and_one_for_another_base_is_named(tmp_path: Path) -> None:
    first, second, foreign = write_adapters(tmp_path)
    plan = planned(write_bundle(tmp_path / "engine"), adapters=(first,))
    assert plan.runtime.adapters == {first.digest: first.path}
    both = with_adapters(plan, [first, second])
    assert both.runtime.adapters == {each.digest: each.path for each in (first, second)}
    assert both.adapter_bytes == sum(Path(each.path).stat().st_size for each in (first, second))
    with pytest.raises(AdapterRefusedError) as refusal:
        with_adapters(plan, [first, foreign])
    assert refusal.value.adapter == foreign.digest


def test_a_second_runtime_stands_beside_the_first_where_the_budget_holds_both(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "engine")
    needed = planned(folder).needed_bytes
    assert not planned(folder, memory_budget_bytes=needed).fits_beside(planned(folder))
    assert planned(folder, memory_budget_bytes=2 * needed).fits_beside(planned(folder))
    with pytest.raises(ModelRefusedError, match="may be used"):
        planned(folder, memory_budget_bytes=needed - 1)
