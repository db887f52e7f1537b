"""The daemon's log: events of the catalogue, as JSON lines, text, or entries of the systemd journal.

The only importer of structlog, for the text. Whatever the catalogue does not allow is not written, so that no entry
holds content.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from homebred_daemon import messages
from homebred_daemon.adapters.journald import SOCKET, JournalSocket, is_journal
from homebred_daemon.errors import ConfigurationError, RequestError
from homebred_daemon.log_events import FIELDS, Entry, Event, Severity, Shape, Value

Output = Callable[[Entry], None]
"""Writes one entry; raises OSError where it cannot."""
IDENTIFIER = "homebredd"
BURST = 200
"""Entries of one kind within the window; what is more is left out and counted."""
WINDOW_S = 10.0
NUMBERS = frozenset(name for name, field in FIELDS.items() if field.shape is Shape.NUMBER)
LEVELS = {
    "debug": Severity.DEBUG,
    "info": Severity.INFO,
    "warning": Severity.WARNING,
    "error": Severity.ERROR,
}


class StructuredJournal:
    """Fulfils `ports.journal.Journal` and `inbound.caretaking.LogLevels` over one of the outputs below."""

    def __init__(self, output: Output, level: str, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._level = level
        self._monotonic_s = monotonic_s
        self._window_s = monotonic_s()
        self._noted: Counter[str] = Counter()
        """Entries of each kind since the window began."""
        self._lost = 0
        """Entries that could not be written, and of which nothing was said yet."""
        self._turn = threading.Lock()
        """Detectors speak from threads of their own."""
        self._memory: Output | None = None

    def remember_with(self, memory: Output) -> None:
        """Has whatever is at least of interest (`info`) remembered as well, whether it is written or not."""
        self._memory = memory

    @property
    def level(self) -> str:
        """Least severe kind that is written."""
        return self._level

    def set_level(self, level: str) -> str:
        """Writes from now on what is at least so severe; the level before.

        Raises:
            RequestError: there is no such level.
        """
        if level not in LEVELS:
            raise RequestError(f"{level!r} is no log level", hint=f"name one of: {', '.join(LEVELS)}")
        previous, self._level = self._level, level
        self.note(messages.LEVEL_CHANGED, severity=level, previous_severity=previous)
        return previous

    def note(self, event: Event, **fields: Value) -> None:
        """Writes the event where it is severe enough and not one too many; one that cannot be written is counted."""
        if self._memory is not None and event.severity <= Severity.INFO:
            with self._turn:
                self._memory(event.entry(fields))
        if event.severity > LEVELS[self._level]:
            return
        with self._turn:
            self._end_window()
            self._noted[event.name] += 1
            if self._noted[event.name] <= BURST:
                self._write(event.entry(fields))

    def _end_window(self) -> None:
        """Says what was left out, once the time is over in which it would have been too much."""
        now_s = self._monotonic_s()
        if now_s - self._window_s < WINDOW_S:
            return
        noted, self._noted, self._window_s = self._noted, Counter(), now_s
        for kind, count in noted.items():
            if count > BURST:
                self._write(messages.ENTRIES_HELD_BACK.entry({"kind": kind, "count": count - BURST}))

    def _write(self, entry: Entry) -> None:
        try:
            self._output(entry)
            if self._lost:
                self._output(messages.ENTRIES_LOST.entry({"count": self._lost}))
                self._lost = 0
        except (OSError, ValueError):  # ValueError: standard error was closed
            self._lost += 1


def opened(output_format: str, level: str, environ: Mapping[str, str], stream: TextIO) -> StructuredJournal:
    """The log as `[log]` says.

    Raises:
        ConfigurationError: the journal is asked for, and there is none.
    """
    if output_format == "auto":
        output_format = "journal" if SOCKET.exists() and is_journal(stream.fileno(), environ) else "json"
    if output_format == "journal":
        if not SOCKET.exists():
            raise ConfigurationError(
                f"log.format is journal, and no journal listens at {SOCKET}", hint="write log.format = 'auto' or 'json'"
            )
        return StructuredJournal(native(JournalSocket()), level)
    return StructuredJournal(lines(stream, as_json=output_format == "json"), level)


def lines(stream: TextIO, *, as_json: bool) -> Output:
    """An output of one line an entry."""
    render = json.dumps if as_json else _console()

    def write(entry: Entry) -> None:
        stream.write(render(_as_dict(entry)) + "\n")
        stream.flush()

    return write


def native(journal: JournalSocket) -> Output:
    """An output into the systemd journal."""
    return lambda entry: journal.send(_as_fields(entry))


def _console() -> Callable[[dict[str, Any]], str]:
    """Structlog's text for people; 3 MB that only a daemon in a terminal pays."""
    import structlog  # noqa: PLC0415

    renderer = structlog.dev.ConsoleRenderer(colors=False)

    def render(line: dict[str, Any]) -> str:
        figures = {name: value for name, value in line.items() if name not in ("message", "message_id")}
        return str(renderer(None, "", figures | {"event": line["message"]}))

    return render


def _as_dict(entry: Entry) -> dict[str, Any]:
    """An entry as JSON and the console show it."""
    event = entry.event
    line: dict[str, Any] = {"event": event.name, "level": event.severity.name.lower(), "message": entry.sentence}
    line |= {"next": entry.next_step} if entry.next_step else {}
    line |= {name: json.loads(text) if name in NUMBERS else text for name, text in entry.fields.items()}
    line |= {"refused_fields": " ".join(entry.refused)} if entry.refused else {}
    return line | {"message_id": event.message_id, "timestamp": datetime.now(UTC).isoformat()}


def _as_fields(entry: Entry) -> dict[str, str]:
    """An entry as the journal keeps it: systemd.journal-fields(7), then one field for each of ours."""
    event = entry.event
    fields = {
        "MESSAGE": entry.sentence,
        "PRIORITY": str(event.severity.value),
        "MESSAGE_ID": event.message_id,
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "HOMEBRED_EVENT": event.name,
    }
    fields |= {"HOMEBRED_NEXT": entry.next_step} if entry.next_step else {}
    fields |= {f"HOMEBRED_{name.upper()}": text for name, text in entry.fields.items()}
    fields |= {"HOMEBRED_REFUSED_FIELDS": " ".join(entry.refused)} if entry.refused else {}
    return fields
