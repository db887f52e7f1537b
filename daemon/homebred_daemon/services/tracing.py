"""Collects spans of tasks, and hands finished traces to an exporter. Fulfils `ports.tracing.Traces`; one event loop.

No task waits for it: traces that the queue has no room for, and those that nobody takes, are dropped and counted. It
tries nothing again, and what it still has when the daemon stops is sent once, or dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from homebred_daemon.core.measures import TRACES
from homebred_daemon.core.traces import DECIDE, MAX_SPANS, TASK, Span, SpanKind, Trace, TraceParent, fitted
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.measures import UNMEASURED, Measures
from homebred_daemon.ports.tracing import TraceExporter, TracesNotTakenError
from homebred_daemon.services.background import beside

MAX_WAITING = 1024
"""Finished traces."""
MAX_TOGETHER = 128
"""Traces in one message."""
AGAIN_AFTER_S = 1.0
"""Between two messages, so that traces gather, and an exporter that fails is left in peace."""


class Tracing:
    """All traces of one daemon; they leave while `running` lasts."""

    def __init__(self, exporter: TraceExporter, clock: Clock, measures: Measures = UNMEASURED) -> None:
        self._exporter = exporter
        self._clock = clock
        self._measures = measures
        self._waiting: deque[Trace] = deque()
        self._news = asyncio.Event()

    def begin(self, parent: TraceParent | None) -> TracedTask:
        """As `Traces.begin`."""
        return TracedTask(self, self._clock, parent)

    def take(self, trace: Trace) -> None:
        """A finished trace; where there is no room for it, it is dropped."""
        if len(self._waiting) >= MAX_WAITING:
            self._measures.count(TRACES, "no_room")
            return
        self._waiting.append(trace)
        self._news.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sends what gathers; on leaving, once more what is left."""
        async with beside(self._send_for_ever()):
            yield
        while self._waiting and await self._send_some():
            pass
        self._measures.count(TRACES, "not_taken", by=len(self._waiting))

    async def _send_for_ever(self) -> None:
        while True:
            await self._news.wait()
            await self._send_some()
            if not self._waiting:
                self._news.clear()
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _send_some(self) -> bool:
        """Whether they were taken."""
        traces = [self._waiting.popleft() for _ in range(min(MAX_TOGETHER, len(self._waiting)))]
        result = "not_taken"
        try:
            await self._exporter.send(traces)
            result = "sent"
        except TracesNotTakenError:
            pass  # counted below, with those whose sending was cut short
        finally:
            self._measures.count(TRACES, result, by=len(traces))
        return result == "sent"


class TracedTask:
    """As `ports.tracing.TaskTrace`."""

    def __init__(self, tracing: Tracing, clock: Clock, parent: TraceParent | None) -> None:
        self._tracing = tracing
        self._clock = clock
        self._parent = parent
        self._begun_at_utc, self._begun_s = clock.now(), clock.monotonic_s()
        self._parts: list[Span] = []
        self._open: list[TracedSpan] = []
        self._decided: tuple[str, ...] = ()

    def begin(self, kind: SpanKind) -> TracedSpan:
        """As `TaskTrace.begin`."""
        span = TracedSpan(self, kind, self._clock)
        self._open.append(span)
        return span

    def add(self, kind: SpanKind, *words: str, begun_s: float, ended_s: float) -> None:
        """As `TaskTrace.add`."""
        if kind is DECIDE:
            self._decided = words
        if len(self._parts) < MAX_SPANS:
            self._parts.append(Span(kind=kind, words=fitted(kind, words), begun_s=begun_s, ended_s=ended_s))

    def close(self, span: TracedSpan, words: tuple[str, ...]) -> None:
        """A part has ended."""
        if span in self._open:
            self._open.remove(span)
            self.add(span.kind, *words, begun_s=span.begun_s, ended_s=self._clock.monotonic_s())

    def end(self, *words: str) -> None:
        """As `TaskTrace.end`."""
        for span in tuple(self._open):
            span.end()
        words = fitted(TASK, (*words, *self._decided))
        task = Span(kind=TASK, words=words, begun_s=self._begun_s, ended_s=self._clock.monotonic_s())
        self._tracing.take(
            Trace(task=task, parts=tuple(self._parts), begun_at_utc=self._begun_at_utc, parent=self._parent)
        )


class TracedSpan:
    """As `ports.tracing.OpenSpan`."""

    def __init__(self, task: TracedTask, kind: SpanKind, clock: Clock) -> None:
        self.kind = kind
        self.begun_s = clock.monotonic_s()
        self._task = task

    def end(self, *words: str) -> None:
        """As `OpenSpan.end`."""
        self._task.close(self, words)
