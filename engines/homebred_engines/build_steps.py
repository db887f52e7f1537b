"""Runs the commands of a build one by one, tells how far it is, and ends them with whoever waits for them.

It knows no command's meaning. A command's environment is that of this process, in which its libraries are found.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from homebred_engines.build_errors import BuildFailedError
from homebred_engines.hardening import EXIT_BOUND_S

KEPT_LINES = 20
"""Of what a failing command wrote."""
_MAX_LINE_CHARACTERS = 2000
_CLOSING_S = EXIT_BOUND_S / 2
"""From SIGTERM to SIGKILL of a command: what runs it may have no more than EXIT_BOUND_S, and removes what was begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of a build."""

    title: str
    """What it does, for people."""
    command: tuple[str, ...]
    """The program and its arguments."""
    makes: tuple[Path, ...]
    """What must be there afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgress:
    """How far a build is."""

    number: int
    """Of the step, from 1."""
    steps: int
    """How many there are."""
    title: str
    """Of the step."""
    line: str
    """What its command wrote last; empty: nothing yet."""


Hear = Callable[[StepProgress], None]


def run_steps(steps: Sequence[Step], hear: Hear, *, inherited: Sequence[int] = ()) -> None:
    """Runs all of them in order.

    Args:
        steps: what to run.
        hear: hears of each step's begin and of each line that its command writes.
        inherited: descriptors that the commands keep open, such as a lock that must last as long as they do.

    Raises:
        BuildFailedError: one did not start, did not end well, or did not make what it should.
    """
    for number, step in enumerate(steps, start=1):

        def tell(line: str, number: int = number, step: Step = step) -> None:
            hear(StepProgress(number=number, steps=len(steps), title=step.title, line=line))

        tell("")
        _run(step, f"Step {number} of {len(steps)} ({step.title})", tell, inherited)


def _run(step: Step, name: str, tell: Callable[[str], None], inherited: Sequence[int]) -> None:
    began_at, last_lines = time.monotonic(), deque[str](maxlen=KEPT_LINES)
    try:
        process = subprocess.Popen(  # noqa: S603 - commands that the caller found, without a shell
            step.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # so that whatever it starts can be ended with it
            pass_fds=inherited,
        )
    except OSError as error:
        raise BuildFailedError(f"{name} cannot be started: {step.command[0]}: {error.strerror}.") from None
    with process:
        try:
            for line in process.stdout or ():
                last_lines.append(line.rstrip()[:_MAX_LINE_CHARACTERS])
                tell(last_lines[-1])
            status = process.wait()
        except BaseException:
            _end(process)
            raise
    took = f"after {time.monotonic() - began_at:.0f} s"
    if status:
        ending = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        raise _failure(f"{name} ended {ending} {took}: {shlex.join(step.command)}.", status, last_lines)
    missing = [path.name for path in step.makes if not path.exists()]
    if missing:
        raise _failure(f"{name} ended well {took}, and made no {', '.join(missing)}.", 0, last_lines)


def _failure(why: str, status: int, last_lines: Sequence[str]) -> BuildFailedError:
    return BuildFailedError(why, exit_code=status, last_lines="\n".join(last_lines))


def _end(process: subprocess.Popen[str]) -> None:
    """Ends the command and what it started, gently first."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_CLOSING_S)
            return
