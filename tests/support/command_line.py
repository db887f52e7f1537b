"""Runs the product's commands as people do: as processes, with an environment of their own."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

COMMANDS = Path(sys.executable).parent
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def environment(**more: str) -> dict[str, str]:
    """What a command inherits: nothing of this process's own HOMEBRED_ settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOMEBRED_")}
    return kept | more


def homebred(
    *arguments: str | Path,
    stdin: str | bytes = b"",
    environ: Mapping[str, str] | None = None,
    command: str = "homebred",
) -> Ended:
    """Runs one command to its end."""
    ended = subprocess.run(
        [COMMANDS / command, *arguments],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        env=environment(**(environ or {})),
        timeout=TIMEOUT_S,
        check=False,
    )
    return Ended(status=ended.returncode, out=ended.stdout.decode(), err=ended.stderr.decode())


def homebred_fleet(*arguments: str | Path, environ: Mapping[str, str] | None = None) -> Ended:
    """Runs one of the controller's commands to its end."""
    return homebred(*arguments, environ=environ, command="homebred-fleet")


def fleet_here(*arguments: str | Path, environ: Mapping[str, str]) -> Ended:
    """Runs one of the controller's commands in this process: the same, but for half a second of imports."""
    from homebred_fleet.cli.running import run  # noqa: PLC0415  # its commands are imported as they are asked for

    out, err = io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(os, "environ", environment(**environ))
            patch.setattr(sys, "argv", ["homebred-fleet", *map(str, arguments)])
            status = run()
    finally:
        signal.signal(signal.SIGTERM, handler)
    return Ended(status=status, out=out.getvalue(), err=err.getvalue())
