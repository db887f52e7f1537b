"""Recipes followed by real children: PEFT adapters become GGUF ones, and what is stopped or takes too much is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.build_orders import FITTING_CONFIG
from tests.support.checkpoints import write_checkpoint
from tests.support.edgellm_commands import write_commands
from tests.support.install_stage import FACTS, release
from tests.support.peft_folders import random_factors, write_peft_folder
from tests.support.tiny_gguf import write_tiny_gguf

from homebred_daemon.adapters.build_process import BuildBounds, BuildProcess
from homebred_daemon.adapters.recipe_builder import BuilderMeans, RecipeBuilder
from homebred_daemon.core.compatibility import DeviceFacts, Refusal
from homebred_daemon.core.releases import Release
from homebred_daemon.errors import BuildError, UnwritableError
from homebred_daemon.ports.building import BuiltForm
from homebred_engines.build import BuildOrder
from homebred_engines.build_child import written_order
from homebred_engines.gguf_adapter import read_gguf_adapter
from homebred_protocol.documents.release_values import Recipe

BOUNDS = BuildBounds(longest_s=120.0, memory_bytes=0, reserve_bytes=0)
WITHIN_S = 60.0
SLEEPS = "import os, pathlib, sys, time; pathlib.Path('began').write_text(str(os.getpid())); time.sleep(600)"
ADAPTERS = replace(
    release(1), recipe=Recipe(engine="llamacpp", makes="adapter", form="file", inputs=("a", "b"), arguments={})
)
ENGINES = replace(release(2), recipe=Recipe(engine="edgellm", form="folder", inputs=("a",), arguments={"slots": 2}))


def builder_in(
    root: Path, *, bounds: BuildBounds = BOUNDS, facts: DeviceFacts = FACTS, python: Path = Path(sys.executable)
) -> RecipeBuilder:
    async def told(_: str) -> DeviceFacts:
        return facts

    return RecipeBuilder(root / "building", BuilderMeans(python=python, facts=told, bounds=bounds))


def running(root: Path, program: str, *, bounds: BuildBounds = BOUNDS) -> RecipeBuilder:
    """A builder whose child is a program of the test's."""

    async def told(_: str) -> DeviceFacts:
        return FACTS

    process = BuildProcess(Path(sys.executable), bounds, command=("-c", program))
    return RecipeBuilder(
        root / "building",
        BuilderMeans(python=Path(sys.executable), facts=told, bounds=bounds, run=process.run),
    )


def inputs_in(root: Path, *, seed: int = 0) -> list[Path]:
    base = write_tiny_gguf(root / "base.gguf")
    return [base, write_peft_folder(root / f"peft-{seed}", random_factors(seed))]


def place_of(root: Path, built: Release) -> Path:
    return root / "building" / built.digest.removeprefix("sha256:")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():  # noqa: ASYNC110 - of other processes
            await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


async def built(builder: RecipeBuilder, wanted: Release, inputs: list[Path]) -> BuiltForm:
    found = await builder.build(wanted, inputs)
    assert isinstance(found, BuiltForm), found
    return found


async def test_an_adapter_is_built_whole_the_same_bytes_each_time_and_nothing_stays_of_it(tmp_path: Path) -> None:
    builder, inputs = builder_in(tmp_path), inputs_in(tmp_path)
    assert ADAPTERS.recipe is not None
    assert await builder.refusal_of(ADAPTERS.recipe) is None
    first = await built(builder, ADAPTERS, inputs)
    assert read_gguf_adapter(first.path).base_digest
    assert first.took_ms > 0
    assert first.built.builder.startswith("homebred ")
    assert first.built.builder.endswith(", llamacpp 1.2.0")
    await builder.discard(ADAPTERS)
    again = await built(builder, ADAPTERS, inputs)
    assert again.built == first.built
    await builder.keep_only([ADAPTERS])
    assert again.path.is_file()
    await builder.keep_only([])
    assert list((tmp_path / "building").iterdir()) == []


async def test_what_was_finished_before_a_kill_is_taken_and_what_was_changed_since_is_built_anew(
    tmp_path: Path,
) -> None:
    builder, inputs = builder_in(tmp_path), inputs_in(tmp_path)
    first = await built(builder, ADAPTERS, inputs)
    (place_of(tmp_path, ADAPTERS) / "whole").mkdir()  # the store was about to take it
    found = await built(builder_in(tmp_path), ADAPTERS, inputs)
    assert (found.built, found.took_ms) == (first.built, 0)
    body = first.path.read_bytes()
    first.path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    anew = await built(builder, ADAPTERS, inputs)
    assert anew.built == first.built
    assert anew.took_ms > 0
    newer = await built(builder_in(tmp_path, facts=replace(FACTS, engine_version="1.3.0")), ADAPTERS, inputs)
    assert newer.took_ms > 0


async def test_what_is_made_for_another_base_is_refused_in_the_builders_words(tmp_path: Path) -> None:
    factors = {key: (down[:, :-1], up) for key, (down, up) in random_factors().items()}
    inputs = [write_tiny_gguf(tmp_path / "base.gguf"), write_peft_folder(tmp_path / "peft", factors)]
    refusal = await builder_in(tmp_path).build(ADAPTERS, inputs)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "recipe_unfit"
    assert not (place_of(tmp_path, ADAPTERS) / "out").exists()


async def test_a_device_without_gpu_or_commands_builds_no_engine_and_nobody_what_no_builder_makes(
    tmp_path: Path,
) -> None:
    recipe = ENGINES.recipe
    assert recipe is not None
    told = [
        await builder_in(tmp_path).refusal_of(recipe),
        await builder_in(tmp_path, facts=replace(FACTS, gpu_architecture="sm_87")).refusal_of(recipe),
        await builder_in(tmp_path).refusal_of(replace(recipe, engine="trtllm")),
        await builder_in(tmp_path).refusal_of(replace(recipe, arguments={"depth": 1})),
    ]
    codes = [None if each is None else each.code for each in told]
    assert codes == ["recipe_missing", "recipe_missing", "recipe_missing", "recipe_unfit"]


async def test_an_engine_is_built_by_stand_ins_of_the_commands_and_its_folder_names_no_time(tmp_path: Path) -> None:
    python = write_commands(tmp_path / "tools") / "python"
    python.symlink_to(sys.executable)
    builder = builder_in(tmp_path, facts=replace(FACTS, gpu_architecture="sm_87"), python=python)
    assert ENGINES.recipe is not None
    assert await builder.refusal_of(ENGINES.recipe) is None
    checkpoint = write_checkpoint(tmp_path / "checkpoint", **FITTING_CONFIG)
    first = await built(builder, ENGINES, [checkpoint])
    assert (first.path / "llm.engine").is_file()
    assert b"1970-01-01" in (first.path / "homebred-build.json").read_bytes()


async def test_who_is_cancelled_leaves_no_child(tmp_path: Path) -> None:
    builder, inputs = running(tmp_path, SLEEPS), inputs_in(tmp_path)
    began = place_of(tmp_path, ADAPTERS) / "began"
    async with asyncio.TaskGroup() as group:
        act = group.create_task(builder.build(ADAPTERS, inputs))
        await until(lambda: began.exists() and bool(began.read_text()))
        pid = int(began.read_text())
        act.cancel()
    assert act.cancelled()
    assert not is_alive(pid)


async def test_who_is_cancelled_while_a_thread_prepares_goes_on_once_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, release = threading.Event(), threading.Event()

    def prepare(*_: object) -> None:
        began.set()
        release.wait(WITHIN_S)

    monkeypatch.setattr(RecipeBuilder, "_prepare", prepare)
    builder, inputs = running(tmp_path, SLEEPS), inputs_in(tmp_path)
    async with asyncio.TaskGroup() as group:
        act = group.create_task(builder.build(ADAPTERS, inputs))
        await until(began.is_set)
        act.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not act.done(), "the thread still works"
        release.set()
    assert act.cancelled()


async def test_a_child_that_does_not_end_is_killed_with_what_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homebred_daemon.adapters.build_process.GRACE_S", 0.2)
    program = (
        "import os, pathlib, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "pathlib.Path('began').write_text(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    bounds = replace(BOUNDS, longest_s=3.0)
    refusal = await running(tmp_path, program, bounds=bounds).build(ADAPTERS, inputs_in(tmp_path))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "build_too_long"
    assert not is_alive(int((place_of(tmp_path, ADAPTERS) / "began").read_text()))


async def test_one_that_takes_more_memory_than_it_may_is_ended_and_may_be_tried_again(tmp_path: Path) -> None:
    program = "import time; filled = bytearray(200_000_000); time.sleep(600)"
    bounds = replace(BOUNDS, memory_bytes=100_000_000)
    with pytest.raises(BuildError, match="100000000 are allowed"):
        await running(tmp_path, program, bounds=bounds).build(ADAPTERS, inputs_in(tmp_path))


async def test_the_reserve_of_the_disk_is_held_before_and_during_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = inputs_in(tmp_path)
    scarce = running(tmp_path, SLEEPS, bounds=replace(BOUNDS, reserve_bytes=2**62))
    with pytest.raises(UnwritableError, match="0 are free beside the reserve"):
        await scarce.build(ADAPTERS, inputs)
    assert not (place_of(tmp_path, ADAPTERS) / "began").exists()
    monkeypatch.setattr(RecipeBuilder, "_prepare", lambda _, place, *__: place.mkdir(parents=True, exist_ok=True))
    refusal = await scarce.build(ADAPTERS, inputs)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "no_room"


@pytest.mark.parametrize("program", ["raise SystemExit(3)", "print('babble')", "print('[]')", "print('{}')"])
async def test_a_child_that_ends_without_a_word_has_failed(tmp_path: Path, program: str) -> None:
    with pytest.raises(BuildError, match="said nothing"):
        await running(tmp_path, program).build(ADAPTERS, inputs_in(tmp_path))


@pytest.mark.parametrize("ignores", ["", "__import__('signal').signal(15, 1); "], ids=["gently", "by force"])
async def test_a_build_ends_with_its_daemon(tmp_path: Path, ignores: str) -> None:
    """Its commands do, those that ignore SIGTERM as well, and what it had begun is removed."""
    pid = tmp_path / "pid"
    trouble = f"{ignores}pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(600)"
    tools = write_commands(tmp_path / "tools", trouble={"tensorrt-edgellm-export": trouble})
    python = tools / "python"
    python.symlink_to(sys.executable)
    checkpoint = write_checkpoint(tmp_path / "checkpoint", **FITTING_CONFIG)
    orders: list[BuildOrder] = []

    async def kept(order: BuildOrder, _: Path) -> Refusal | None:
        orders.append(order)
        return Refusal(code="kept", sentence="")

    async def told(_: str) -> DeviceFacts:
        return replace(FACTS, gpu_architecture="sm_87")

    means = BuilderMeans(python=python, facts=told, bounds=BOUNDS, run=kept)
    await RecipeBuilder(tmp_path / "building", means).build(ENGINES, [checkpoint])
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from homebred_daemon.adapters.build_process import BuildBounds, BuildProcess\n"
        "from homebred_engines.build_child import read_order\n"
        "bounds = BuildBounds(longest_s=120.0, memory_bytes=0, reserve_bytes=0)\n"
        "order = read_order(Path(sys.argv[1]).read_bytes())\n"
        "asyncio.run(BuildProcess(Path(sys.executable), bounds).run(order, Path(sys.argv[2])))\n"
    )
    kept_at = tmp_path / "order"
    kept_at.write_bytes(written_order(orders[0]))
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(kept_at), str(place_of(tmp_path, ENGINES))
    )
    try:
        aside = place_of(tmp_path, ENGINES) / ".out.building"
        await until(lambda: pid.exists() and bool(pid.read_text()))
    finally:
        os.kill(daemon.pid, signal.SIGKILL)
        await daemon.wait()
    await until(lambda: not aside.exists())
    assert not is_alive(int(pid.read_text()))
