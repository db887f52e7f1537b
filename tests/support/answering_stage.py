"""A device on a stage: the answering service over scripted specialists, its events and its ledger told as lines.

decided r1 local a: margin_met        a decision, its route id first; `after r1` where it supersedes one
<< hello                              a piece of the answer
answer by a: slow                     the outcome: status, who answered, findings
error deadline_exceeded: fallback     … or its code
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.fake_ledger import FakeLedger
from tests.support.fake_reviews import FakeReviewStore, FakeSealer
from tests.support.keyword_detector import KeywordDetector
from tests.support.manual_clock import ManualClock
from tests.support.recorded_journal import RecordedJournal
from tests.support.review_items import TERMS
from tests.support.scripted_pool import Play, ScriptedPool

from homebred_daemon.adapters.json_schema import JsonSchemaChecker
from homebred_daemon.core.attached_content import Attachment
from homebred_daemon.core.attachments import attached_content
from homebred_daemon.core.link import Link, SeenLink
from homebred_daemon.core.pseudonyms import KEY_BYTES
from homebred_daemon.core.sensitivity import Detector
from homebred_daemon.core.shelf import Shelf
from homebred_daemon.core.task_content import constraints_of, local_tools_of, requiring, tools_of
from homebred_daemon.inbound.answering import AcceptedTask, AnswerEvent, Decided, Outcome, Retracted
from homebred_daemon.ports.cloud import CloudLane
from homebred_daemon.ports.engines import ServedModel
from homebred_daemon.ports.ledger import OutcomeRecord
from homebred_daemon.ports.measures import UNMEASURED, Measures
from homebred_daemon.ports.review import ReviewStore
from homebred_daemon.ports.tracing import UNTRACED, Traces
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.deciding import Decider
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.reviews.review_book import ReviewBook, ReviewTerms
from homebred_daemon.services.reviews.review_desk import ReviewDesk
from homebred_daemon.services.sessions import Sessions
from homebred_daemon.services.standing import Means, Served, Standing
from homebred_daemon.services.way_out import WayOut
from homebred_engines import api
from homebred_protocol.documents.policy import read_policy
from homebred_protocol.documents.registry import read_registry
from homebred_protocol.documents.specialist import Prompt, ServedWorkflow, SpecialistManifest
from homebred_protocol.documents.task import content_text, read_task

WORKFLOW = "intake.normalise"
PUBLIC = {"workflow": WORKFLOW, "data_classes": ["public"]}
PRIVATE = {"workflow": WORKFLOW, "data_classes": ["patient"]}
ESCALATABLE = PUBLIC | {"allows_escalation": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A specialist and its script."""

    plays: Sequence[Play] = ()
    fitness: float = 0.9
    samples: int = 200
    reference_fitness: float | None = 0.8
    """Fit by default: it beats its reference by more than chance."""
    size_rank: int = 0
    workflow: str = WORKFLOW
    response_schema: str = ""
    capabilities: tuple[str, ...] = ()
    p95_s: float | None = None

    def entry(self, specialist_id: str) -> dict[str, Any]:
        fitness = {"fitness": self.fitness, "samples": self.samples, "reference_fitness": self.reference_fitness}
        return {
            "id": specialist_id,
            "engine": "echo",
            "workflows": {self.workflow: fitness},
            "size_rank": self.size_rank,
            "capabilities": list(self.capabilities),
            "p95_s": self.p95_s,
        }

    def served(self, specialist_id: str) -> Served:
        return Served(
            manifest=SpecialistManifest(
                digest=f"sha256:manifest of {specialist_id}",
                id=specialist_id,
                title=specialist_id,
                engine="echo",
                workflows={self.workflow: ServedWorkflow()},
                prompt=Prompt(response_schema=self.response_schema),
            ),
            model=ServedModel(engine="echo", path=specialist_id, digest=f"sha256:{specialist_id}", context_tokens=512),
        )


@dataclass(slots=True)
class Stage:
    """One device; `answer` plays a task to its end and returns what the caller heard."""

    actors: Mapping[str, Actor]
    policy: Mapping[str, Any] = field(default_factory=dict)
    link: Link = Link.UP
    missing: frozenset[str] = frozenset()
    """Specialists of the registry that cannot be served."""
    clock: ManualClock = field(default_factory=ManualClock)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    reviews: FakeReviewStore = field(default_factory=FakeReviewStore)
    heard: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    cloud: CloudLane | None = None
    on_event: Callable[[AnswerEvent], None] = lambda _: None
    """What happens as the caller hears an event."""
    measures: Measures = UNMEASURED
    traces: Traces = UNTRACED
    pool: ScriptedPool = field(init=False)
    detector: KeywordDetector = field(init=False)
    looks: Detector | None = None
    """Looks through the tasks instead of `detector`."""
    leaving_looks: Detector | None = None
    """Looks through what may leave; None: as the tasks are looked through."""

    def __post_init__(self) -> None:
        self.pool = ScriptedPool(self.clock, {name: actor.plays for name, actor in self.actors.items()})
        self.detector = KeywordDetector({"sk-live": "SECRET"})

    def standing(self) -> Standing:
        registry = {"specialists": [actor.entry(name) for name, actor in self.actors.items()]}
        return Standing(
            decider=Decider(
                policy=read_policy(dict(self.policy), "sha256:policy"),
                registry=read_registry(registry, "sha256:registry"),
                detector=self.looks or self.detector,
                cloud_detector=self.leaving_looks,
            ),
            specialists={name: actor.served(name) for name, actor in self.actors.items() if name not in self.missing},
            shelf=Shelf(),
            link=SeenLink(self.link),
        )

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[Answering]:
        recorder = Recorder(self.ledger, self.measures)
        numbers, keys = itertools.count(1), itertools.count()
        desk = review_desk(self.reviews, self.clock)
        means = Means(
            recorder=recorder,
            pool=self.pool,
            schemas=JsonSchemaChecker(),
            reviews=desk,
            clock=self.clock,
            sessions=Sessions(self.clock, lambda: next(keys).to_bytes(KEY_BYTES)),
            new_route_id=lambda: f"r{next(numbers)}",
            measures=self.measures,
            traces=self.traces,
        )
        async with recorder.running(), desk.running():
            yield Answering(self.standing(), means, WayOut(lane=self.cloud))

    async def answer(self, task: Mapping[str, Any] = PUBLIC, **accepted: Any) -> list[str]:
        async with self.answering() as answering:
            await answering.answer(accepted_task(task, **accepted), self.hear)
        return self.heard

    async def hear(self, event: AnswerEvent) -> None:
        self.heard.append(_line(event))
        if isinstance(event, Outcome):
            self.outcomes.append(event)
        self.on_event(event)

    def written(self) -> list[str]:
        """The ledger's decisions, each with its outcome."""
        outcomes = {record.route_id: _outcome_line(record) for record in self.ledger.outcomes}
        return [f"{entry.route_id} {outcomes.get(entry.route_id, 'open')}" for entry in self.ledger.entries]


def means_of(stage: Stage) -> Means:
    """What answering works with on a stage; nothing of it is recorded, and its one route is `unused`."""
    return Means(
        recorder=Recorder(stage.ledger),
        pool=stage.pool,
        schemas=JsonSchemaChecker(),
        reviews=review_desk(stage.reviews, stage.clock),
        clock=stage.clock,
        sessions=Sessions(stage.clock),
        new_route_id=lambda: "unused",
    )


def review_desk(
    store: ReviewStore, clock: ManualClock, terms: ReviewTerms = TERMS, journal: RecordedJournal | None = None
) -> ReviewDesk:
    """A desk whose claims are c1, c2, …"""
    numbers = itertools.count(1)
    book = ReviewBook(store, FakeSealer(), JsonSchemaChecker(), terms)
    return ReviewDesk(
        book, terms, clock, new_claim_id=lambda: f"c{next(numbers)}", journal=journal or RecordedJournal()
    )


def accepted_task(
    task: Mapping[str, Any] = PUBLIC,
    *,
    text: str = "hello",
    schema: str = "",
    caller: tuple[str, ...] = (),
    deadline_s: float = 30.0,
    attachments: tuple[Attachment, ...] = (),
    session_id: str = "",
    tool_choice: str = "auto",
    stop: tuple[str, ...] = (),
) -> AcceptedTask:
    """A task as an adapter hands it in; its tools are those of the document."""
    document, attached = {"task_id": "t", "text": text, **task}, attached_content(attachments)
    if "rejects" in document:
        document["session_id"] = session_id
    return AcceptedTask(
        task=requiring(read_task(document), attached.requires),
        text="\n".join(filter(None, (content_text(document), attached.text))),
        turns=(api.Message(role="user", content=text),),
        options=api.GenerateOptions(json_schema=schema, tools=tools_of(document), tool_choice=tool_choice, stop=stop),
        caller=caller,
        deadline_s=deadline_s,
        attachments=attachments,
        content=attached,
        local_tools=local_tools_of(document),
        session_id=session_id,
        constraints=constraints_of(document),
        rejects=document.get("rejects", ""),
    )


def _line(event: AnswerEvent) -> str:
    if isinstance(event, str):
        return f"<< {event}"
    if isinstance(event, api.ToolCall):
        return f"asks for {event.name} {event.arguments}"
    if isinstance(event, Retracted):
        return f"retracted: {event.code}"
    if isinstance(event, Decided):
        after = f" after {event.supersedes}" if event.supersedes else ""
        decision = event.decision
        lane = f"{decision.selected_runtime} {decision.selected_model_or_stack}: {decision.reason_code}"
        return f"decided {event.route_id}{after} {lane}"
    return _outcome_line(event.record)


def _outcome_line(record: OutcomeRecord) -> str:
    who = f"by {record.answered_by}" if record.answered_by else record.error_code
    return f"{record.status} {who}" + (f": {', '.join(record.findings)}" if record.findings else "")
