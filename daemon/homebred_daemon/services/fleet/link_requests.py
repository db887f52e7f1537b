"""What this device asks its controller over the broker, for whoever waits: pages of signed files, blocks of releases.

The link (`core.requesting`) settles each request within a bounded time; blocks go at a pace that leaves room for all
else. Nothing is believed here: a page or a block is whatever came, and its asker checks it. One event loop.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from homebred_daemon.core.answer_pace import AnswerPace
from homebred_daemon.core.requesting import ANSWER_WITHIN_S, Abandon, Ask, Failure, Settle
from homebred_daemon.errors import (
    ControllerUnreachableError,
    FleetError,
    SourceAwayError,
    SourceRefusesError,
    SourceWrongError,
)
from homebred_protocol import blocks
from homebred_protocol.blocks import Block
from homebred_protocol.trusted_files import Page, read_answer

TRIES = 2
"""At a block that is late: a broker drops what its queues do not hold."""
UNSETTLED_S = ANSWER_WITHIN_S + 10.0
"""Where the link itself has failed, nobody settles anything."""
WHY = {
    Failure.AWAY: "there is no link with the fleet",
    Failure.LOST: "the link with the fleet was lost",
    Failure.TURNED_AWAY: "the broker did not take a request",
    Failure.UNHEARD: "the broker has nobody to give a request to: the controller is away",
    Failure.LATE: f"no answer came over the broker for {ANSWER_WITHIN_S:.0f} s",
    Failure.LATER: "the controller cannot answer at present; its log says why",
    Failure.REFUSED: "the controller does not understand a request, or does not know this device",
    Failure.CROWDED: "too many requests are on their way to the controller",
}


class LinkRequests:
    """Fulfils `ports.trust.FleetRequests` and `ports.transfer.BlockLine`."""

    def __init__(self, put: Callable[[Ask | Abandon], None], monotonic_s: Callable[[], float]) -> None:
        """`put` hands an event to the link."""
        self._put = put
        self._monotonic_s = monotonic_s
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[bytes | Failure]] = {}
        self._pace = AnswerPace()
        self._turn = asyncio.Lock()
        """Blocks are asked for in the order in which somebody wants them."""
        self._freed = asyncio.Event()

    async def request(self, name: str, body: bytes) -> bytes:
        """As `FleetRequests`."""
        result = await self._asked(name, body)
        if isinstance(result, bytes):
            return result
        if result is Failure.REFUSED:
            raise FleetError(WHY[result], hint="update the controller, or see `homebred fleet status`")
        raise ControllerUnreachableError(WHY[result])

    async def ask(self, digest: str, begin: int, length: int) -> bytes:
        """As `BlockLine`; fewer bytes where the controller gave no more."""
        page = await self._page(blocks.request_of(Block(digest, begin, length)))
        if page.length < 0:
            raise SourceRefusesError("the controller does not have it", hint="publish the release there again")
        return page.body

    def settle(self, settled: Settle) -> None:
        """The link says what became of a request."""
        waiting = self._waiting.get(settled.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(settled.result)

    def lose_all(self) -> None:
        """The link has ended, or begins anew."""
        for number in tuple(self._waiting):
            self.settle(Settle(number, Failure.AWAY))

    async def _page(self, body: bytes) -> Page:
        result = await self._paced(body)
        if result is Failure.REFUSED:
            raise SourceRefusesError(WHY[result], hint="update the controller, or see `homebred fleet status`")
        if isinstance(result, Failure):
            raise SourceAwayError(WHY[result])
        try:
            return read_answer(result)
        except ValueError as error:
            raise SourceWrongError(f"an answer over the broker {error}") from None

    async def _paced(self, body: bytes) -> bytes | Failure:
        """What comes of asking for a block, once it is its turn; a second try keeps the place of the first."""
        async with self._turn:
            while self._pace.is_full:
                self._freed.clear()
                await self._freed.wait()
            self._pace.begun()
        try:
            result: bytes | Failure = Failure.LATE
            for _ in range(TRIES):
                asked_at_s = self._monotonic_s()
                result = await self._asked(blocks.REQUEST, body)
                if isinstance(result, bytes):
                    self._pace.came(asked_at_s, self._monotonic_s())
                else:
                    self._pace.failed(self._monotonic_s())
                if result is not Failure.LATE:
                    break
            return result
        finally:
            self._pace.ended()
            self._freed.set()

    async def _asked(self, operation: str, body: bytes) -> bytes | Failure:
        number = next(self._numbers)
        waiting: asyncio.Future[bytes | Failure] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        self._put(Ask(number, operation, body))
        try:
            async with asyncio.timeout(UNSETTLED_S):
                return await waiting
        except TimeoutError:
            return Failure.LATE
        finally:
            del self._waiting[number]
            if waiting.cancelled() or not waiting.done():
                self._put(Abandon(number))


class CurrentRequests:
    """Those of the link that there is at each moment, which may be none; fulfils both ports throughout."""

    def __init__(self, current: Callable[[], LinkRequests | None]) -> None:
        self._current = current

    async def request(self, name: str, body: bytes) -> bytes:
        """As `FleetRequests`."""
        current = self._current()
        if current is None:
            raise ControllerUnreachableError(WHY[Failure.AWAY])
        return await current.request(name, body)

    async def ask(self, digest: str, begin: int, length: int) -> bytes:
        """As `BlockLine`."""
        current = self._current()
        if current is None:
            raise SourceAwayError(WHY[Failure.AWAY])
        return await current.ask(digest, begin, length)
