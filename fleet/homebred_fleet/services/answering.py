"""Answers what devices ask over the broker: few at once, devices in turns, whoever floods losing what is too much.

A request is acknowledged when it comes and kept in memory alone: one that is lost is asked again by its device, whose
wait has an end. Answers are read on threads, and the next of a worker's waits until the broker has taken the last, so
that memory is bounded by `ANSWERS_AT_ONCE`. It does not know what is asked; that is the library's matter.
"""

from __future__ import annotations

import asyncio
import itertools

from homebred_fleet import messages
from homebred_fleet.core.figures import Figures
from homebred_fleet.core.request_turns import Asked, Turns
from homebred_fleet.errors import FleetError
from homebred_fleet.ports.hub import Hub
from homebred_fleet.ports.journal import Journal
from homebred_fleet.ports.library import Library
from homebred_protocol import blocks, trusted_files
from homebred_protocol.requests import Answer, Outcome, read_request

OPERATIONS = frozenset({trusted_files.REQUEST, blocks.REQUEST})
ANSWERS_AT_ONCE = 8
"""At half a mebibyte each at most."""
READERS = 2
"""Threads that may wait for a disk at once: the others are the database's."""
EXPIRY_S = 60
"""How long the broker keeps an answer for a device that went away: it has asked again by then, or given up."""
TAKEN_WITHIN_S = 30.0
"""By the broker; after that the next one is answered all the same."""
TOLD_EVERY_S = 60.0
"""That requests are dropped."""


class Answering:
    """One loop over one hub; everything but `run` is called on its event loop."""

    def __init__(self, library: Library, hub: Hub, journal: Journal, figures: Figures) -> None:
        self._library = library
        self._hub = hub
        self._journal = journal
        self._figures = figures
        self._turns = Turns()
        self._news = asyncio.Event()
        self._reading = asyncio.Semaphore(READERS)
        self._tokens = itertools.count(-1, -1)
        """Below zero: the reconciler's are above, and each hears of every delivery."""
        self._published: dict[int, asyncio.Future[bool]] = {}
        self._dropped = 0
        """Since that was last told."""
        self._told_s: float | None = None

    def offer(self, device: str, operation: str, payload: bytes, *, is_retained: bool) -> None:
        """A request came."""
        try:
            request = read_request(payload)
        except ValueError:
            self._drop(device, "malformed")
            return
        if is_retained:  # the broker would say it again at every connection
            self._drop(device, "retained")
            return
        asked = Asked(device=device, operation=operation, correlation=request.correlation, body=request.body)
        if self._turns.offer(asked):
            self._news.set()
        else:
            self._drop(device, "too_many")

    def delivered(self, token: int, *, ok: bool) -> None:
        """The broker answered a publication."""
        published = self._published.pop(token, None)
        if published is not None and not published.done():
            published.set_result(ok)

    def disconnected(self) -> None:
        """There is no connection: who asked hears so by the silence, and asks again."""
        self._turns.forget()
        for token in tuple(self._published):
            self.delivered(token, ok=False)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(ANSWERS_AT_ONCE):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            asked = self._turns.take()
            if asked is None:
                self._news.clear()
                await self._news.wait()
                continue
            try:
                await self._answer(asked)
            finally:
                self._turns.done(asked.device)
                self._news.set()

    async def _answer(self, asked: Asked) -> None:
        outcome, body = await self._found(asked)
        self._figures.count_answer(outcome.name.lower(), len(body))
        token = next(self._tokens)
        taken = self._published[token] = asyncio.get_running_loop().create_future()
        self._hub.tell_answer(asked.device, Answer(asked.correlation, outcome, body), expiry_s=EXPIRY_S, token=token)
        try:
            await asyncio.wait([taken], timeout=TAKEN_WITHIN_S)
        finally:
            self._published.pop(token, None)

    async def _found(self, asked: Asked) -> tuple[Outcome, bytes]:
        """What is answered; whatever goes wrong is an answer too."""
        async with self._reading:
            try:
                body = await asyncio.to_thread(self._library.answer, asked.device, asked.operation, asked.body)
            except FleetError as error:
                self._journal.note(messages.ANSWER_FAILS, error_code=error.code)
                return Outcome.LATER, b""
            except OSError:
                self._journal.note(messages.ANSWER_FAILS, error_code="files")
                return Outcome.LATER, b""
            except Exception as error:  # noqa: BLE001  # no message of a device may end the controller
                self._journal.note(messages.ANSWER_DEFECT, device=asked.device, error_type=type(error).__name__)
                return Outcome.LATER, b""
        return (Outcome.REFUSED, b"") if body is None else (Outcome.GIVEN, body)

    def _drop(self, device: str, cause: str) -> None:
        """Counts it, and says so once a minute at most."""
        self._figures.count_dropped_request(cause)
        self._dropped += 1
        now = asyncio.get_running_loop().time()
        if self._told_s is None or now - self._told_s >= TOLD_EVERY_S:
            self._journal.note(messages.REQUESTS_DROPPED, count=self._dropped, device=device, cause=cause)
            self._told_s, self._dropped = now, 0
