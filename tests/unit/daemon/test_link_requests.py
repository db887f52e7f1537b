"""Whoever asks over the link gets an answer, or an error that says why, within a bounded time; blocks keep a pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.manual_clock import ManualClock, run_with

from homebred_daemon.core.answer_pace import FIRST, MOST
from homebred_daemon.core.requesting import Abandon, Ask, Failure, Settle
from homebred_daemon.errors import (
    ControllerUnreachableError,
    FleetError,
    SourceAwayError,
    SourceRefusesError,
    SourceWrongError,
)
from homebred_daemon.services.fleet.link_requests import TRIES, UNSETTLED_S, CurrentRequests, LinkRequests
from homebred_protocol.blocks import Block, read_request
from homebred_protocol.trusted_files import Page, answer_of

DIGEST = "sha256:" + "a" * 64
BODY = bytes(range(256)) * 400


@dataclass
class Link:
    """Whoever settles what is asked; by itself where it is told how."""

    clock: ManualClock = field(default_factory=ManualClock)
    events: list[Ask | Abandon] = field(default_factory=list)
    settles: Callable[[Ask], bytes | Failure | None] = lambda _: None

    def __post_init__(self) -> None:
        self.requests = LinkRequests(self._put, self.clock.monotonic_s)

    @property
    def asked(self) -> list[Ask]:
        return [each for each in self.events if isinstance(each, Ask)]

    def _put(self, event: Ask | Abandon) -> None:
        self.events.append(event)
        result = self.settles(event) if isinstance(event, Ask) else None
        if isinstance(event, Ask) and result is not None:
            self.requests.settle(Settle(event.number, result))

    def play(self, scene: Coroutine[Any, Any, None]) -> None:
        run_with(self.clock, scene)


def given_bytes(ask: Ask) -> bytes:
    """A controller that has the file."""
    block = read_request(ask.body)
    return answer_of(Page(length=len(BODY), body=BODY[block.begin : block.begin + block.length]))


async def turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def test_an_answer_goes_to_whoever_asked_in_whatever_order_they_come() -> None:
    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(link.requests.request("trust", bytes([number]))) for number in range(3)]
            await turns()
            for ask in reversed(link.asked):
                link.requests.settle(Settle(ask.number, ask.body * 2))
        assert [task.result() for task in tasks] == [bytes([number, number]) for number in range(3)]
        assert {ask.operation for ask in link.asked} == {"trust"}
        assert len({ask.number for ask in link.asked}) == 3

    link = Link()
    link.play(scene())


@pytest.mark.parametrize("failure", list(Failure))
def test_a_request_that_fails_says_why(failure: Failure) -> None:
    async def scene() -> None:
        with pytest.raises(FleetError) as raised:
            await link.requests.request("trust", b"")
        assert raised.value.message
        assert raised.value.hint
        assert isinstance(raised.value, ControllerUnreachableError) == (failure is not Failure.REFUSED)

    link = Link(settles=lambda _: failure)
    link.play(scene())


@pytest.mark.parametrize("failure", list(Failure))
def test_a_block_that_fails_is_away_or_refused_and_a_late_one_is_asked_for_once_more(failure: Failure) -> None:
    async def scene() -> None:
        wanted = SourceRefusesError if failure is Failure.REFUSED else SourceAwayError
        with pytest.raises(wanted):
            await link.requests.ask(DIGEST, 0, 10)
        assert len(link.asked) == (TRIES if failure is Failure.LATE else 1)

    link = Link(settles=lambda _: failure)
    link.play(scene())


def test_a_block_is_the_bytes_that_the_controller_gives_fewer_at_the_end_and_none_is_refused() -> None:
    async def scene() -> None:
        assert await link.requests.ask(DIGEST, 5, 100) == BODY[5:105]
        assert read_request(link.asked[0].body) == Block(DIGEST, 5, 100)
        assert await link.requests.ask(DIGEST, len(BODY) - 5, 100) == BODY[-5:]
        link.settles = lambda _: answer_of(Page(length=-1, body=b""))
        with pytest.raises(SourceRefusesError, match="does not have it"):
            await link.requests.ask(DIGEST, 0, 1)

    link = Link(settles=given_bytes)
    link.play(scene())


@pytest.mark.parametrize("body", [b"", b"\n", b"<html>\n", b'{"length": -1}\nbytes all the same'])
def test_an_answer_that_is_none_is_wrong(body: bytes) -> None:
    async def scene() -> None:
        with pytest.raises(SourceWrongError, match="an answer over the broker"):
            await link.requests.ask(DIGEST, 0, 1)

    link = Link(settles=lambda _: body)
    link.play(scene())


def test_a_link_that_has_died_is_not_waited_for_for_ever() -> None:
    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_failing(link.requests.request("trust", b"")))
            await turns()
            link.clock.pass_s(UNSETTLED_S + 1)
            await task
        assert link.events[-1] == Abandon(1)
        link.requests.settle(Settle(1, b"too late"))

    link = Link()
    link.play(scene())


async def _failing(request: Coroutine[Any, Any, bytes]) -> None:
    with pytest.raises(ControllerUnreachableError):
        await request


def test_when_the_link_ends_everybody_who_waits_hears_so() -> None:
    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(_failing(link.requests.request("trust", b"")))
            await turns()
            link.requests.lose_all()
        assert not [each for each in link.events if isinstance(each, Abandon)]

    link = Link()
    link.play(scene())


def test_who_stops_waiting_abandons_and_makes_room_for_the_next() -> None:
    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(link.requests.ask(DIGEST, number, 1)) for number in range(FIRST + 2)]
            await turns()
            assert len(link.asked) == FIRST
            tasks[0].cancel()
            await turns()
            assert len(link.asked) == FIRST + 1
            assert [each for each in link.events if isinstance(each, Abandon)] == [Abandon(1)]
            tasks[-1].cancel()
            await turns()
            for ask in link.asked:
                link.requests.settle(Settle(ask.number, given_bytes(ask)))
        assert [task.result() for task in tasks[1:-1]] == [BODY[number : number + 1] for number in (1, 2)]

    link = Link()
    link.play(scene())


def test_blocks_are_asked_for_in_their_order_and_no_more_at_once_than_the_pace_allows() -> None:
    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(link.requests.ask(DIGEST, number, 1))
            settled, most = 0, 0
            while settled < 200:
                await turns()
                most = max(most, len(link.asked) - settled)
                ask = link.asked[settled]
                link.requests.settle(Settle(ask.number, given_bytes(ask)))
                settled += 1
        assert [read_request(ask.body).begin for ask in link.asked] == list(range(200))
        assert most == MOST

    link = Link()
    link.play(scene())


def test_slow_answers_leave_the_link_to_others() -> None:
    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(link.requests.ask(DIGEST, number, 1))
            for settled in range(20):
                await turns()
                assert len(link.asked) - settled <= FIRST
                link.clock.pass_s(5.0)
                ask = link.asked[settled]
                link.requests.settle(Settle(ask.number, given_bytes(ask)))
            assert len(link.asked) == 20

    link = Link()
    link.play(scene())


def test_what_is_asked_goes_over_whichever_link_there_is_and_fails_at_once_where_there_is_none() -> None:
    async def scene() -> None:
        links: list[LinkRequests] = []
        current = CurrentRequests(lambda: links[-1] if links else None)
        with pytest.raises(ControllerUnreachableError, match="there is no link"):
            await current.request("trust", b"")
        with pytest.raises(SourceAwayError, match="there is no link"):
            await current.ask(DIGEST, 0, 10)
        links.append(link.requests)
        assert await current.ask(DIGEST, 0, 10) == BODY[:10]
        assert (await current.request("blocks", link.asked[0].body)).endswith(BODY[:10])

    link = Link(settles=given_bytes)
    link.play(scene())
