"""A build in a child process of the engines' interpreter: bounded in time, memory and disk, ended with whoever waits.

The child gives way to every other process and goes first when memory ends. It gets no more of this daemon than an
engine's worker does. What it builds and whether that is right is not looked at here.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from homebred_daemon.adapters.process_tree import kill_tree, resident_bytes
from homebred_daemon.adapters.worker_child import environment_of, link_packages
from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.errors import BuildError, UnwritableError
from homebred_daemon.on_threads import unbroken
from homebred_engines.build import BuildOrder
from homebred_engines.build_child import written_order

LOOK_S: Final = 0.5
"""Between two looks at its memory and the disk."""
GRACE_S: Final = 15.0
"""From SIGTERM to SIGKILL: a build ends its commands in turn, and removes what it began."""
MAX_LINE_BYTES: Final = 4 * 1024 * 1024
MAX_LAST_BYTES: Final = 2000
_ERRORS: Final = "errors"
_MODULE: Final = ("-m", "homebred_engines.build_child")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildBounds:
    """What a build may take."""

    longest_s: float
    memory_bytes: int
    """Of the child and all that it starts; 0: no bound."""
    reserve_bytes: int
    """Of the disk, which stay free whatever is built."""


class BuildProcess:
    """Runs orders, each in a child of its own."""

    def __init__(self, python: Path, bounds: BuildBounds, *, command: Sequence[str] = _MODULE) -> None:
        """`command` is what the interpreter runs."""
        self._python = python
        self._bounds = bounds
        self._command = tuple(command)

    async def run(self, order: BuildOrder, place: Path) -> Refusal | None:
        """Builds an order in a folder of its own; None: it is done.

        Raises:
            BuildError: it broke off, and may be tried again.
            UnwritableError: the disk is full, or was not to be written.
        """
        process = await self._started(place)
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._broken_bound(process, place))
            answer = group.create_task(_answer(process, order))
            try:
                await asyncio.wait({watch, answer}, return_when=asyncio.FIRST_COMPLETED)
                broken = watch.result() if watch.done() and not answer.done() else None
            finally:
                watch.cancel()
                if not answer.done():
                    answer.cancel()
                await _ended(process)
        if broken is None:
            return self._judged(answer.result(), process, place)
        if broken.code == "build_memory":
            raise BuildError(broken.sentence, hint="nothing: it is tried again when there may be more memory")
        return broken

    def _judged(self, said: dict[str, Any], process: asyncio.subprocess.Process, place: Path) -> Refusal | None:
        if "refused" in said:
            return Refusal(code="recipe_unfit", sentence=str(said["refused"])[:500])
        if "unwritable" in said:
            raise UnwritableError(
                f"a build broke off: {said['unwritable']}"[:500], hint="free disk space; it is tried again"
            )
        if "failed" in said:
            raise BuildError(str(said["failed"])[:500])
        if "built" not in said:
            raise BuildError(f"the build ended with {process.returncode} and said nothing{_last_words(place)}")
        return None

    async def _started(self, place: Path) -> asyncio.subprocess.Process:
        try:
            await unbroken(partial(link_packages, place))
            with (place / _ERRORS).open("wb") as errors:
                return await asyncio.create_subprocess_exec(
                    str(self._python),
                    *self._command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=errors,
                    cwd=place,
                    env=environment_of(place, {}),
                    limit=MAX_LINE_BYTES,
                    start_new_session=True,  # a Ctrl-C in a terminal is for whoever started this process
                )
        except OSError as error:
            raise BuildError(
                f"{self._python} cannot be started for a build: {error.strerror}", hint="run `homebred doctor`"
            ) from error

    async def _broken_bound(self, process: asyncio.subprocess.Process, place: Path) -> Refusal:
        """The first bound that a build goes beyond; while it goes beyond none, it goes on."""
        bounds, loop = self._bounds, asyncio.get_running_loop()
        ends_s = loop.time() + bounds.longest_s
        while True:
            if loop.time() >= ends_s:
                sentence = f"the build took longer than {bounds.longest_s:g} s"
                return Refusal(code="build_too_long", sentence=sentence)
            taken = await asyncio.to_thread(resident_bytes, process.pid)
            if bounds.memory_bytes and taken > bounds.memory_bytes:
                sentence = f"the build took {taken} bytes of memory; {bounds.memory_bytes} are allowed"
                return Refusal(code="build_memory", sentence=sentence)
            free = (await asyncio.to_thread(shutil.disk_usage, place.parent)).free
            if free < bounds.reserve_bytes:
                sentence = f"the build left {free} bytes of the disk, less than the reserve of {bounds.reserve_bytes}"
                return Refusal(code="no_room", sentence=sentence)
            await asyncio.sleep(min(LOOK_S, max(ends_s - loop.time(), 0)))


def _last_words(place: Path) -> str:
    """The last line of what it wrote to standard error, such as why the interpreter could not run it."""
    with suppress(OSError), (place / _ERRORS).open("rb") as errors:
        errors.seek(max(0, errors.seek(0, 2) - MAX_LAST_BYTES))
        lines = errors.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""
    return ""


async def _answer(process: asyncio.subprocess.Process, order: BuildOrder) -> dict[str, Any]:
    """The last thing that it says; empty: it ended before, or said what makes no sense."""
    assert process.stdin is not None  # noqa: S101 - it was asked for a pipe
    assert process.stdout is not None  # noqa: S101
    said: dict[str, Any] = {}
    with suppress(OSError, ValueError):  # of a child that is gone, or babbles
        process.stdin.write(written_order(order))
        await process.stdin.drain()
        while line := await process.stdout.readline():
            found = json.loads(line)
            said = found if isinstance(found, dict) else {}
    await process.wait()
    return said if process.returncode == 0 else {}


async def _ended(process: asyncio.subprocess.Process) -> None:
    """It and what it has started are gone afterwards; cancelled while it waits, it sends SIGKILL at once."""
    if process.returncode is not None:
        return
    try:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await process.wait()
    finally:
        if process.returncode is None:
            kill_tree(process.pid)
    await process.wait()
