from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace

import pytest
from tests.support.review_items import review_item

from homebred_daemon.core.review import ReviewItem, State
from homebred_daemon.errors import DrainingError, OverloadedError
from homebred_daemon.ports.review import Change
from homebred_daemon.services.reviews.review_listeners import MAX_WAITERS, MAX_WATCHERS, Listener, Listeners


def filed(route_id: str) -> Change:
    return Change(before=None, after=review_item(route_id))


def expired(route_id: str) -> Change:
    return Change(before=review_item(route_id), after=ended(route_id))


def erased(route_id: str) -> Change:
    return Change(before=ended(route_id), after=None)


def ended(route_id: str) -> ReviewItem:
    return replace(review_item(route_id), state=State.EXPIRED)


async def told(listener: Listener, number: int) -> list[str]:
    return [f"{item.route_id} {item.state}" for item in [await listener.next() for _ in range(number)]]


async def test_a_watcher_hears_every_change_in_order() -> None:
    listeners = Listeners()
    with listeners.watching() as watcher:
        for change in (filed("a"), filed("b"), expired("c")):
            listeners.tell(change)
        assert await told(watcher, 3) == ["a waiting", "b waiting", "c expired"]


async def test_a_slow_watcher_hears_the_newest_state_of_each_item_once() -> None:
    listeners = Listeners()
    with listeners.watching() as watcher:
        for change in (filed("a"), filed("b"), expired("a"), filed("c"), expired("c"), erased("c")):
            listeners.tell(change)
        assert await told(watcher, 2) == ["b waiting", "a expired"]


async def test_what_was_there_comes_first_unless_it_has_changed_meanwhile() -> None:
    listener = Listener()
    listener.hear(expired("a"))
    listener.begin_with([review_item("a"), review_item("b")])
    assert await told(listener, 2) == ["b waiting", "a expired"]


async def test_a_watcher_waits_until_there_is_something_to_hear() -> None:
    listeners = Listeners()
    with listeners.watching() as watcher:
        async with asyncio.TaskGroup() as group:
            hearing = group.create_task(told(watcher, 1))
            await asyncio.sleep(0)
            assert not hearing.done()
            listeners.tell(filed("a"))
        assert hearing.result() == ["a waiting"]


async def test_who_waits_for_one_task_hears_of_that_one_and_of_its_end_for_good() -> None:
    listeners = Listeners()
    with listeners.waiting("a") as waiter:
        listeners.tell(filed("b"))
        async with asyncio.TaskGroup() as group:
            hearing = group.create_task(waiter.changed())
            await asyncio.sleep(0)
            assert not hearing.done()
            listeners.tell(erased("a"))


async def test_when_the_daemon_stops_everybody_hears_what_is_left_and_then_so() -> None:
    listeners = Listeners()
    with listeners.watching() as watcher, listeners.waiting("a") as waiter:
        listeners.tell(filed("b"))
        listeners.dismiss()
        assert await told(watcher, 1) == ["b waiting"]
        with pytest.raises(DrainingError):
            await watcher.next()
        await waiter.changed()
        assert waiter.is_dismissed
    for kind in (listeners.watching(), listeners.waiting("a")):
        with pytest.raises(DrainingError), kind:
            pass


async def test_each_kind_is_bounded_and_room_is_given_back() -> None:
    listeners = Listeners()
    with ExitStack() as stack:
        for _ in range(MAX_WATCHERS):
            stack.enter_context(listeners.watching())
        for _ in range(MAX_WAITERS):
            stack.enter_context(listeners.waiting("a"))
        with pytest.raises(OverloadedError, match="callers watch the review queue"):
            stack.enter_context(listeners.watching())
        with pytest.raises(OverloadedError, match="callers wait for a person's answer"):
            stack.enter_context(listeners.waiting("a"))
    with listeners.watching(), listeners.waiting("a"):
        pass
