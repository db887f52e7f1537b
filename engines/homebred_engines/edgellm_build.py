"""Plans how a checkpoint becomes an engine of TensorRT Edge-LLM: NVIDIA's own commands in order. Pure; it runs nothing.

checkpoint → ONNX (export) → with places for an adapter (insert-lora, process-lora) → engine (llm_build). Names and
arguments were read in the published package 0.11.0 and in the documentation of 0.8 to 0.11.1; `llm_build` is no part of
the package, it comes from its sources. NEVER run: docs/hardware.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from homebred_engines.build_errors import BuildRefusedError
from homebred_engines.build_steps import Step
from homebred_engines.peft_adapter import PeftAdapter

PROCESSED_FILE = "processed_adapter_model.safetensors"
"""What process-lora calls its result."""
ENGINE_FILE = "llm.engine"
_EXPORT, _INSERT, _PROCESS, _BUILD = "export", "insert-lora", "process-lora", "llm_build"
# What each is called, the newest name first: 0.11.1 gathers them under one command and takes their old spellings.
_NAMES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    _EXPORT: (("trtedge", "export"), ("tensorrt-edgellm-export",)),
    _INSERT: (("trtedge", "insert-lora"), ("tensorrt-edgellm-insert-lora",)),
    _PROCESS: (("trtedge", "process-lora"), ("tensorrt-edgellm-process-lora",)),
    _BUILD: (("llm_build",),),
}

Commands = Mapping[str, tuple[str, ...]]
"""By what they do: how each is called here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRoom:
    """What an engine is built for; all of it is fixed in the engine."""

    slots: int
    """Generations in one batch."""
    input_tokens: int
    """Longest prompt."""
    context_tokens: int
    """Prompt and answer together."""
    max_rank: int
    """Largest rank of an adapter; 0: none can be served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePlaces:
    """Where a build works."""

    onnx: Path
    """For what lies between checkpoint and engine."""
    engine: Path
    """For the engine's folder."""
    adapter: Path
    """For the processed adapter's folder."""


def find_commands(which: Callable[[str], str | None], *, with_adapters: bool) -> Commands:
    """The commands that a build takes. `which` gives a program's path; raises BuildRefusedError with those it lacks."""
    needed = [name for name in _NAMES if with_adapters or name in (_EXPORT, _BUILD)]
    found: dict[str, tuple[str, ...]] = {}
    for name in needed:
        for program, *rest in _NAMES[name]:
            path = which(program)
            if path is not None:
                found[name] = (path, *rest)
                break
    missing = [_NAMES[name][-1][-1] for name in needed if name not in found]
    if missing:
        raise BuildRefusedError(
            f"{' and '.join(missing)} cannot be found: TensorRT Edge-LLM is built by NVIDIA's own commands.",
            hint="Install tensorrt-edgellm with its extras export and tools where engine.python is, build llm_build"
            " from its sources, and name the folders of commands that are not on the path with --tools.",
        )
    return found


def refuse_unfit(adapter: PeftAdapter, room: EngineRoom) -> None:
    """Raises BuildRefusedError for an adapter without room, or that process-lora would carry over wrongly."""
    name = adapter.folder.name
    if adapter.is_rank_stabilised:
        raise BuildRefusedError(
            f"{name} is scaled by the root of its rank (use_rslora); process-lora divides by the rank.",
            hint="Breed it without use_rslora.",
        )
    alike = next((each for each in adapter.linears if adapter.rank in each.shape), None)
    if alike is not None:
        raise BuildRefusedError(
            f"{name} has the rank {adapter.rank}, which is also a width of {alike.told()}: process-lora tells factors"
            " apart by that.",
            hint="Breed it with another rank.",
        )
    if adapter.rank > room.max_rank:
        raise BuildRefusedError(
            f"{name} has the rank {adapter.rank}, and the engine is to take {room.max_rank} at most.",
            hint=f"Say --max-lora-rank {adapter.rank}.",
        )


def plan(
    checkpoint: Path, adapter: PeftAdapter | None, room: EngineRoom, places: EnginePlaces, commands: Commands
) -> tuple[Step, ...]:
    """The steps in order."""
    graph = places.onnx / "llm"  # where export puts the language model
    export = Step(
        title="export to ONNX",
        command=(*commands[_EXPORT], str(checkpoint), str(places.onnx)),
        makes=(graph / "model.onnx", graph / "config.json"),
    )
    insert = Step(
        title="insert places for adapters",
        command=(*commands.get(_INSERT, ()), "--onnx_dir", str(graph)),
        makes=(graph / "lora_model.onnx",),
    )
    steps = [export, insert] if room.max_rank else [export]
    if adapter is not None:
        folders = ("--input_dir", str(adapter.folder), "--output_dir", str(places.adapter))
        steps.append(
            Step(
                title="process the adapter",
                command=(*commands[_PROCESS], *folders),
                makes=(places.adapter / PROCESSED_FILE,),
            )
        )
    return (*steps, _engine_step(graph, room, places, commands))


def _engine_step(graph: Path, room: EngineRoom, places: EnginePlaces, commands: Commands) -> Step:
    figures = {
        "--maxBatchSize": room.slots,
        "--maxInputLen": room.input_tokens,
        "--maxKVCacheCapacity": room.context_tokens,
        "--maxLoraRank": room.max_rank,
    }
    return Step(
        title="build the engine",
        command=(
            *commands[_BUILD],
            *("--onnxDir", str(graph), "--engineDir", str(places.engine)),
            *(each for option, value in figures.items() if value for each in (option, str(value))),
        ),
        makes=(places.engine / ENGINE_FILE, places.engine / "config.json"),
    )
