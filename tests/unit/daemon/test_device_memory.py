from __future__ import annotations

from pathlib import Path

import pytest

from homebred_daemon.adapters.device_memory import available_ram_bytes, free_gpu_bytes, read_gpu_answer
from homebred_daemon.errors import StateError


def machine(folder: Path, *, available_kb: int = 1000, limits: dict[str, str] | None = None) -> tuple[Path, Path]:
    """Kernel files of a machine whose process is in /a/b, with limits by cgroup."""
    proc, cgroups = folder / "proc", folder / "cgroup"
    (proc / "self").mkdir(parents=True)
    (cgroups / "a" / "b").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal:  9000 kB\nMemAvailable:   {available_kb} kB\n")
    (proc / "self" / "cgroup").write_text("0::/a/b\n")
    for name, limit in (limits or {}).items():
        (cgroups / name / "memory.max").write_text(f"{limit}\n")
    return proc, cgroups


def test_what_the_kernel_says_is_available_is_taken(tmp_path: Path) -> None:
    assert available_ram_bytes(*machine(tmp_path, limits={"a/b": "max"})) == 1000 * 1024


def test_the_least_of_the_services_limits_bounds_it(tmp_path: Path) -> None:
    assert available_ram_bytes(*machine(tmp_path, limits={"a/b": "500000", "a": "400000"})) == 400_000


def test_a_process_outside_cgroup_2_has_no_limit(tmp_path: Path) -> None:
    proc, cgroups = machine(tmp_path, limits={"a": "1"})
    (proc / "self" / "cgroup").write_text("5:memory:/a\n")
    assert available_ram_bytes(proc, cgroups) == 1000 * 1024
    (proc / "self" / "cgroup").unlink()
    assert available_ram_bytes(proc, cgroups) == 1000 * 1024


@pytest.mark.parametrize("text", ["", "MemTotal: 1 kB\n", "MemAvailable: much\n", "MemAvailable:\n"])
def test_a_kernel_that_does_not_say_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "meminfo").write_text(text)
    with pytest.raises(StateError) as told:
        available_ram_bytes(tmp_path)
    assert "engine.memory_budget_mb" in told.value.hint


def test_this_machine_says_how_much_it_has() -> None:
    assert available_ram_bytes() > 0


@pytest.mark.parametrize(
    ("answer", "free"),
    [("141234\n", 141234 << 20), ("[N/A]\n", None), ("", None), ("No devices were found\n", None)],
    ids=["a GPU", "Jetson", "silent", "none"],
)
def test_the_tools_answer_is_read(answer: str, free: int | None) -> None:
    assert read_gpu_answer(answer) == free


def test_a_device_without_the_tool_has_no_gpu_memory_of_its_own() -> None:
    assert free_gpu_bytes("no-such-tool") is None


def test_a_tool_that_fails_names_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, body in (("fails", "echo 5; exit 9"), ("works", "echo 512")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert (free_gpu_bytes("fails"), free_gpu_bytes("works")) == (None, 512 << 20)
