"""Who is cancelled while a thread works goes on only once it has ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from homebred_daemon.on_threads import unbroken


async def test_what_the_call_returns_or_raises_is_handed_on() -> None:
    assert await unbroken(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        await unbroken(lambda: 1 // 0)


async def cancelled(call: Callable[[], object], release: threading.Event, undone: list[object]) -> None:
    """Cancels who waits, three times, and lets the thread end only then."""
    task = asyncio.get_running_loop().create_task(unbroken(call, undo=undone.append))  # awaited below
    await asyncio.sleep(0)
    for _ in range(3):
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done(), "the thread still works"
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelled_it_waits_for_the_thread_and_undoes_what_came_of_it() -> None:
    release, undone, ended = threading.Event(), list[object](), list[int]()

    def call() -> str:
        release.wait(30)
        ended.append(1)
        return "an open file"

    await cancelled(call, release, undone)
    assert (ended, undone) == ([1], ["an open file"])


async def test_cancelled_it_undoes_nothing_where_nothing_came_of_it() -> None:
    release, undone = threading.Event(), list[object]()

    def call() -> str:
        release.wait(30)
        raise ValueError

    await cancelled(call, release, undone)
    assert undone == []
