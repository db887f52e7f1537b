"""Runs the product's commands as people do: as processes, with an environment of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        [COMMANDS / "homebred", *arguments],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        env=environment(**(environ or {})),
        timeout=TIMEOUT_S,
        check=False,
    )
    return Ended(status=ended.returncode, out=ended.stdout.decode(), err=ended.stderr.decode())
