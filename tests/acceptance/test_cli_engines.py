"""`homebred engines`: what can be had here, and builds through the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.build_orders import FITTING_CONFIG, adapter_in
from tests.support.checkpoints import write_checkpoint
from tests.support.command_line import COMMANDS, Ended, environment, homebred
from tests.support.edgellm_commands import write_commands, write_nvidia_smi
from tests.support.stand_in_package import tensorrt_llm_facts, write_interpreter, write_stand_in
from tests.support.tiny_gguf import write_tiny_gguf

from homebred_engines.build_manifest import read_build


def build(engine: str, source: Path, out: Path, *more: str | Path, environ: dict[str, str] | None = None) -> Ended:
    arguments = ("--engine", engine, "--source", source, "--out", out, *more)
    return homebred("engines", "build", *arguments, environ=environ)


def edge_environ(tmp_path: Path, trouble: dict[str, str] | None = None) -> dict[str, str]:
    """A path with stand-ins for NVIDIA's commands, and for a Jetson Orin's own."""
    tools = write_nvidia_smi(write_commands(tmp_path / "bin", trouble=trouble), "8.7")
    return {"PATH": f"{tools}:{os.environ['PATH']}"}


def test_every_engine_is_listed_as_it_tells_of_itself() -> None:
    ended = homebred("engines", "list", "--json")
    assert ended.status == 0
    engines: dict[str, dict[str, Any]] = {each["engine"]: each for each in ended.lines[0]["engines"]}
    assert {"echo", "llamacpp", "openai_server", "trtllm"} <= set(engines)
    assert engines["llamacpp"]["version"]
    assert "json_schema" in engines["llamacpp"]["capabilities"]
    assert engines["llamacpp"]["is_built_for"]
    assert "tensorrt_llm is not installed" in engines["trtllm"]["error"]
    assert not engines["echo"]["is_built_for"]
    lines = homebred("engines", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == list(engines)


def test_an_engine_whose_library_is_there_says_which(tmp_path: Path) -> None:
    python = write_interpreter(tmp_path, write_stand_in(tmp_path / "stand-in", tensorrt_llm_facts()))
    ended = homebred("engines", "list", environ={"HOMEBRED_ENGINE__PYTHON": str(python)})
    line = next(line for line in ended.out.splitlines() if line.startswith("trtllm"))
    assert line.split()[1] == "1.2.1+stand-in"


def test_an_interpreter_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    ended = homebred("engines", "list", environ={"HOMEBRED_ENGINE__PYTHON": str(tmp_path / "none")})
    assert ended.status == 2
    assert "cannot be started" in ended.err


def test_a_model_and_its_adapter_are_built_for_llamacpp(tmp_path: Path) -> None:
    base, out = write_tiny_gguf(tmp_path / "tiny.gguf"), tmp_path / "house-notes"
    ended = build("llamacpp", base, out, "--adapter", adapter_in(tmp_path))
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[0].startswith(f"built: {out} for llamacpp 20")
    assert ended.out.splitlines()[1] == f"next: complete {out}/specialist.toml, then: homebred models add {out}"
    assert sorted(path.name for path in out.iterdir()) == [
        *("adapter.gguf", "base.gguf", "homebred-build.json", "specialist.toml")
    ]


@pytest.mark.parametrize("engine", ["llamacpp", "trtllm", "edgellm"])
def test_the_model_store_takes_what_was_built_by_the_same_digests(tmp_path: Path, engine: str) -> None:
    is_file = engine == "llamacpp"
    source = write_tiny_gguf(tmp_path / "tiny.gguf") if is_file else write_checkpoint(tmp_path / "m", **FITTING_CONFIG)
    out = tmp_path / "house-notes"
    assert build(engine, source, out, "--adapter", adapter_in(tmp_path), environ=edge_environ(tmp_path)).status == 0
    added = homebred("models", "add", out, "--state-dir", tmp_path / "state", "--json")
    assert added.status == 0, added.out
    manifest, stored = read_build(out), added.lines[0]
    assert manifest is not None
    assert stored["gpu_architecture"] == manifest.gpu_architecture
    if engine != "edgellm":  # of which the source is no part of what is served
        assert stored["base_digest"] == manifest.source_digest
    adapters = {
        "llamacpp": manifest.files.get("adapter.gguf"),
        "trtllm": manifest.adapter_source_digest,
        "edgellm": manifest.files.get("adapter.safetensors"),
    }
    assert stored["adapter"]["digest"] == adapters[engine]


def test_a_checkpoint_is_built_for_tensorrt_llm_where_that_is_not_installed(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "model", **FITTING_CONFIG)
    ended = build("trtllm", source, tmp_path / "out", "--adapter", adapter_in(tmp_path), "--json")
    assert ended.status == 0, ended.out
    told = ended.lines[0]
    assert (told["engine_version"], told["gpu_architecture"]) == ("", "")
    assert "adapter/adapter_model.safetensors" in told["files"]
    assert {"version": 1, **told} == {
        "out": str(tmp_path / "out"),
        **json.loads((tmp_path / "out" / "homebred-build.json").read_text()),
    }


def test_an_engine_is_built_for_this_devices_gpu(tmp_path: Path) -> None:
    source, out = write_checkpoint(tmp_path / "model", **FITTING_CONFIG), tmp_path / "out"
    more = ("--adapter", adapter_in(tmp_path), "--slots", "2", "--context-tokens", "8192", "--max-lora-rank", "16")
    ended = build("edgellm", source, out, *more, environ=edge_environ(tmp_path))
    assert ended.status == 0, ended.err
    assert "for sm_87 alone" in ended.out
    built = json.loads((out / "base" / "llm.engine").read_text())
    assert built[4:] == [
        *("--maxBatchSize", "2", "--maxInputLen", "2048", "--maxKVCacheCapacity", "8192", "--maxLoraRank", "16")
    ]
    manifest = read_build(out / "base")
    assert manifest is not None
    assert manifest.gpu_architecture == "sm_87"


def test_commands_may_lie_in_folders_that_are_named(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "model")
    environ = {"PATH": f"{write_nvidia_smi(tmp_path / 'bin', '8.7')}:{os.environ['PATH']}"}
    tools = write_commands(tmp_path / "tools")
    assert build("edgellm", source, tmp_path / "out", "--tools", tools, environ=environ).status == 0


def test_a_missing_command_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "model")
    tools = write_commands(tmp_path / "tools", without="llm_build")
    ended = build("edgellm", source, tmp_path / "out", "--tools", tools)
    assert ended.status == 2
    assert "llm_build cannot be found" in ended.err
    assert "--tools" in ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "tools"]


def test_an_adapter_for_another_base_is_refused(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "model", intermediate_size=256)
    ended = build("trtllm", source, tmp_path / "out", "--adapter", adapter_in(tmp_path), "--json")
    assert ended.status == 2
    error = ended.lines[0]["error"]
    assert "takes gate_proj of layer 0 as one from 64 to 128; in model it is one from 64 to 256" in error["message"]
    assert error["hint"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--engine", "echo", "--source", ".", "--out", "out"), "Nothing is built for the engine 'echo'"),
        (("--engine", "llamacpp", "--source", ".", "--out", "Out!"), "'Out!' is no specialist's id"),
        (("--engine", "llamacpp", "--source", ".", "--out", "out"), "convert_hf_to_gguf.py"),
        (("--engine", "llamacpp", "--source", "."), "--out"),
    ],
)
def test_an_order_that_cannot_be_followed_says_what_next(arguments: tuple[str, ...], told: str) -> None:
    ended = homebred("engines", "build", *arguments)
    assert ended.status == 2
    assert told in ended.err


def test_a_step_that_fails_shows_its_last_lines(tmp_path: Path) -> None:
    environ = edge_environ(tmp_path, trouble={"llm_build": "print('no room for the plan'); sys.exit(3)"})
    ended = build("edgellm", write_checkpoint(tmp_path / "model"), tmp_path / "out", environ=environ)
    assert ended.status == 5
    assert "Step 2 of 2 (build the engine) ended with status 3" in ended.err
    assert "no room for the plan" in ended.err
    assert not (tmp_path / "out").exists()


def test_a_build_that_is_told_to_stop_ends_its_command_and_leaves_nothing(tmp_path: Path) -> None:
    started = tmp_path / "started"
    environ = edge_environ(tmp_path, trouble={"llm_build": f"make({str(started)!r}); time.sleep(600)"})
    arguments = ("--engine", "edgellm", "--source", write_checkpoint(tmp_path / "model"), "--out", tmp_path / "out")
    building = subprocess.Popen([COMMANDS / "homebred", "engines", "build", *arguments], env=environment(**environ))
    until = time.monotonic() + 30
    while not started.exists() and time.monotonic() < until:
        time.sleep(0.05)
    building.send_signal(signal.SIGTERM)
    assert building.wait(30) == 130
    assert list(tmp_path.glob("*out*")) == []
