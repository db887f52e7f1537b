"""The controller's log: events of the catalogue, one a line on standard error, as JSON or as text.

What libraries and Python's own hooks report comes here too, by kind and place, never in their words: those may quote
what somebody sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import structlog
from typing_extensions import override

from homebred_fleet import messages
from homebred_fleet.errors import ConfigurationError
from homebred_fleet.log_events import Entry, Event, Severity, Value

BURST = 200
"""Entries of one kind within the window; what is more is left out and counted."""
WINDOW_S = 10.0
LEVELS = {
    "debug": Severity.DEBUG,
    "info": Severity.INFO,
    "warning": Severity.WARNING,
    "error": Severity.ERROR,
}
FORMATS = ("json", "console")


class StructuredJournal:
    """Fulfils `ports.journal.Journal`."""

    def __init__(
        self, write: Callable[[str], object], level: str, render: Callable[[dict[str, Any]], str], **clock: Any
    ) -> None:
        """`clock` may replace `monotonic_s`. Raises ConfigurationError."""
        if level not in LEVELS:
            raise ConfigurationError(f"{level!r} is no log level", hint=f"write one of: {', '.join(LEVELS)}")
        self._write_line = write
        self._level = LEVELS[level]
        self._render = render
        self._monotonic_s: Callable[[], float] = clock.get("monotonic_s", time.monotonic)
        self._window_s = self._monotonic_s()
        self._noted: Counter[str] = Counter()
        self._lost = 0
        self._turn = threading.Lock()

    def note(self, event: Event, **fields: Value) -> None:
        """Writes the event where it is severe enough and not one too many; one that cannot be written is counted."""
        if event.severity > self._level:
            return
        with self._turn:
            self._end_window()
            self._noted[event.name] += 1
            if self._noted[event.name] <= BURST:
                self._write(event.entry(fields))

    def _end_window(self) -> None:
        now_s = self._monotonic_s()
        if now_s - self._window_s < WINDOW_S:
            return
        noted, self._noted, self._window_s = self._noted, Counter(), now_s
        for kind, count in noted.items():
            if count > BURST:
                self._write(messages.ENTRIES_HELD_BACK.entry({"kind": kind, "count": count - BURST}))

    def _write(self, entry: Entry) -> None:
        try:
            self._write_line(self._render(_as_dict(entry)) + "\n")
            if self._lost:
                self._write_line(self._render(_as_dict(messages.ENTRIES_LOST.entry({"count": self._lost}))) + "\n")
                self._lost = 0
        except (OSError, ValueError):  # ValueError: standard error was closed
            self._lost += 1


def opened(output_format: str, level: str, stream: TextIO) -> StructuredJournal:
    """The log as `[log]` says. Raises ConfigurationError."""

    def write(line: str) -> None:
        stream.write(line)
        stream.flush()

    return StructuredJournal(write, level, json.dumps if output_format == "json" else _console())


def install(journal: StructuredJournal) -> None:
    """Takes over what Python and its libraries would print; the loop's own is `loop_handler`."""
    sys.excepthook = lambda _kind, error, _trace: defect(journal, error)
    threading.excepthook = lambda args: defect(journal, args.exc_value) if args.exc_value else None
    sys.unraisablehook = lambda args: defect(journal, args.exc_value) if args.exc_value else None
    logging.root.handlers = [_Reports(journal)]


def loop_handler(journal: StructuredJournal) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """What the event loop calls with failures of tasks that nobody waits for."""

    def handle(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            defect(journal, error)
        else:
            journal.note(messages.LIBRARY_REPORTED, library="asyncio", severity="error", where="unknown")

    return handle


def defect(journal: StructuredJournal, error: BaseException, event: Event = messages.DEFECT) -> None:
    """Notes a fault of our own by its kind and place."""
    for fault in error.exceptions if isinstance(error, BaseExceptionGroup) else (error,):
        journal.note(event, error_type=type(fault).__name__, where=place_of(fault))


def place_of(error: BaseException) -> str:
    """Where it happened, `file:line:function`, with its caller before it."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return ",".join(f"{Path(frame.filename).name}:{frame.lineno}:{frame.name}" for frame in frames) or "unknown"


class _Reports(logging.Handler):
    """What libraries log."""

    def __init__(self, journal: StructuredJournal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    @override
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:  # what uvicorn caught of ours, as a rule
            defect(self._journal, error)
            return
        self._journal.note(
            messages.LIBRARY_REPORTED,
            library=record.name,
            severity=record.levelname.lower(),
            where=f"{Path(record.pathname).name}:{record.lineno}:{record.funcName}",
        )


def _console() -> Callable[[dict[str, Any]], str]:
    renderer = structlog.dev.ConsoleRenderer(colors=False)

    def render(line: dict[str, Any]) -> str:
        figures = {name: value for name, value in line.items() if name != "message"}
        return str(renderer(None, "", figures | {"event": line["message"]}))

    return render


def _as_dict(entry: Entry) -> dict[str, Any]:
    event = entry.event
    line: dict[str, Any] = {"event": event.name, "level": event.severity.name.lower(), "message": entry.sentence}
    line |= {"next": entry.next_step} if entry.next_step else {}
    line |= dict(entry.fields)
    line |= {"refused_fields": " ".join(entry.refused)} if entry.refused else {}
    return line | {"timestamp": datetime.now(UTC).isoformat()}
