"""Following the ledger into the outbox: what is noted when, and what happens when the disk does not play along."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, Future
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from tests.support.manual_clock import ManualClock, run_with, settled
from tests.support.memory_feed import MemoryFeed
from tests.support.memory_outbox import Disk, MemoryOutbox
from tests.support.recorded_journal import RecordedJournal
from tests.support.sent_telemetry import events_of
from tests.support.told_routes import ENDED, PRIVATE, ROUTE, TELLING
from typing_extensions import override

from homebred_daemon.adapters import telemetry_wire
from homebred_daemon.core.telemetry import HealthFact
from homebred_daemon.errors import StateError
from homebred_daemon.ports.outbox import NewEvent, OutboxDepth
from homebred_daemon.services.fleet.telemetry import HEALTH_EVERY_S, MOST_UNWRITTEN, Sources, Telemetry
from homebred_protocol.v1 import fleet_pb2 as wire

FAILED = replace(ROUTE, ended=replace(ENDED, status="error"))


class AtOnce(Executor):
    """Does what it is given at once, on the loop itself: nothing is left to chance."""

    @override
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - for who waits
            done.set_exception(error)
        return done


class Device:
    """A telemetry service on fakes, and what its outbox holds."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.outbox = MemoryOutbox()
        self.feed = MemoryFeed()
        self.journal = RecordedJournal()
        self.told = 0
        self.healths: list[OutboxDepth] = []
        self.telemetry: Telemetry | None = None

    def start(self) -> Telemetry:
        sources = Sources(
            outbox=self.outbox,
            feed=self.feed,
            forms=telemetry_wire,
            told_by=lambda: TELLING,
            health=self._health,
        )
        return Telemetry(sources, self.clock, self.journal, tell=self._tell, thread=AtOnce())

    def run(self, script: Callable[[Telemetry], Awaitable[None]]) -> None:
        """Has the service run beside a script; the feed's present end was read before it."""

        async def main() -> None:
            telemetry = self.start()
            async with telemetry.running():
                await self.settled()
                await script(telemetry)

        run_with(self.clock, main())

    async def settled(self) -> None:
        """Until all that can go on has gone on."""
        await settled()

    async def pass_s(self, seconds: float) -> None:
        self.clock.pass_s(seconds)
        await self.settled()

    def events(self, *streams: str) -> list[wire.Event]:
        """All that is in the outbox now, of these streams."""
        while self.outbox.cut(max_events=500, max_bytes=1 << 20):
            pass
        batches = [batch for batch in self.outbox.cut_batches() if not streams or batch.stream in streams]
        return sorted((event for batch in batches for event in events_of(batch.payload)), key=lambda each: each.seq)

    def _tell(self) -> None:
        self.told += 1

    def _health(self, depth: OutboxDepth) -> HealthFact:
        self.healths.append(depth)
        return HealthFact(
            uptime_s=int(self.clock.elapsed_s),
            resident_bytes=1,
            free_disk_bytes=2,
            outbox_events=depth.events,
            outbox_bytes=depth.size_bytes,
            loaded_models=3,
            worker_failures=4,
            reviews_waiting=5,
        )


@pytest.fixture
def device() -> Device:
    return Device()


def test_what_ended_before_the_enrolment_is_not_told_and_what_ends_later_is(device: Device) -> None:
    device.feed.entries += [replace(ROUTE, route_id="before")]

    async def script(telemetry: Telemetry) -> None:
        device.feed.entries += [replace(ROUTE, route_id="after")]
        telemetry.wake()
        await device.pass_s(1)

    device.run(script)
    assert [event.route.route_id for event in device.events("route")] == ["after"]


def test_an_outcome_is_noted_within_a_second_and_told_on(device: Device) -> None:
    async def script(telemetry: Telemetry) -> None:
        await device.pass_s(1)
        await device.pass_s(1)
        before = device.told
        device.feed.entries += [FAILED]
        telemetry.wake()
        await device.pass_s(0.5)
        assert device.outbox.depth().events == 3  # beside the device's health
        assert device.told == before + 1

    device.run(script)
    assert [event.WhichOneof("body") for event in device.events()] == ["health", "route", "evidence"]


def test_outcomes_that_come_soon_after_each_other_are_noted_together(device: Device) -> None:
    async def script(telemetry: Telemetry) -> None:
        await device.pass_s(1)
        await device.pass_s(1)
        before = device.told
        for _ in range(9):
            device.feed.entries += [ROUTE]
            telemetry.wake()
            await device.pass_s(0.01)
        await device.pass_s(1)
        assert device.told == before + 2

    device.run(script)
    assert len(device.events("route")) == 9


def test_a_long_backlog_is_carried_page_by_page_in_order(device: Device) -> None:
    device.outbox.append([], cursor="0")
    device.feed.entries += [replace(ROUTE, route_id=str(number)) for number in range(501)]

    async def script(_: Telemetry) -> None:
        await device.pass_s(1)

    device.run(script)
    assert [event.route.route_id for event in device.events("route")] == [str(number) for number in range(501)]


def test_what_the_ledger_dropped_unread_is_counted(device: Device) -> None:
    device.outbox.append([], cursor="0")
    device.feed.entries += [None, None, ROUTE, None]

    async def script(_: Telemetry) -> None:
        await device.pass_s(1)

    device.run(script)
    (event,) = device.events("gap")
    assert (event.gap.events, event.gap.reason, event.gap.boot_id) == (3, wire.GAP_REASON_LEDGER, "")
    assert len(device.events("route")) == 1


def test_a_row_that_makes_no_sense_is_counted_and_holds_nothing_up(device: Device) -> None:
    device.outbox.append([], cursor="0")
    device.feed.entries += [replace(ROUTE, ended=replace(ENDED, status="improvised")), ROUTE]

    async def script(_: Telemetry) -> None:
        await device.pass_s(1)

    device.run(script)
    assert [event.gap.events for event in device.events("gap")] == [1]
    assert len(device.events("route")) == 1


class PhotographedOutbox(MemoryOutbox):
    """Keeps what a kill would leave behind after each of its commits."""

    def __init__(self) -> None:
        super().__init__()
        self.photographs: list[Disk] = []

    @override
    def append(self, events: Sequence[NewEvent], *, cursor: str, lost_routes: int = 0) -> None:
        super().append(events, cursor=cursor, lost_routes=lost_routes)
        self.photographs.append(deepcopy(self.disk))


def test_a_kill_after_any_commit_neither_loses_nor_doubles_anything(device: Device) -> None:
    device.outbox = photographed = PhotographedOutbox()
    device.outbox.append([], cursor="0")
    device.feed.entries += [replace(ROUTE, route_id=str(number)) for number in range(450)]

    async def script(_: Telemetry) -> None:
        await device.pass_s(1)

    device.run(script)
    assert len(photographed.photographs) > 4
    for left in photographed.photographs:
        device.outbox = MemoryOutbox(boot_id="ef" * 16, disk=left)
        device.run(script)
        routes = sorted(int(event.route.route_id) for event in device.events("route"))
        assert routes == list(range(450))


def test_a_full_disk_loses_nothing_and_is_said_once(device: Device) -> None:
    async def script(telemetry: Telemetry) -> None:
        device.outbox.is_full = True
        for _ in range(5):
            device.feed.entries += [FAILED]
            telemetry.wake()
            telemetry.receipt("desired", "sha256:ab", "applied", "", version=7)
            await device.pass_s(61)
        assert device.journal.names == ["telemetry_held_up"]
        device.outbox.is_full = False
        await device.pass_s(61)

    device.run(script)
    assert device.journal.names == ["telemetry_held_up", "telemetry_goes_on"]
    assert (len(device.events("route")), len(device.events("receipt"))) == (5, 5)
    assert [event.evidence.occurrences for event in device.events("evidence")] == [1, 2, 3, 4, 5]
    assert device.outbox.depth().lost_events == 0


def test_receipts_that_neither_disk_nor_memory_has_room_for_are_counted(device: Device) -> None:
    async def script(telemetry: Telemetry) -> None:
        await device.pass_s(1)
        device.outbox.is_full = True
        for _ in range(MOST_UNWRITTEN + 7):
            telemetry.receipt("desired", "sha256:ab", "applied", "", version=7)
        device.outbox.is_full = False
        await device.pass_s(61)

    device.run(script)
    assert len(device.events("receipt")) == MOST_UNWRITTEN
    (event,) = device.events("gap")
    assert (event.gap.stream, event.gap.events, event.gap.reason) == (wire.STREAM_RECEIPT, 7, wire.GAP_REASON_DISK)


def test_a_ledger_that_cannot_be_read_holds_nothing_else_up(device: Device) -> None:
    async def script(telemetry: Telemetry) -> None:
        device.feed.is_broken = True
        telemetry.wake()
        telemetry.receipt("desired", "sha256:ab", "applied", "", version=7)
        await device.pass_s(61)

    device.run(script)
    assert device.journal.names[0] == "telemetry_held_up"
    assert len(device.events("receipt")) == 1


def test_a_receipt_says_what_was_done_of_what(device: Device) -> None:
    async def script(telemetry: Telemetry) -> None:
        telemetry.receipt("desired", "sha256:ab", "applied", "", version=7)

    device.run(script)
    (event,) = device.events("receipt")
    receipt = event.receipt
    assert (receipt.kind, receipt.subject, receipt.version) == (wire.RECEIPT_KIND_DESIRED, "sha256:ab", 7)
    assert (receipt.result, receipt.problem_code) == ("applied", "")
    assert event.recorded_at_s == int(device.clock.now().timestamp())


def test_the_devices_health_is_told_at_the_start_and_every_hour(device: Device) -> None:
    async def script(_: Telemetry) -> None:
        for __ in range(3):
            await device.pass_s(HEALTH_EVERY_S)

    device.run(script)
    events = device.events("health")
    assert [event.health.uptime_s for event in events] == [0, 3600, 7200, 10800]
    assert events[0].health.loaded_models == 3


def test_what_was_lost_is_said_to_the_site_once_an_hour(device: Device) -> None:
    async def script(_: Telemetry) -> None:
        device.outbox.count_lost("route", 40, "disk")
        device.outbox.count_lost("route", 2, "disk")
        for __ in range(3):
            await device.pass_s(HEALTH_EVERY_S)

    device.run(script)
    assert device.journal.names == ["telemetry_lost"]
    assert device.journal.entries[0].fields == {"count": "42"}


def test_what_ended_last_is_noted_on_the_way_out(device: Device) -> None:
    async def script(_: Telemetry) -> None:
        device.feed.entries += [PRIVATE]  # and nobody wakes it

    device.run(script)
    (event,) = device.events("route")
    assert event.route.guarded


def test_an_outbox_that_fails_on_the_way_out_is_said(device: Device) -> None:
    async def script(_: Telemetry) -> None:
        device.feed.is_broken = True

    device.run(script)
    assert device.journal.names == ["telemetry_held_up"]
    with pytest.raises(StateError):
        device.feed.end()


def test_idle_it_does_nothing(device: Device) -> None:
    async def script(_: Telemetry) -> None:
        await device.pass_s(1)
        await device.pass_s(1)
        before = (device.told, len(device.healths))
        for __ in range(50):
            await device.pass_s(60)
        assert (device.told, len(device.healths)) == before

    device.run(script)
