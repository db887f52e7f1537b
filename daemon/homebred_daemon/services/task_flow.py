"""What flows through answering: the standing that holds, the accepted task, and the events its caller hears."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from homebred_daemon.core.callers import rights_of
from homebred_daemon.core.decision import RouteDecision
from homebred_daemon.core.link import Link
from homebred_daemon.core.shelf import Shelf
from homebred_daemon.errors import HomebredError
from homebred_daemon.ports import Clock, EnginePool, OutcomeRecord, SchemaChecker, ServedModel
from homebred_daemon.services.deciding import Decider
from homebred_daemon.services.recording import Recorder
from homebred_engines import api
from homebred_protocol.documents.policy import WorkflowPolicy
from homebred_protocol.documents.specialist import SpecialistManifest
from homebred_protocol.documents.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A specialist that this device can serve."""

    manifest: SpecialistManifest
    model: ServedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedTask:
    """A task with its content, checked and about to be answered."""

    task: Task
    text: str
    """All that a person wrote in it, as detection reads it."""
    turns: tuple[api.Message, ...]
    """The same as the conversation that an engine is to continue."""
    options: api.GenerateOptions
    """What the caller asks of the generation."""
    caller: tuple[str, ...]
    """Attested principals."""
    deadline_s: float
    """Seconds from now to the outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What holds for tasks accepted now; replaced whole when policy or models change."""

    decider: Decider
    specialists: Mapping[str, Served]
    """Those that can be served, by id."""
    shelf: Shelf
    """All that the model store held, the damaged ones too."""
    link: Link

    def allows(self, accepted: AcceptedTask) -> bool:
        """Whether the caller's profile lets it use the task's workflow."""
        return rights_of(accepted.caller, self.decider.policy).allows_workflow(accepted.task.workflow)

    def workflow_policy(self, workflow: str | None) -> WorkflowPolicy:
        """What the policy says of a workflow; nothing where it names none."""
        return self.decider.policy.workflows.get(workflow or "", WorkflowPolicy())


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What answering works with."""

    recorder: Recorder
    pool: EnginePool
    schemas: SchemaChecker
    clock: Clock
    new_route_id: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The caller hears of a decision before anything is generated."""

    route_id: str
    decision: RouteDecision
    supersedes: str
    """The route whose failure led here; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a task ended."""

    record: OutcomeRecord
    weak: bool
    """Whether a finding says not to rely on the answer."""
    problem: HomebredError | None = None
    """With `review` and `error`: what the caller must hear."""


AnswerEvent = Decided | str | Outcome
"""A decision, a piece of the answer (never cumulative), or the end."""

Emit = Callable[[AnswerEvent], Awaitable[None]]
