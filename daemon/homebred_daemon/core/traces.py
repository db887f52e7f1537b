"""The catalogue of spans: all that a trace of a task may say, in the few words that each label may have.

A span has a name, a beginning, an end and words of its labels; every other word is `other`. So no text of a task, no
id, workflow or specialist gets into a trace (I4). What a caller may add is the trace that its task is a part of:
`one_traceparent` takes that as W3C's Trace Context writes it, or not at all. Nothing is timed or sent here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from homebred_daemon.core.decision import Reason, Runtime
from homebred_daemon.core.measures import OTHER, TASKS, Given, Label
from homebred_daemon.core.verification import Finding
from homebred_engines.api import FinishReason

ENGINES: Final = ("echo", "edgellm", "llamacpp", "openai_server", "trtllm")
FAILED: Final = "failed"
ANSWERED: Final = "answered"
MAX_SPANS: Final = 64
"""Of one task; what goes beyond is left out."""
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
"""Trace Context, section 3.2.2. Later versions may go on after a dash; those are not taken."""

_ENGINE = Label(name="engine", words=ENGINES)
_RUNTIME = Label(name="runtime", words=tuple(Runtime))
_REASON = Label(name="reason_code", words=tuple(Reason))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpanKind:
    """What takes its time."""

    name: str
    meaning: str
    labels: tuple[Label, ...] = ()


TASK = SpanKind(
    name="task",
    meaning="An accepted task until its outcome is in the ledger, and what that and the last decision are.",
    labels=(*TASKS.labels, _RUNTIME, _REASON),
)
DECIDE = SpanKind(
    name="decide",
    meaning="Until a decision is in the ledger; a task has several where a specialist failed before its first token.",
    labels=(_RUNTIME, _REASON),
)
QUEUE = SpanKind(name="queue", meaning="In the queue of an engine's worker.", labels=(_ENGINE,))
GENERATE = SpanKind(
    name="generate",
    meaning="From asking a local engine to the end of its answer, loading and queueing included.",
    labels=(_ENGINE, Label(name="finish_reason", words=(*(reason.value for reason in FinishReason), FAILED))),
)
ESCALATE = SpanKind(
    name="escalate",
    meaning="From asking a cloud model to its answer.",
    labels=(Label(name="outcome", words=(ANSWERED, *Finding)),),
)
REVIEW = SpanKind(name="review", meaning="Until a task that a person must answer is on the disk.")
KINDS: Final = (TASK, DECIDE, QUEUE, GENERATE, ESCALATE, REVIEW)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceParent:
    """What a task is a part of, as its caller says."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One stretch of time."""

    kind: SpanKind
    words: tuple[str, ...]
    """Of its labels, in order."""
    begun_s: float
    """Seconds of the monotonic clock."""
    ended_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A task that has ended."""

    task: Span
    parts: tuple[Span, ...]
    begun_at_utc: datetime
    """When `task.begun_s` was."""
    parent: TraceParent | None = None


def one_traceparent(headers: Iterable[str]) -> TraceParent | None:
    """What a call's headers `traceparent` say; None: there is not exactly one, or it is not well-formed."""
    texts = list(headers)
    found = _TRACEPARENT.fullmatch(texts[0]) if len(texts) == 1 else None
    return None if found is None else TraceParent(trace_id=found[1], span_id=found[2])


def fitted(kind: SpanKind, words: tuple[str, ...]) -> tuple[str, ...]:
    """The words as they may be told: each is one of its label's, or `other`; so are those that are not said."""
    said = (*words, *(OTHER for _ in kind.labels[len(words) :]))
    return tuple(
        str(word) if not isinstance(label.words, Given) and word in label.words else OTHER
        for label, word in zip(kind.labels, said, strict=True)
    )
