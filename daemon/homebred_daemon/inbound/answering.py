"""Accepted tasks, the events they lead to, and who answers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from homebred_daemon.core.attached_content import NOTHING_ATTACHED, AttachedContent, Attachment
from homebred_daemon.core.constraints import UNCONSTRAINED, Constraints
from homebred_daemon.core.context import MinimumContext
from homebred_daemon.core.decision import RouteDecision
from homebred_daemon.core.traces import TraceParent
from homebred_daemon.errors import HomebredError
from homebred_daemon.ports.ledger import OutcomeRecord
from homebred_engines import api
from homebred_protocol.documents.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedTask:
    """A task with its content, checked and about to be answered."""

    task: Task
    text: str
    """All that a person wrote in it, its schema, tools and attachments too, as detection reads it."""
    turns: tuple[api.Message, ...]
    """The conversation that an engine is to continue, its documents aside."""
    options: api.GenerateOptions
    """What the caller asks of the generation."""
    caller: tuple[str, ...]
    """Attested principals."""
    deadline_s: float
    """Seconds from now to the outcome."""
    attachments: tuple[Attachment, ...] = ()
    """What belongs to it, as the caller gave it: for a person who must answer."""
    content: AttachedContent = NOTHING_ATTACHED
    """What can be told of them."""
    local_tools: frozenset[str] = frozenset()
    """Names of the tools that run on this device."""
    session_id: str = ""
    """The caller's name for what belongs together; empty: the task stands alone."""
    constraints: Constraints = UNCONSTRAINED
    """What the answer's text must keep to."""
    rejects: str = ""
    """Route whose answer, of the same session, the caller does not take; empty: none."""
    trace_parent: TraceParent | None = None
    """What the caller says that it is a part of, for whoever reads traces."""

    @property
    def is_held(self) -> bool:
        """Whether its caller asks something of the whole answer, so that none of it is shown before it is whole."""
        return bool(self.options.json_schema) or self.constraints.are_set

    @property
    def size(self) -> int:
        """About how many bytes its content takes when it is kept."""
        return len(self.text) + sum(len(one.data) * 4 // 3 for one in self.attachments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The caller hears of a decision before anything is generated."""

    route_id: str
    decision: RouteDecision
    supersedes: str
    """The route whose failure, or whose answer's rejection, led here; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """What would become of a task."""

    decision: RouteDecision
    context: MinimumContext | None
    """What would leave, masked; None: nothing would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a task ended."""

    record: OutcomeRecord
    weak: bool
    """Whether a finding says not to rely on the answer."""
    problem: HomebredError | None = None
    """With `review` and `error`: what the caller must hear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retracted:
    """The pieces so far do not count: the answer failed on its way, and begins anew."""

    code: str
    """Why: a stable machine code."""


AnswerEvent = Decided | str | api.ToolCall | Retracted | Outcome
"""A decision, a piece of the answer (never cumulative), a tool to call, the word that those so far do not count, or the
end."""


Emit = Callable[[AnswerEvent], Awaitable[None]]
"""Takes an event on its way to the caller; a few may be on it at a time."""
Heard = Callable[[], Awaitable[None]]
"""Returns once everything that was emitted is with the caller."""


async def at_once() -> None:
    """Heard, for a caller to whom everything that was emitted is known."""


class Answerer(Protocol):
    """Answers tasks."""

    async def route(self, accepted: AcceptedTask) -> Routed:
        """The decision and what would leave: nothing is recorded, and nothing is asked but for a summary.

        Raises:
            RequestError: the task cannot be accepted.
        """
        ...

    async def answer(self, accepted: AcceptedTask, emit: Emit, heard: Heard = at_once) -> None:
        """Answers a task: `emit` hears decisions, pieces of the answer, then exactly one Outcome.

        An answer is recorded as one once its caller has `heard` it whole.

        Raises:
            RequestError: the task was not accepted; nothing was emitted.
        """
        ...
