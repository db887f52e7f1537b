"""The book: no move from a state that is past, and threads that are waited for."""

from __future__ import annotations

import asyncio
import threading

import pytest
from tests.support.install_stage import release
from tests.support.memory_installs import MemoryInstallStore

from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import Event, State
from homebred_daemon.core.pairs import Pair
from homebred_daemon.services.releases.install_book import InstallBook, on_thread


@pytest.fixture
def book() -> InstallBook:
    return InstallBook(MemoryInstallStore())


async def test_who_was_overtaken_moves_nothing(book: InstallBook) -> None:
    begun = await book.begin(release(1), now_s=1, ends=None, reason="")
    assert begun is not None
    withdrawn = await book.move(begun, Event.NO_LONGER_WANTED, now_s=2)
    assert withdrawn is not None
    assert await book.move(begun, Event.FETCHED, now_s=3) is None
    await book.hold(begun, Refusal(code="late", sentence=""), attempts=1)
    found = await book.find(begun.seq)
    assert found is not None
    assert (found.state, found.code) == (State.WITHDRAWN, "")
    assert await book.begin(release(2), now_s=4, ends=begun, reason="") is None


async def test_a_move_keeps_what_was_counted_meanwhile(book: InstallBook) -> None:
    begun = await book.begin(release(1), now_s=1, ends=None, reason="")
    assert begun is not None
    await book.hold(begun, Refusal(code="away", sentence="w"), attempts=2)
    moved = await book.move(begun, Event.FETCHED, now_s=3, facts={"n": 1})
    assert moved is not None
    assert (moved.attempts, moved.code) == (0, "")
    assert [step.facts for step in await book.steps(moved)] == [{}, {"n": 1}]


async def test_pairs_add_up_and_begin_anew_beside_another_version(book: InstallBook) -> None:
    install = await book.begin(release(1), now_s=1, ends=None, reason="")
    for _ in range(2):
        assert install is not None
        install = await book.compare(install, "old", Pair(serving_is_good=True, newcomer_is_good=True))
    assert install is not None
    assert (install.pairs.version, install.pairs.both_good) == ("old", 2)
    install = await book.compare(install, "new", Pair(serving_is_good=False, newcomer_is_good=False))
    assert install is not None
    assert (install.pairs.version, install.pairs.both_good, install.pairs.neither) == ("new", 0, 1)


async def test_who_is_cancelled_waits_for_the_end_of_the_thread() -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def act() -> None:
        begun.set()
        may_end.wait(10)
        ended.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(on_thread(act))
        assert await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        may_end.set()
    assert ended.is_set()
    assert task.cancelled()
