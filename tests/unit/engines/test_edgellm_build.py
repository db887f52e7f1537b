from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.peft_folders import RANK, random_factors, write_peft_folder

from homebred_engines.build_errors import BuildRefusedError
from homebred_engines.edgellm_build import EnginePlaces, EngineRoom, find_commands, plan, refuse_unfit
from homebred_engines.peft_adapter import PeftAdapter, read_peft_adapter

ROOM = EngineRoom(slots=2, input_tokens=1024, context_tokens=4096, max_rank=0)
WITH_RANK = EngineRoom(slots=2, input_tokens=1024, context_tokens=4096, max_rank=8)
PLACES = EnginePlaces(onnx=Path("/s/onnx"), engine=Path("/n/base"), adapter=Path("/s/adapter"))
OLD = {"tensorrt-edgellm-export", "tensorrt-edgellm-insert-lora", "tensorrt-edgellm-process-lora", "llm_build"}


def which(*programs: str, folder: str = "/bin") -> dict[str, str]:
    return {program: f"{folder}/{program}" for program in programs}


def adapter_in(tmp_path: Path, **config: object) -> PeftAdapter:
    return read_peft_adapter(write_peft_folder(tmp_path / "notes", random_factors(), config=config))


def test_a_model_alone_is_exported_and_built() -> None:
    commands = find_commands(which(*OLD).get, with_adapters=False)
    export, engine = plan(Path("/m"), None, ROOM, PLACES, commands)
    assert export.command == ("/bin/tensorrt-edgellm-export", "/m", "/s/onnx")
    assert export.makes == (Path("/s/onnx/llm/model.onnx"), Path("/s/onnx/llm/config.json"))
    assert engine.command == (
        *("/bin/llm_build", "--onnxDir", "/s/onnx/llm", "--engineDir", "/n/base"),
        *("--maxBatchSize", "2", "--maxInputLen", "1024", "--maxKVCacheCapacity", "4096"),
    )
    assert engine.makes == (Path("/n/base/llm.engine"), Path("/n/base/config.json"))


def test_with_an_adapter_the_engine_has_places_for_it(tmp_path: Path) -> None:
    commands = find_commands(which(*OLD).get, with_adapters=True)
    adapter = adapter_in(tmp_path)
    _, insert, process, engine = plan(Path("/m"), adapter, WITH_RANK, PLACES, commands)
    assert insert.command == ("/bin/tensorrt-edgellm-insert-lora", "--onnx_dir", "/s/onnx/llm")
    assert insert.makes == (Path("/s/onnx/llm/lora_model.onnx"),)
    folders = ("--input_dir", str(adapter.folder), "--output_dir", "/s/adapter")
    assert process.command == ("/bin/tensorrt-edgellm-process-lora", *folders)
    assert process.makes == (Path("/s/adapter/processed_adapter_model.safetensors"),)
    assert engine.command[-2:] == ("--maxLoraRank", "8")


def test_places_can_be_had_without_an_adapter() -> None:
    commands = find_commands(which(*OLD).get, with_adapters=True)
    titles = [step.title for step in plan(Path("/m"), None, WITH_RANK, PLACES, commands)]
    assert titles == ["export to ONNX", "insert places for adapters", "build the engine"]


def test_the_one_command_of_newer_versions_is_preferred() -> None:
    commands = find_commands(which("trtedge", *OLD).get, with_adapters=True)
    assert commands["export"] == ("/bin/trtedge", "export")
    assert commands["process-lora"] == ("/bin/trtedge", "process-lora")
    assert commands["llm_build"] == ("/bin/llm_build",)


@pytest.mark.parametrize(
    ("there", "with_adapters", "named"),
    [
        (OLD - {"llm_build"}, False, "llm_build cannot be found"),
        ({"llm_build"}, False, "tensorrt-edgellm-export cannot be found"),
        (set(), False, "tensorrt-edgellm-export and llm_build cannot be found"),
        ({"llm_build", "tensorrt-edgellm-export"}, True, "-insert-lora and tensorrt-edgellm-process-lora cannot"),
    ],
)
def test_commands_that_are_missing_are_named(there: set[str], *, with_adapters: bool, named: str) -> None:
    with pytest.raises(BuildRefusedError, match=named) as refusal:
        find_commands(which(*there).get, with_adapters=with_adapters)
    assert "--tools" in refusal.value.hint


def test_an_adapter_that_fits_is_taken(tmp_path: Path) -> None:
    refuse_unfit(adapter_in(tmp_path), WITH_RANK)


def test_an_adapter_of_a_larger_rank_than_the_engine_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildRefusedError, match="has the rank 4, and the engine is to take 2 at most"):
        refuse_unfit(adapter_in(tmp_path), EngineRoom(slots=1, input_tokens=1, context_tokens=1, max_rank=2))


def test_a_scale_that_nvidias_tool_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildRefusedError, match="use_rslora"):
        refuse_unfit(adapter_in(tmp_path, use_rslora=True), WITH_RANK)


def test_a_rank_that_nvidias_tool_takes_for_a_width_is_refused(tmp_path: Path) -> None:
    factors = {(0, "k_proj"): (np.zeros((RANK, 64)), np.zeros((RANK, RANK)))}
    adapter = read_peft_adapter(write_peft_folder(tmp_path / "notes", factors))
    with pytest.raises(BuildRefusedError, match="rank 4, which is also a width of k_proj of layer 0"):
        refuse_unfit(adapter, WITH_RANK)
