"""Both clients behind one face, so that one suite holds for both: the waiting one speaks from a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from homebred_protocol.client import AsyncClient, AsyncControl, Client, Control, Event, Task

WAYS = ("blocking", "asyncio")


class Speaker:
    """One client of either kind."""

    def __init__(self, client: Any, control: Any, *, waits: bool) -> None:
        self._client = client
        self._control = control
        self._waits = waits

    async def call(self, name: str, *arguments: Any, **named: Any) -> Any:
        """A call of the application's."""
        return await self._do(getattr(self._client, name), *arguments, **named)

    async def control(self, name: str, *arguments: Any, **named: Any) -> Any:
        """A call of an operator's or reviewer's."""
        return await self._do(getattr(self._control, name), *arguments, **named)

    async def events(self, task: Task, heard: list[Event], *, until: Callable[[Event], bool] = lambda _: False) -> None:
        """Reads a stream into `heard`; closes it early where `until` says so."""
        if self._waits:
            await asyncio.to_thread(self._read, task, heard, until)
            return
        async with self._client.stream(task) as stream:
            async for event in stream:
                heard.append(event)
                if until(event):
                    break

    async def watched(self, many: int) -> list[Any]:
        """The first reviews that a watch tells of; then it is closed."""
        if self._waits:
            return await asyncio.to_thread(self._watch, many)
        watch, found = self._control.watch_reviews(), []
        async for review in watch:
            found.append(review)
            if len(found) == many:
                break
        await watch.aclose()
        return found

    def _read(self, task: Task, heard: list[Event], until: Callable[[Event], bool]) -> None:
        with self._client.stream(task) as stream:
            for event in stream:
                heard.append(event)
                if until(event):
                    break

    def _watch(self, many: int) -> list[Any]:
        watch = self._control.watch_reviews()
        found = [next(watch) for _ in range(many)]
        watch.close()
        return found

    async def _do(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        if self._waits:
            return await asyncio.to_thread(method, *arguments, **named)
        return await method(*arguments, **named)


@asynccontextmanager
async def speaking(way: str, socket: Path, **named: float) -> AsyncIterator[Speaker]:
    """A client of one kind on a socket."""
    if way == "blocking":
        with Client(socket, **named) as client, Control(socket, **named) as control:
            yield Speaker(client, control, waits=True)
    else:
        async with AsyncClient(socket, **named) as other, AsyncControl(socket, **named) as other_control:
            yield Speaker(other, other_control, waits=False)
