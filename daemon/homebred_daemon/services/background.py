"""Tasks that run beside something, for as long as that lasts.

Differs from a plain TaskGroup in the body's errors: they leave as they are, not wrapped in a group, and do not cancel
the tasks, which the body ends in its own way. Where a task fails too, the group's error is what leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from homebred_daemon.errors import HomebredError

T = TypeVar("T")


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """A group whose tasks the body ends; leaving it waits until they have."""
    failure: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        try:
            yield group
        except BaseException as error:  # noqa: BLE001  # raised below: the group would wrap it
            failure = error
    if failure is not None:
        raise failure


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Does the work until the body has ended, then cancels it and waits for what it does about that.

    Raises:
        BaseExceptionGroup: the work failed; the body is cancelled for it.
    """
    async with task_group() as group:
        task = group.create_task(work)
        try:
            yield
        finally:
            task.cancel()


async def caught(act: Coroutine[Any, Any, T]) -> T | HomebredError:
    """What an act gives; an error of ours is handed over rather than raised: a group's task would wrap it."""
    try:
        return await act
    except HomebredError as error:
        return error
