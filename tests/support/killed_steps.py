"""Kills a child of this process before any one step that it does to a folder: a write, a flush, a change of names."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def killed_before(number: int, root: Path, act: Callable[[], object]) -> bool:
    """Acts in a child that is killed before its n-th write, flush or change of names below a folder; if it survived."""
    child = os.fork()
    if not child:
        left = number

        def step() -> None:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            reads = event == "os.listdir" or (event == "open" and not int(str(arguments[2])) & os.O_CREAT)
            if not reads and any(str(one).startswith(str(root)) for one in arguments[:2]):
                step()

        flush = os.fsync

        def flushing(descriptor: Any) -> None:
            step()
            flush(descriptor)

        setattr(os, "fsync", flushing)  # noqa: B010  # mypy holds a plain assignment to the name of its parameter
        sys.addaudithook(hook)
        act()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
