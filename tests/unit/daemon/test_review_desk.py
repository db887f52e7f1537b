from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from tests.support.answering_stage import accepted_task
from tests.support.fake_reviews import FakeReviewStore, FakeSealer
from tests.support.ledger_entries import entry
from tests.support.manual_clock import ManualClock, run_with
from tests.support.recorded_journal import RecordedJournal
from tests.support.review_items import HOUR_S, TERMS, after_s
from typing_extensions import override

from homebred_daemon.adapters.json_schema import JsonSchemaChecker
from homebred_daemon.core.review import ReviewItem, State
from homebred_daemon.errors import (
    ConflictError,
    DrainingError,
    NotFoundError,
    OverloadedError,
    StateError,
)
from homebred_daemon.inbound.reviewing import Resolution, Shown
from homebred_daemon.ports.review import Change, ReviewCounts, Rule
from homebred_daemon.services.reviews.review_book import ReviewBook
from homebred_daemon.services.reviews.review_desk import LISTED_AT_ONCE, LONGEST_SLEEP_S, MAX_WAIT_S, ReviewDesk

OWNER, STRANGER = ("uid:7", "gid:7"), ("uid:8", "gid:7")
YES = Resolution(is_answer=True, text="yes")


class CountingClock(ManualClock):
    """Tells how often it was looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    @override
    def now(self) -> Any:
        self.looks += 1
        return super().now()


class House:
    """A desk, its store, its clock, and what it reports."""

    def __init__(self, store: FakeReviewStore | None = None) -> None:
        self.store = store or FakeReviewStore()
        self.clock = CountingClock()
        self.journal = RecordedJournal()
        book = ReviewBook(self.store, FakeSealer(), JsonSchemaChecker(), TERMS)
        self._claims = iter(f"c{number}" for number in range(1, 99))
        self.desk = ReviewDesk(book, TERMS, self.clock, new_claim_id=lambda: next(self._claims), journal=self.journal)

    async def file(self, route_id: str = "r1") -> ReviewItem:
        return await self.desk.file(route_id, accepted_task(caller=OWNER), entry(route_id).decision)

    async def claim(self, route_id: str = "", *, lease_s: float = 0) -> ReviewItem:
        return await self.desk.claim(route_id, by="uid:9", lease_s=lease_s)

    async def answer(self, route_id: str = "r1") -> ReviewItem:
        item = await self.claim(route_id)
        return await self.desk.resolve(route_id, item.claim_id, YES)

    async def wait(self, *, caller: tuple[str, ...] = OWNER, sees_all: bool = False, wait_s: float = 0) -> Shown:
        return await self.desk.wait("r1", caller=caller, sees_all=sees_all, wait_s=wait_s)

    async def pass_s(self, seconds: float) -> None:
        """Lets time pass, and the desk's thread catch up."""
        self.clock.pass_s(seconds)
        for _ in range(3):
            await asyncio.sleep(0)
            await self.desk.counts()

    def play(self, script: Coroutine[Any, Any, None]) -> None:
        """Runs a script with the desk open, on the house's own time."""

        async def played() -> None:
            async with self.desk.running():
                await script

        run_with(self.clock, played())


@asynccontextmanager
async def opened(store: FakeReviewStore | None = None) -> AsyncIterator[House]:
    house = House(store)
    async with house.desk.running():
        yield house


async def test_a_filed_task_waits_and_is_counted() -> None:
    async with opened() as house:
        item = await house.file()
        assert (item.state, item.filed_by, item.expires_at_utc) == (State.WAITING, "uid:7", after_s(TERMS.retention_s))
        assert await house.desk.counts() == ReviewCounts(waiting=1, oldest_filed_at_utc=after_s(0))
        assert house.desk.capacity == TERMS.max_items


async def test_two_reviewers_who_claim_at_once_get_one_item_between_them() -> None:
    async with opened() as house:
        await house.file()
        told = await asyncio.gather(*(house.claim("r1") for _ in range(5)), return_exceptions=True)
        assert sorted(type(one).__name__ for one in told) == ["ConflictError"] * 4 + ["ReviewItem"]


async def test_the_list_holds_what_is_open_unless_other_states_are_named_and_says_where_it_is_cut() -> None:
    async with opened() as house:
        for route_id in ("r1", "r2", "r3"):
            await house.file(route_id)
        await house.answer("r2")
        items, more = await house.desk.listed(frozenset(), 0)
        assert ([item.route_id for item in items], more) == (["r1", "r3"], False)
        items, more = await house.desk.listed(frozenset({State.ANSWERED}), 5)
        assert ([item.route_id for item in items], more) == (["r2"], False)
        items, more = await house.desk.listed(frozenset(), 1)
        assert ([item.route_id for item in items], more) == (["r1"], True)
        assert (await house.desk.listed(frozenset(), 10 * LISTED_AT_ONCE))[1] is False


async def test_a_released_item_waits_again_and_the_claim_is_gone() -> None:
    async with opened() as house:
        await house.file()
        item = await house.claim()
        assert (await house.desk.release("r1", item.claim_id)).state is State.WAITING
        with pytest.raises(ConflictError):
            await house.desk.resolve("r1", item.claim_id, YES)


# Room


async def test_room_is_held_until_it_is_given_back() -> None:
    async with opened() as house:
        await house.file("r1")
        with house.desk.room(10), house.desk.room(10), pytest.raises(OverloadedError), house.desk.room(10):
            pass
        with house.desk.room(10), house.desk.room(10):
            pass


async def test_a_text_for_which_there_is_no_space_is_refused() -> None:
    async with opened() as house:
        with pytest.raises(OverloadedError), house.desk.room(TERMS.max_bytes + 1):
            pass
        with house.desk.room(TERMS.max_bytes // 2), pytest.raises(OverloadedError), house.desk.room(TERMS.max_bytes):
            pass


async def test_a_queue_that_was_full_is_full_after_a_restart_and_has_room_when_something_ends() -> None:
    store = FakeReviewStore()
    async with opened(store) as house:
        for route_id in ("r1", "r2", "r3"):
            await house.file(route_id)
    async with opened(store) as house:
        with pytest.raises(OverloadedError), house.desk.room(1):
            pass
        await house.answer("r1")
        with house.desk.room(1):
            pass


# Waiting for an answer


async def test_who_filed_a_task_can_ask_how_it_stands_and_gets_its_answer() -> None:
    async with opened() as house:
        await house.file()
        assert (await house.wait()).item.state is State.WAITING
        await house.answer()
        shown = await house.wait()
        assert (shown.item.state, shown.resolution, shown.content) == (State.ANSWERED, "yes", None)


async def test_nobody_else_can_but_those_who_see_all() -> None:
    async with opened() as house:
        await house.file()
        for caller in (STRANGER, (), ("gid:7",)):
            with pytest.raises(NotFoundError):
                await house.wait(caller=caller)
        assert (await house.wait(caller=STRANGER, sees_all=True)).item.route_id == "r1"


async def test_who_waits_hears_of_the_end_at_once() -> None:
    async with opened() as house:
        await house.file()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(house.wait(wait_s=60))
            await house.claim()
            assert not waiting.done()
            await house.desk.resolve("r1", "c1", YES)
        assert waiting.result().resolution == "yes"


@pytest.mark.parametrize(("asked_s", "waited_s"), [(5.0, 5.0), (10 * MAX_WAIT_S, MAX_WAIT_S)])
def test_a_wait_ends_when_it_is_over_and_the_device_bounds_it(asked_s: float, waited_s: float) -> None:
    house = House()

    async def script() -> None:
        await house.file()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(house.wait(wait_s=asked_s))
            await house.pass_s(0)
            await house.pass_s(waited_s - 1)
            assert not waiting.done()
            await house.pass_s(2)
        assert waiting.result().item.state is State.WAITING

    house.play(script())


def test_who_waits_hears_that_nobody_answered() -> None:
    house = House()

    async def script() -> None:
        await house.file()
        await house.pass_s(TERMS.retention_s - 60)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(house.wait(wait_s=120))
            await house.pass_s(0)
            await house.pass_s(61)
        assert waiting.result().item.state is State.EXPIRED

    house.play(script())


async def test_who_waits_is_sent_home_with_how_it_stands_when_the_daemon_stops() -> None:
    async with opened() as house:
        await house.file()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(house.wait(wait_s=60))
            for _ in range(3):
                await house.desk.counts()
            assert not waiting.done()
            house.desk.dismiss()
        assert waiting.result().item.state is State.WAITING
        assert (await house.wait(wait_s=60)).item.state is State.WAITING
        with pytest.raises(DrainingError):
            await anext(house.desk.watch())


# Watching


async def test_a_watcher_sees_what_is_there_and_then_every_change() -> None:
    async with opened() as house, aclosing(house.desk.watch()) as changes:
        await house.file("r1")
        assert (await anext(changes)).route_id == "r1"
        await house.file("r2")
        assert (await anext(changes)).route_id == "r2"
        await house.answer("r1")
        assert [(await anext(changes)).state] == [State.ANSWERED]


# Time


def test_time_is_kept_without_anybody_asking() -> None:
    house = House()

    async def script() -> None:
        await house.file()
        await house.claim(lease_s=60)
        async with aclosing(house.desk.watch()) as changes:
            assert (await anext(changes)).state is State.CLAIMED
            for seconds, state in ((61, State.WAITING), (TERMS.retention_s, State.EXPIRED)):
                house.clock.pass_s(seconds)
                assert (await anext(changes)).state is state
        await house.pass_s(TERMS.retention_s)
        assert house.store.held == {}
        assert await house.desk.counts() == ReviewCounts(expired=1, erased=1)

    house.play(script())


def test_a_desk_with_nothing_due_does_nothing() -> None:
    house = House()

    async def script() -> None:
        looks = house.clock.looks
        for _ in range(5):
            house.clock.pass_s(10 * HOUR_S)
            await asyncio.sleep(0)
        assert house.clock.looks == looks

    house.play(script())


def test_the_wall_clock_is_looked_at_now_and_then_while_something_waits() -> None:
    house = House()

    async def script() -> None:
        await house.file()
        await house.pass_s(0)
        looks = house.clock.looks
        for _ in range(10):
            house.clock.pass_s(LONGEST_SLEEP_S / 2)
            await asyncio.to_thread(lambda: None)
        ends_s = time.monotonic() + 10  # the desk's own thread may get its turn late
        while house.clock.looks == looks and time.monotonic() < ends_s:
            await asyncio.to_thread(lambda: None)
        assert 1 <= house.clock.looks - looks <= 20

    house.play(script())


def test_a_disk_that_is_full_when_something_is_due_is_reported_and_stops_nobody_from_reading() -> None:
    house = House()

    async def script() -> None:
        await house.file()
        await house.pass_s(0)
        house.store.is_full = True
        await house.pass_s(TERMS.retention_s + 1)
        assert "reviews_in_trouble" in house.journal.names
        assert (await house.desk.show("r1")).item.route_id == "r1"
        house.store.is_full = False
        await house.pass_s(61)
        assert (await house.desk.counts()).expired == 1

    house.play(script())


class GatedStore(FakeReviewStore):
    """Changes items only once its gate stands open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Event()

    @override
    def change(self, route_id: str, rule: Rule, *, resolution: bytes | None = None) -> Change:
        self.entered.set()
        assert self.gate.wait(10)
        return super().change(route_id, rule, resolution=resolution)


async def test_what_a_vanished_reviewer_had_begun_is_done_and_told_all_the_same() -> None:
    store = GatedStore()
    async with opened(store) as house, aclosing(house.desk.watch()) as changes:
        await house.file()
        await anext(changes)
        async with asyncio.TaskGroup() as group:
            claiming = group.create_task(house.claim())
            await asyncio.to_thread(store.entered.wait, 10)
            claiming.cancel()
        store.gate.set()
        assert (await anext(changes)).state is State.CLAIMED


async def test_on_leaving_what_is_under_way_is_finished() -> None:
    store = GatedStore()
    async with asyncio.TaskGroup() as group:
        async with opened(store) as house:
            await house.file()
            claiming = group.create_task(house.claim())
            await asyncio.to_thread(store.entered.wait, 10)
            store.gate.set()
        assert (await claiming).state is State.CLAIMED


async def test_a_failure_inside_the_context_comes_out_as_it_is() -> None:
    with pytest.raises(StateError, match="no models"):
        async with opened():
            raise StateError("no models")
