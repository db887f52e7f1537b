"""Telemetry on a real loop, real threads and real files: soon there, in order, exactly once."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

from tests.support.answering_stage import (
    PRIVATE,
    WORKFLOW,
    Actor,
    Stage,
    accepted_task,
    means_of,
    review_desk,
)
from tests.support.fake_workers import Fleet
from tests.support.ledger_entries import ENTRY, FEEDBACK, OUTCOME, keep_documents
from tests.support.recorded_journal import RecordedJournal
from tests.support.scripted_pool import says
from tests.support.sent_telemetry import events_of
from tests.support.told_routes import TELLING
from tests.support.worker_pools import pool_of

from homebred_daemon.adapters import telemetry_wire
from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.adapters.store.ledger_feed import SqliteFeed
from homebred_daemon.adapters.store.outbox_file import forget_outbox, open_outbox
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.app.followed import Followed
from homebred_daemon.app.telemetry import Owner, outbox_in, telemetry
from homebred_daemon.core.outbox import Quota
from homebred_daemon.core.telemetry import HealthFact
from homebred_daemon.ports.outbox import Outbox
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.fleet.telemetry import Sources, Telemetry
from homebred_daemon.services.recording import Recorder
from homebred_protocol.v1 import fleet_pb2 as wire

QUOTA = Quota(max_events=100_000, max_bytes=100_000_000)
OWNER = Owner(device="kiosk-3", enrolled_at_s=1)
HEALTH = HealthFact(
    uptime_s=1,
    resident_bytes=1,
    free_disk_bytes=1,
    outbox_events=1,
    outbox_bytes=1,
    loaded_models=1,
    worker_failures=0,
    reviews_waiting=0,
)


class Running:
    """A recorder, and telemetry that follows its ledger."""

    def __init__(self, recorder: Recorder, outbox: Outbox, news: asyncio.Event) -> None:
        self.recorder, self.outbox, self.news = recorder, outbox, news

    async def end(self, route_id: str) -> None:
        """Has a route decided and ended."""
        await self.recorder.decision(replace(ENTRY, route_id=route_id, supersedes=""))
        await self.recorder.outcome(replace(OUTCOME, route_id=route_id))

    async def holds(self, stream: str, number: int) -> list[wire.Event]:
        """The events of a stream, once the outbox has so many."""
        async with asyncio.timeout(10):
            while True:
                self.news.clear()
                while self.outbox.cut(max_events=500, max_bytes=1 << 20):
                    pass
                batches = [batch for batch in self.outbox.cut_batches() if batch.stream == stream]
                events = [event for batch in batches for event in events_of(batch.payload)]
                if len(events) >= number:
                    return events
                await self.news.wait()


@asynccontextmanager
async def running(folder: Path, boot: int = 1) -> AsyncIterator[Running]:
    """On the files of a folder."""
    news = asyncio.Event()
    with closing(SqliteLedger(folder / "ledger.sqlite")) as ledger:
        keep_documents(ledger)
        opened = open_outbox(folder, boot_id=f"{boot:032x}", quota=QUOTA, now_s=lambda: 0)
        with closing(opened.outbox) as outbox, closing(SqliteFeed(folder / "ledger.sqlite")) as feed:
            sources = Sources(
                outbox=outbox,
                feed=feed,
                forms=telemetry_wire,
                told_by=lambda: TELLING,
                health=lambda _: HEALTH,
            )
            recorder = Recorder(ledger)
            service = Telemetry(sources, SystemClock(), RecordedJournal(), tell=news.set)
            recorder.tell(service.wake)
            async with recorder.running(), service.running():
                one = Running(recorder, outbox, news)
                await one.holds("health", boot)  # it has begun to follow
                yield one


async def test_an_outcome_is_in_the_outbox_within_a_second(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        for number in range(3):
            await device.end(str(number))
            began_s = time.monotonic()
            events = await device.holds("route", number + 1)
            assert time.monotonic() - began_s < 1.0
            assert events[-1].route.route_id == str(number)


async def test_what_many_answers_leave_at_once_arrives_exactly_once(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        await asyncio.gather(*(device.end(f"{number:03}") for number in range(300)))
        events = await device.holds("route", 300)
    assert sorted(event.route.route_id for event in events) == [f"{number:03}" for number in range(300)]
    seqs = [event.seq for event in events]
    assert seqs == sorted(set(seqs))


async def test_feedback_is_evidence_soon_after_it_is_given(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        await device.end("r1")
        before = len(await device.holds("evidence", 2))
        await device.recorder.feedback(replace(FEEDBACK, route_id="r1"))
        events = await device.holds("evidence", before + 1)
    assert events[-1].evidence.kind == wire.EVIDENCE_KIND_CORRECTED


async def test_a_start_goes_on_where_the_one_before_ended(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        await device.end("first")
    with closing(SqliteLedger(tmp_path / "ledger.sqlite")) as ledger:  # as recovery does before anybody follows
        ledger.record_decisions([replace(ENTRY, route_id="between", supersedes="")])
        ledger.record_outcome(replace(OUTCOME, route_id="between"))
    async with running(tmp_path, boot=2) as device:
        await device.end("later")
        events = await device.holds("route", 3)
    assert [event.route.route_id for event in events] == ["first", "between", "later"]


async def test_a_device_that_leaves_its_fleet_keeps_nothing_of_it(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        await device.end("secret")
    forget_outbox(tmp_path)
    assert {name.partition("-")[0] for name in os.listdir(tmp_path)} == {"ledger.sqlite"}  # noqa: PTH208 - on a loop
    async with running(tmp_path) as device:
        assert device.outbox.boot_number == 1
        await device.end("later")
        events = await device.holds("route", 1)
    assert [event.route.route_id for event in events] == ["later"]


async def test_a_daemons_own_parts_make_it_up(tmp_path: Path) -> None:
    """As the application puts it together: real answers of a stage, its policy and registry in force."""
    clock, journal = SystemClock(), RecordedJournal()
    stage, news = Stage({"a": Actor(plays=[says("fine")])}), asyncio.Event()
    with closing(SqliteLedger(tmp_path / "ledger.sqlite")) as ledger, ExitStack() as stack:
        outbox = stack.enter_context(outbox_in(tmp_path, QUOTA, clock, journal, owner=OWNER))
        recorder, desk = Recorder(ledger), review_desk(stage.reviews, stage.clock)
        means = replace(means_of(stage), recorder=recorder, new_route_id=lambda: "r1")
        async with recorder.running(), desk.running(), pool_of(Fleet.free()) as pool:
            followed = Followed(
                state_dir=tmp_path,
                recorder=recorder,
                answering=Answering(stage.standing(), means),
                pool=pool,
                reviews=desk,
                clock=clock,
                journal=journal,
            )
            async with telemetry(followed, outbox, tell=news.set) as service:
                device = Running(recorder, outbox, news)
                (health,) = await device.holds("health", 1)
                await followed.answering.answer(accepted_task(PRIVATE), stage.hear)
                (event,) = await device.holds("route", 1)
                assert service.receipt("stop", "7", "done", "", version=7)
                await service.written()
                async with asyncio.timeout(0):  # it is there: nothing is waited for
                    (receipt,) = await device.holds("receipt", 1)
    assert health.health.resident_bytes > 1_000_000
    assert health.health.free_disk_bytes > 1_000_000
    assert (event.route.guarded, event.route.workflow, event.route.route_id) == (True, WORKFLOW, "")
    assert receipt.receipt.version == 7
    assert journal.names == []
