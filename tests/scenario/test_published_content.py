"""I4: of all that a device's telemetry publishes in a day, nothing about a local-only task but what may be told.

Every task holds canaries: in its text, its id, and, where a caller may put a name, in its workflow and labels. All that
was published, topics, payloads and what is compressed in them, is searched for every one in the usual encodings; and
every field of every guarded event is held against what a guarded event may hold, so that a new field fails here first.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from tests.support.answering_stage import WORKFLOW, Actor, Stage
from tests.support.canaries import CONTENT, LOCAL_ONLY, NAME, SAYS_SO, Canaries, found_in, known_patient
from tests.support.manual_clock import run_with
from tests.support.scripted_cloud import ScriptedCloud
from tests.support.scripted_pool import Ends, Play, says
from tests.support.sent_telemetry import MOST_BYTES, batch_of, events_of

from homebred_daemon.adapters import telemetry_wire
from homebred_daemon.adapters.detectors.gazetteer import Gazetteer
from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.adapters.detectors.tiers import Tiers
from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.adapters.store.ledger_feed import SqliteFeed
from homebred_daemon.adapters.store.outbox_file import open_outbox
from homebred_daemon.core.decision import REASONS
from homebred_daemon.core.link import Link
from homebred_daemon.core.outbox import Quota
from homebred_daemon.core.telemetry import UNRECOGNISED, Telling
from homebred_daemon.ports.cloud import CloudFinish, CloudUnreachableError
from homebred_daemon.ports.ledger import FeedbackRecord
from homebred_daemon.ports.outbox import CutBatch, Outbox
from homebred_daemon.services.fleet.telemetry import Carrier
from homebred_engines import api
from homebred_protocol.compression import decompressed
from homebred_protocol.documents.policy import Policy
from homebred_protocol.topics import DeviceTopic, Up
from homebred_protocol.v1 import fleet_pb2 as wire

TASKS = 1200
DAY_S = 86_400
BROKEN = api.EngineFailedError("It broke.")
PLAYS: tuple[Play, ...] = (says("ok"), (BROKEN,), ("o", BROKEN), says(" "), ("o", Ends(api.FinishReason.LENGTH)))
CLOUDS = (("fine", CloudFinish.STOP), (CloudUnreachableError(),))
NAMES = {"", WORKFLOW, UNRECOGNISED}
TELLING = Telling(policy=Policy(), workflows=frozenset({WORKFLOW}))
SITE = Tiers([default_detector(), Gazetteer([known_patient()], "sha256:" + "0" * 64)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What a device published, and what its tasks held."""

    batches: list[CutBatch]
    canaries: Canaries
    local_only: set[str]
    """Ids of the routes whose tasks may not leave."""

    def events(self) -> list[wire.Event]:
        return [event for batch in self.batches for event in events_of(batch.payload)]

    def published(self) -> bytes:
        """Topics and payloads, and what is compressed in these."""
        parts = []
        for batch in self.batches:
            parts.append(DeviceTopic("kiosk-3", Up.TELEMETRY, batch.stream).text.encode())
            parts += [batch.payload, decompressed(batch_of(batch.payload).events, max_bytes=MOST_BYTES)]
        return b"\n".join(parts)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Tasks of all kinds over a day, on real detectors, ledger and outbox; engines and cloud follow scripts."""
    folder, source, canaries = tmp_path_factory.mktemp("day"), random.Random("a day"), Canaries("a day")
    local_only: set[str] = set()
    with ExitStack() as stack:
        ledger = stack.enter_context(closing(SqliteLedger(folder / "ledger.sqlite")))
        opened = open_outbox(folder, boot_id="ab" * 16, quota=Quota(max_events=10**6, max_bytes=10**9), now_s=lambda: 0)
        outbox = stack.enter_context(closing(opened.outbox))
        feed = stack.enter_context(closing(SqliteFeed(folder / "ledger.sqlite")))
        carrier = Carrier(outbox, feed, telemetry_wire)
        carrier.carry(TELLING)
        for number in range(TASKS):
            local_only |= _play(ledger, number, source, canaries)
        while not carrier.carry(TELLING).is_last:
            pass
        return Day(batches=list(_sent(outbox)), canaries=canaries, local_only=local_only)


def _sent(outbox: Outbox) -> Iterator[CutBatch]:
    return iter(lambda: outbox.cut(max_events=200, max_bytes=65_536), None)


def _play(ledger: SqliteLedger, number: int, source: random.Random, canaries: Canaries) -> set[str]:
    """One task into the ledger, and what its caller says of it; the ids of its routes where it may not leave."""
    text, labels, workflow, is_private = _task(source, canaries)
    actors = {
        name: Actor(plays=[source.choice(PLAYS)], fitness=source.choice((0.3, 0.7, 0.95)), size_rank=rank)
        for rank, name in enumerate("ab"[: source.randrange(3)])
    }
    stage = Stage(actors, link=source.choice(list(Link)), cloud=ScriptedCloud(source.choice(CLOUDS)), looks=SITE)
    stage.clock.pass_s(number * DAY_S / TASKS + source.random())
    task: dict[str, Any] = {
        "task_id": canaries(NAME),
        "data_classes": labels,
        "allows_escalation": True,
        "minimum_margin": source.choice((-1.0, 0.0, 1.0)),
        "kind": source.choice(("repeat", "tool_loop", "synthesis", "drafting", "other")),
    }
    if workflow:
        task["workflow"] = workflow
    run_with(stage.clock, stage.answer(task, text=text))
    names = {entry.route_id: f"{number:05}-{entry.route_id}" for entry in stage.ledger.entries}
    ledger.record_decisions(
        [
            replace(each, route_id=names[each.route_id], supersedes=names.get(each.supersedes, ""))
            for each in stage.ledger.entries
        ]
    )
    for outcome in stage.ledger.outcomes:
        ledger.record_outcome(replace(outcome, route_id=names[outcome.route_id]))
        if source.random() < 0.2:
            said = source.choice(("good", "bad", "corrected"))
            record = FeedbackRecord(
                route_id=names[outcome.route_id],
                recorded_at_utc=stage.clock.now(),
                verdict=said,
                has_correction=said == "corrected",
            )
            ledger.record_feedback(record)
    return set(names.values()) if is_private else set()


def _task(source: random.Random, canaries: Canaries) -> tuple[str, list[str], str, bool]:
    """A text, its labels, its workflow, and whether it may not leave."""
    canary, workflow = canaries(CONTENT), source.choice((WORKFLOW, "", canaries(NAME)))
    match source.randrange(5):
        case 0:
            said = source.choice(SAYS_SO).format(canary=canary, number=source.randrange(10**6, 10**7))
            return said, ["public"], workflow, True
        case 1:
            return f"please look after {canary}", [source.choice(LOCAL_ONLY), "public"], workflow, True
        case 2:
            return f"please look after {canary}", [], workflow, True  # unlabelled: `client`
        case 3:
            return f"please look after {canary}", [canaries(NAME)], workflow, True  # a label that nobody knows
        case _:
            return f"please weigh {canary}", ["public"], workflow, False


def test_the_day_had_all_kinds_of_tasks_and_told_of_all(day: Day) -> None:
    events = day.events()
    bodies = Counter(event.WhichOneof("body") for event in events)
    guarded = Counter(event.route.guarded for event in events if event.HasField("route"))
    assert guarded[True] >= len(day.local_only) > TASKS / 2
    assert guarded[False] > TASKS / 10
    assert bodies["evidence"] > TASKS / 4
    kinds = {event.evidence.kind for event in events if event.evidence.guarded}
    assert kinds >= {wire.EVIDENCE_KIND_FAILED, wire.EVIDENCE_KIND_CORRECTED, wire.EVIDENCE_KIND_REVIEWED}


def test_no_canary_is_in_anything_that_was_published_in_any_encoding(day: Day) -> None:
    published = day.published()
    for word in (CONTENT, NAME, *day.canaries.sample(CONTENT)[:15], *day.canaries.sample(NAME)[:15]):
        assert found_in(published, word) == []


def test_the_search_would_find_one(day: Day) -> None:
    (canary,) = [each for each in day.canaries.made if each.startswith(CONTENT)][:1]
    assert found_in(day.published() + canary.upper().encode(), CONTENT)


def test_no_route_of_a_local_only_task_is_told_as_an_open_one(day: Day) -> None:
    told = {event.route.route_id for event in day.events() if event.HasField("route")}
    told |= {event.evidence.route_id for event in day.events() if event.HasField("evidence")}
    assert not told & day.local_only
    assert len(told) > TASKS / 10


def test_every_field_of_a_guarded_event_is_a_word_a_power_of_two_or_an_hour(day: Day) -> None:
    checked = 0
    for event in day.events():
        body = getattr(event, str(event.WhichOneof("body")))
        if getattr(body, "guarded", False):
            assert event.recorded_at_s % 3600 == 0
            for field in body.DESCRIPTOR.fields:
                _check_guarded(field, body)
                checked += 1
    assert checked > 20 * TASKS / 2


def _check_guarded(field: FieldDescriptor, body: Message) -> None:
    value = getattr(body, field.name)
    if field.name == "workflow":
        assert value in NAMES
    elif isinstance(value, Timestamp):
        assert value.seconds % 3600 == value.nanos == 0
    elif field.name.endswith("_at_s"):
        assert value % 3600 == 0
    elif field.type == FieldDescriptor.TYPE_UINT64:
        assert value & (value - 1) == 0, f"{field.name} is {value}"
    elif field.type not in {FieldDescriptor.TYPE_ENUM, FieldDescriptor.TYPE_BOOL}:
        assert not value, f"{field.name} is {value!r}"
        assert not field.has_presence or not body.HasField(field.name), f"{field.name} is told"


def test_of_open_tasks_too_only_names_of_an_administrator_are_told(day: Day) -> None:
    sentences = {meaning.sentence for meaning in REASONS.values()}
    for event in day.events():
        if event.WhichOneof("body") == "route" and not event.route.guarded:
            route = event.route
            assert route.workflow in NAMES
            assert route.selected_model_or_stack in {"a", "b", "cascade:a+b", "cascade:b+a", "cloud/default", "none"}
            assert route.answered_by in {"", "a", "b", "cloud/default"}
            assert route.local_reason.startswith(tuple(sentences))
            assert route.policy_digest == "sha256:policy"
        elif event.WhichOneof("body") == "evidence" and not event.evidence.guarded:
            assert event.evidence.workflow in NAMES
            assert event.evidence.specialist in {"", "a", "b", "cloud/default"}
