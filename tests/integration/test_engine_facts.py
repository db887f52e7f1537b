"""What this device and its engines are, asked of a real interpreter."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from homebred_daemon.adapters.engine_facts import EngineFacts
from homebred_daemon.errors import EngineUnavailableError


async def test_the_interpreter_says_which_engines_it_can_start_and_their_versions() -> None:
    facts = EngineFacts(Path(sys.executable), memory_bytes=7)
    echo, llamacpp, unknown = [await facts.of(name) for name in ("echo", "llamacpp", "trtllm")]
    assert {"echo", "llamacpp"} <= set(echo.engines)
    assert echo.engine_version == "1"
    assert llamacpp.engine_version.count(".") >= 1
    assert unknown.engine_version == ""
    assert (echo.architecture, echo.memory_bytes) == (platform.machine(), 7)


async def test_an_interpreter_that_does_not_run_is_an_error_and_is_asked_again(tmp_path: Path) -> None:
    place = tmp_path / "python"
    facts = EngineFacts(place, memory_bytes=0)
    for body in (None, "#!/bin/sh\nexit 3\n"):
        if body is not None:
            place.write_text(body)
            place.chmod(0o755)
        with pytest.raises(EngineUnavailableError):
            await facts.of("echo")
    place.unlink()
    place.symlink_to(sys.executable)
    assert "echo" in (await facts.of("echo")).engines
