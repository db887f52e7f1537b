"""Builds that run commands, stand-ins for NVIDIA's as processes; and what a build that fails or is killed leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.build_orders import NOW, ROOM, adapter_in, order_in
from tests.support.edgellm_commands import COMMANDS, write_commands

from homebred_engines.api import ModelRefusedError
from homebred_engines.build import BuildOrder, build
from homebred_engines.build_errors import BuildFailedError, BuildRefusedError
from homebred_engines.build_manifest import BuildManifest, read_build
from homebred_engines.build_steps import Step, StepProgress, run_steps
from homebred_engines.gpu import refuse_other_gpu

EXPORT, INSERT, PROCESS, BUILD = COMMANDS
PATIENCE_S = 20.0


def edgellm_order(tmp_path: Path, *, adapted: bool = True, trouble: dict[str, str] | None = None) -> BuildOrder:
    return order_in(
        tmp_path,
        "edgellm",
        adapter=adapter_in(tmp_path) if adapted else None,
        gpu_architecture="sm_87",
        tools_path=str(write_commands(tmp_path / "tools", trouble=trouble)),
    )


def built(order: BuildOrder) -> tuple[BuildManifest, list[StepProgress]]:
    heard: list[StepProgress] = []
    return build(order, now=NOW, hear=heard.append), heard


def test_a_checkpoint_and_its_adapter_become_an_engine_for_this_gpu(tmp_path: Path) -> None:
    order = edgellm_order(tmp_path)
    manifest, heard = built(order)
    assert manifest.gpu_architecture == "sm_87"
    assert sorted(manifest.files) == [
        "adapter.safetensors",
        *(f"base/{name}" for name in ("config.json", "homebred-build.json", "llm.engine", "tokenizer.json")),
        "specialist.toml",
    ]
    assert [path.name for path in tmp_path.glob(".*")] == []
    figures = json.loads((order.out / "base" / "llm.engine").read_text())[4:]
    assert figures == [
        *("--maxBatchSize", str(ROOM.slots), "--maxInputLen", str(ROOM.input_tokens)),
        *("--maxKVCacheCapacity", str(ROOM.context_tokens), "--maxLoraRank", "4"),
    ]
    steps = [(each.number, each.steps, each.title) for each in heard if not each.line]
    assert steps == [
        (1, 4, "export to ONNX"),
        (2, 4, "insert places for adapters"),
        (3, 4, "process the adapter"),
        (4, 4, "build the engine"),
    ]
    assert heard[1].line == "begins"


def test_the_engines_own_folder_says_for_which_gpu_it_is(tmp_path: Path) -> None:
    order = edgellm_order(tmp_path, adapted=False)
    built(order)
    of_engine = read_build(order.out / "base")
    assert of_engine is not None
    assert sorted(of_engine.files) == ["config.json", "llm.engine", "tokenizer.json"]
    with pytest.raises(ModelRefusedError, match="built for sm_87"):
        refuse_other_gpu(of_engine.gpu_architecture, "sm_110")


def test_without_a_gpu_nothing_is_built(tmp_path: Path) -> None:
    order = order_in(tmp_path, "edgellm", tools_path=str(write_commands(tmp_path / "tools")))
    with pytest.raises(BuildRefusedError, match="shows no NVIDIA GPU"):
        built(order)


@pytest.mark.parametrize(
    ("trouble", "why", "last"),
    [
        (
            {BUILD: "print('out of memory'); sys.exit(3)"},
            r"Step 4 of 4 \(build the engine\) ended with status 3",
            "out of memory",
        ),
        ({INSERT: "os.kill(os.getpid(), 9)"}, r"Step 2 of 4 \(insert .*\) ended by SIGKILL", "begins"),
        ({EXPORT: "raise ValueError('no such model')"}, "Step 1 of 4", "ValueError: no such model"),
        ({PROCESS: "sys.exit(0)"}, "ended well after 0 s, and made no processed_adapter_model.safetensors", "begins"),
    ],
)
def test_a_step_that_fails_is_named_with_its_last_lines_and_nothing_is_left(
    tmp_path: Path, trouble: dict[str, str], why: str, last: str
) -> None:
    order = edgellm_order(tmp_path, trouble=trouble)
    with pytest.raises(BuildFailedError, match=why) as failure:
        built(order)
    assert failure.value.last_lines.splitlines()[-1] == last
    assert list(tmp_path.glob("*out*")) == []


def test_a_command_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    order = edgellm_order(tmp_path)
    (tmp_path / "tools" / EXPORT).write_text("#!/no/such/interpreter\n")
    with pytest.raises(BuildFailedError, match=f"cannot be started: .*{EXPORT}: No such file"):
        built(order)


def test_only_the_last_lines_of_a_talkative_command_are_kept(tmp_path: Path) -> None:
    order = edgellm_order(tmp_path, trouble={EXPORT: "[print(n) for n in range(5000)]; sys.exit(1)"})
    with pytest.raises(BuildFailedError) as failure:
        built(order)
    assert failure.value.last_lines.splitlines() == [str(number) for number in range(4980, 5000)]


def test_whoever_gives_up_ends_the_command_and_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    shell = f"sleep 600 & echo $! > {pids}; echo started; wait"

    def give_up(progress: StepProgress) -> None:
        if progress.line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_steps([Step(title="wait", command=("/bin/sh", "-c", shell), makes=())], give_up)
    assert ended_within(int(pids.read_text()), PATIENCE_S)


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}]
from tests.integration.test_building_engines import edgellm_order, built
built(edgellm_order(Path({folder!r}), trouble={{{step!r}: {waits!r}}}))
"""


@pytest.mark.parametrize("step", COMMANDS)
def test_a_killed_build_leaves_no_half_and_the_next_one_waits_for_its_command(tmp_path: Path, step: str) -> None:
    pids = tmp_path / "pid"
    waits = f"pathlib.Path({str(pids)!r}).write_text(str(os.getpid())); time.sleep(600)"
    root = str(Path(__file__).parents[2])
    program = KILLED.format(root=root, folder=str(tmp_path), step=step, waits=waits)
    building = subprocess.Popen([sys.executable, "-c", program], cwd=root)
    assert number_within(pids, PATIENCE_S)
    building.send_signal(signal.SIGKILL)
    building.wait()
    order = order_in(
        tmp_path,
        "edgellm",
        adapter=tmp_path / "notes",
        gpu_architecture="sm_87",
        tools_path=str(write_commands(tmp_path / "other-tools")),
    )
    assert not order.out.exists()
    with pytest.raises(BuildRefusedError, match="a command that it started still runs"):
        built(order)
    command = number_within(pids, PATIENCE_S)
    os.kill(command, signal.SIGKILL)
    assert ended_within(command, PATIENCE_S)
    manifest, _ = built(order)
    assert read_build(order.out) == manifest
    assert list(tmp_path.glob(".*")) == []


def number_within(path: Path, seconds: float) -> int:
    """What a command writes into a file once it runs."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if path.exists() and path.read_text().isdigit():
            return int(path.read_text())
        time.sleep(0.02)
    raise TimeoutError


def ended_within(pid: int, seconds: float) -> bool:
    """Whether a process that is not our child is gone, or a zombie of whoever took it in."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False
