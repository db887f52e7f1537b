"""The replacing of what an engine serves with, step by step: nothing here sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import pytest

from homebred_engines.errors import EngineFailedError, ModelNotLoadedError, ModelRefusedError
from homebred_engines.swapping import Swap

T = TypeVar("T")


class _Workshop:
    """Makes servers that are only names, when it is told to, and remembers what became of them."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.made: list[str] = []

    async def close(self, served: str) -> None:
        self.closed.append(served)

    def making(self, name: str, *, waits: asyncio.Event | None = None) -> Callable[[], Awaitable[str]]:
        async def make() -> str:
            if waits is not None:
                await waits.wait()
            self.made.append(name)
            return name

        return make

    async def broken(self) -> str:
        raise ModelRefusedError("It does not fit.")


@pytest.fixture
def workshop() -> _Workshop:
    return _Workshop()


@pytest.fixture
def swap(workshop: _Workshop) -> Swap[str]:
    return Swap("old", workshop.close)


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_runs_on_the_old_one_stays_on_it_and_then_it_is_closed(swap: Swap[str], workshop: _Workshop) -> None:
    async with swap.in_use() as first:
        await swap.replace(workshop.making("new"))
        async with swap.in_use() as second:
            assert (first, second, swap.current) == ("old", "new", "new")
        await _settled()
        assert workshop.closed == []
    await _settled()
    assert workshop.closed == ["old"]


async def test_newcomers_are_served_by_the_old_one_while_the_new_one_is_made(
    swap: Swap[str], workshop: _Workshop
) -> None:
    may_be_made = asyncio.Event()
    replacing = _begun(swap.replace(workshop.making("new", waits=may_be_made)))
    await _settled()
    async with swap.in_use() as served:
        assert served == "old"
    may_be_made.set()
    await replacing
    await _settled()
    assert (swap.current, workshop.closed) == ("new", ["old"])


async def test_where_two_do_not_fit_the_old_one_goes_first_and_newcomers_wait(
    swap: Swap[str], workshop: _Workshop
) -> None:
    async with AsyncExitStack() as stack:
        assert await stack.enter_async_context(swap.in_use()) == "old"
        replacing = _begun(swap.replace(workshop.making("new"), again=workshop.making("old again")))
        await _settled()
        waiting = _begun(_taken(swap))
        await _settled()
        assert (workshop.closed, workshop.made, swap.current, waiting.done()) == ([], [], None, False)
    await replacing
    assert (await waiting, workshop.closed) == ("new", ["old"])


async def test_what_cannot_be_made_leaves_the_old_one(swap: Swap[str], workshop: _Workshop) -> None:
    with pytest.raises(ModelRefusedError):
        await swap.replace(workshop.broken)
    assert (await _taken(swap), workshop.closed) == ("old", [])
    with pytest.raises(ModelRefusedError):
        await swap.replace(workshop.broken, again=workshop.making("old again"))
    assert (await _taken(swap), workshop.closed) == ("old again", ["old"])


async def test_where_even_the_old_one_cannot_be_made_again_all_are_told(swap: Swap[str], workshop: _Workshop) -> None:
    waiting: list[asyncio.Task[str]] = []

    async def fails_later() -> str:
        waiting.append(_begun(_taken(swap)))
        await _settled()
        return await workshop.broken()

    with pytest.raises(EngineFailedError, match=r"cannot be made again: .* It does not fit"):
        await swap.replace(workshop.broken, again=fails_later)
    for asker in (*waiting, _begun(_taken(swap))):
        with pytest.raises(EngineFailedError, match="closed to make room"):
            await asker


async def test_an_exchange_waits_for_what_was_replaced_before_where_memory_holds_no_third(
    swap: Swap[str], workshop: _Workshop
) -> None:
    def two_fit(standing: Sequence[str]) -> bool:
        return len(standing) < 2

    async with swap.in_use():
        await swap.replace(workshop.making("second"))
        exchanging = _begun(_exchanged(swap, workshop, two_fit))
        await _settled()
        assert (workshop.made, swap.current) == (["second"], "second")
    assert (await exchanging)[-1] <= 0.9
    assert (workshop.made, workshop.closed[:1], swap.current) == (["second", "new"], ["old"], "new")


async def test_an_exchange_that_is_given_up_goes_on_and_the_next_one_waits_for_it(
    swap: Swap[str], workshop: _Workshop
) -> None:
    async with swap.in_use():
        exchanging = _begun(_exchanged(swap, workshop, lambda _: False))
        await _settled()
        exchanging.cancel()
        settled = _begun(swap.settled())
        await _settled()
        assert not settled.done()
    await settled
    assert (swap.current, workshop.closed) == ("new", ["old"])


async def test_one_that_cannot_be_closed_to_make_room_is_told_to_all(workshop: _Workshop) -> None:
    async def stuck(served: str) -> None:
        raise ModelRefusedError(f"{served} does not let go.")

    swap = Swap("old", stuck)
    waiting: list[asyncio.Task[str]] = []
    async with swap.in_use():
        replacing = _begun(swap.replace(workshop.making("new"), again=workshop.making("old again")))
        await _settled()
        waiting.append(_begun(_taken(swap)))
    for failed in (replacing, *waiting):
        with pytest.raises(EngineFailedError, match="could not be closed to make room"):
            await failed


async def test_the_end_waits_for_what_runs_and_turns_newcomers_away(swap: Swap[str], workshop: _Workshop) -> None:
    async with swap.in_use():
        await swap.replace(workshop.making("new"))
        async with swap.in_use():
            ending = _begun(swap.end())
            await _settled()
            with pytest.raises(ModelNotLoadedError):
                await _taken(swap)
            assert (ending.done(), workshop.closed) == (False, [])
    await ending
    assert sorted(workshop.closed) == ["new", "old"]
    with pytest.raises(ModelNotLoadedError):
        await swap.replace(workshop.making("another"))


@pytest.mark.parametrize("beside", [True, False])
async def test_an_end_in_the_middle_of_a_replacement_leaves_nothing_behind(
    swap: Swap[str], workshop: _Workshop, *, beside: bool
) -> None:
    may_be_made = asyncio.Event()
    again = None if beside else workshop.making("old again")
    replacing = _begun(swap.replace(workshop.making("new", waits=may_be_made), again=again))
    await _settled()
    ending = _begun(swap.end())
    await _settled()
    may_be_made.set()
    with pytest.raises(ModelNotLoadedError):
        await replacing
    await ending
    assert sorted(workshop.closed) == ["new", "old"]


async def _exchanged(swap: Swap[str], workshop: _Workshop, fits_beside: Callable[[Sequence[str]], bool]) -> list[float]:
    build, again = workshop.making("new"), workshop.making("old again")
    steps = swap.exchange(build, again=again, fits_beside=fits_beside, first=0.1, last=0.9)
    return [progress async for progress in steps]


async def _taken(swap: Swap[str]) -> str:
    async with swap.in_use() as served:
        return served


def _begun(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    return asyncio.get_running_loop().create_task(work)
