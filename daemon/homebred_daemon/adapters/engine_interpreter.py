"""Asks the interpreter that runs the engines what it has, by having it run `engine_probe.py`. It judges nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PROBE_TIMEOUT_S = 60.0
PACKAGES = ("homebred_engines", "homebred_protocol")


def probe(python: Path, timeout_s: float = PROBE_TIMEOUT_S) -> tuple[dict[str, dict[str, Any]], str]:
    """The steps that the interpreter reported, and how it ended if not well. Raises OSError where it does not start."""
    program = (resources.files("homebred_daemon.adapters") / "engine_probe.py").read_text(encoding="utf-8")
    specs = [find_spec(package) for package in PACKAGES]
    folders = [str(Path(spec.origin).parent.parent) for spec in specs if spec is not None and spec.origin is not None]
    command = [str(python), "-c", program, *folders]
    try:
        done = subprocess.run(  # noqa: S603  # the interpreter that the daemon would run anyway, as the same user
            command,
            capture_output=True,
            text=True,
            cwd="/",
            timeout=timeout_s,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired as error:
        printed = (error.stdout or b"").decode()  # bytes here, whatever `text` says
        return _steps(printed), f"did not end within {timeout_s:g} s"
    ending = ""
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        ending = f"ended by {signal.Signals(-done.returncode).name}" if done.returncode < 0 else " ".join(last)
    return _steps(done.stdout), ending


def _environment() -> dict[str, str]:
    """The parts of the environment that the worker inherits too, as far as they change what can be imported."""
    inherited = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return inherited | {"PYTHONNOUSERSITE": "1"}


def _steps(printed: str) -> dict[str, dict[str, Any]]:
    steps = (json.loads(line) for line in printed.splitlines() if line.startswith('{"step"'))
    return {step["step"]: step for step in steps}
