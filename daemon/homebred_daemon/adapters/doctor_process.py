"""Runs `homebred doctor` in a process of its own, as the daemon's own command line: what it found, as JSON.

It judges nothing, and repairs nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from homebred_daemon.config import Settings
from homebred_daemon.config_sources import variable_of
from homebred_daemon.errors import StateError

LONGEST_S = 60.0
MAX_BYTES = 1_000_000
_PROGRAM = "import sys; from homebred_daemon.cli import main; sys.exit(main())"


async def findings(settings: Settings) -> Sequence[Mapping[str, Any]]:
    """Every finding for a daemon with these settings. Raises StateError where there are none."""
    paths = settings.paths
    environ = dict(os.environ)
    for name, path in (("state_dir", paths.state_dir), ("runtime_dir", paths.runtime_dir), ("socket", paths.socket)):
        environ[variable_of(("paths", name))] = str(path)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _PROGRAM,
            "doctor",
            "--json",
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=MAX_BYTES,
        )
    except OSError as error:
        raise StateError(f"the checks could not be started: {error.strerror}") from error
    try:
        async with asyncio.timeout(LONGEST_S):
            output, _ = await process.communicate()
        found = json.loads(output)["findings"]
    except (TimeoutError, ValueError, KeyError, TypeError) as error:
        raise StateError("the checks did not end, or said nothing that can be read") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return [one for one in found if isinstance(one, dict)]
