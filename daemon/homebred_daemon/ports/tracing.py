"""Where services tell how long the parts of a task take, in spans of the catalogue; and who takes finished traces.

The default hears nothing and costs next to nothing; `services.tracing` is what listens where the site wants traces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from homebred_daemon.core.traces import SpanKind, Trace, TraceParent


class OpenSpan(Protocol):
    """What has begun."""

    def end(self, *words: str) -> None:
        """It is over; `words` are its labels', in order. What nobody ends is over with its task."""
        ...


class TaskTrace(Protocol):
    """Hears of one task, on the event loop alone. It never fails."""

    def begin(self, kind: SpanKind) -> OpenSpan:
        """A part of the task begins now."""
        ...

    def add(self, kind: SpanKind, *words: str, begun_s: float, ended_s: float) -> None:
        """A part whose times are known afterwards, by the monotonic clock."""
        ...

    def end(self, *words: str) -> None:
        """The task has ended; what is not ended by now was never accepted, and is forgotten."""
        ...


class Traces(Protocol):
    """Hears of tasks."""

    def begin(self, parent: TraceParent | None) -> TaskTrace:
        """A task begins now; `parent` is what its caller says that it is a part of."""
        ...


class TraceExporter(Protocol):
    """Takes finished traces to whoever reads them."""

    async def send(self, traces: Sequence[Trace]) -> None:
        """Once, in bounded time.

        Raises:
            TracesNotTakenError: nobody took them.
        """
        ...


class TracesNotTakenError(Exception):
    """Nobody took the traces."""


class Untraced:
    """Nobody wants traces: all three of the listeners at once."""

    def begin(self, what: SpanKind | TraceParent | None) -> Untraced:
        """Nobody hears."""
        del what
        return self

    def add(self, kind: SpanKind, *words: str, begun_s: float, ended_s: float) -> None:
        """Nobody hears."""

    def end(self, *words: str) -> None:
        """Nobody hears."""


UNTRACED = Untraced()
