"""Work on a thread that is never left alone: who is cancelled meanwhile hears so once the thread has ended.

`asyncio.to_thread` returns at once when it is cancelled, and whoever tidies up then closes what the thread still works
with; a closed descriptor's number may be another file's a moment later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def unbroken(call: Callable[[], T], *, undo: Callable[[T], object] = lambda _: None) -> T:
    """What the call returns, or raises.

    Args:
        call: runs on a thread, to its end.
        undo: gets, on a thread as well, what came of it where nobody waits for that any more.
    """
    loop = asyncio.get_running_loop()
    work = loop.run_in_executor(None, call)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await _ended(work)
        if not work.cancelled() and work.exception() is None:
            await _ended(loop.run_in_executor(None, undo, work.result()))
        raise


async def _ended(work: asyncio.Future[T]) -> None:
    """Waits, whoever else is impatient."""
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([work])
