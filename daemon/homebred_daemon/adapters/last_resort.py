"""Hears what nobody else catches, in this process's every corner, and notes type and place of it, never the words.

An exception's text may quote a task, and so may what a library reports: Python's own hooks, asyncio's and logging's
would print both.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

from typing_extensions import override

from homebred_daemon import messages
from homebred_daemon.ports.journal import Journal

MAX_PLACES = 8
MAX_FAULTS = 4
"""Of one group of exceptions, so many are noted."""


def install(journal: Journal) -> None:
    """Takes over every hook of this process; the loop's own is `loop_handler`."""
    sys.excepthook = lambda _kind, error, _trace: defect(journal, error)
    threading.excepthook = lambda args: defect(journal, args.exc_value) if args.exc_value else None
    sys.unraisablehook = lambda args: defect(journal, args.exc_value) if args.exc_value else None
    warnings.showwarning = lambda _message, category, file, line, *_: journal.note(
        messages.LIBRARY_REPORTED,
        library="warnings",
        severity="warning",
        error_type=category.__name__,
        where=(f"{_name(file)}:{line}",),
    )
    logging.root.handlers = [_Reports(journal)]
    faulthandler.enable()  # the watchdog's SIGABRT and a fault in C: places of every thread, no values


def loop_handler(journal: Journal) -> Any:
    """What the event loop calls with failures of tasks that nobody waits for."""

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        del loop
        error = context.get("exception")
        if isinstance(error, BaseException):
            defect(journal, error)
        else:
            journal.note(messages.LIBRARY_REPORTED, library="asyncio", severity="error")

    return handle


def defect(journal: Journal, error: BaseException) -> None:
    """Notes a fault of our own that others survive."""
    for fault in _faults(error):
        journal.note(messages.DEFECT, error_type=type(fault).__name__, where=places(fault))


def crash(journal: Journal, error: BaseException) -> None:
    """Notes what ends the daemon."""
    for fault in _faults(error):
        journal.note(messages.CRASHED, error_type=type(fault).__name__, where=places(fault))


def places(error: BaseException) -> tuple[str, ...]:
    """Where it happened, outermost first: `file:line:function`."""
    frames = traceback.extract_tb(error.__traceback__)[-MAX_PLACES:]
    return tuple(f"{_name(frame.filename)}:{frame.lineno}:{frame.name}" for frame in frames)


class _Reports(logging.Handler):
    """What libraries log."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    @override
    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        self._journal.note(
            messages.LIBRARY_REPORTED,
            library=record.name,
            severity=record.levelname.lower(),
            **({"error_type": kind.__name__} if kind is not None else {}),
            where=(f"{_name(record.pathname)}:{record.lineno}:{record.funcName}",),
        )


def _faults(error: BaseException) -> list[BaseException]:
    return list(_leaves(error))[:MAX_FAULTS]


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


def _name(path: str) -> str:
    return path.rpartition("/")[2]
