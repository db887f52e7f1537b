"""Answers a share of a device's own tasks a second time, by a newcomer, after the caller has its answer.

Only while no caller is being served, and one at a time; a newcomer's answer is verified as every answer is, and then
forgotten: it is shown to nobody, stored nowhere, and counted by no measure (I4). What leaves here is whether each did
well, and two times. It decides nothing about the release: `comparing.py` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.pairs import Pair
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.core.verification import WEAK, Finding, is_weak
from homebred_daemon.errors import EngineUnavailableError, HomebredError
from homebred_daemon.inbound.answering import AcceptedTask, AnswerEvent
from homebred_daemon.ports.ledger import OutcomeRecord
from homebred_daemon.ports.measures import UNMEASURED
from homebred_daemon.ports.tracing import UNTRACED
from homebred_daemon.services.asking import Asking, AttemptFailedError
from homebred_daemon.services.cascading import Cascading
from homebred_daemon.services.guest import BrokenOffError, Guest
from homebred_daemon.services.models import served_of
from homebred_daemon.services.standing import Means, Served, Standing

ONE_IN = 4
"""Of the tasks that could be compared, one in so many is: the bound of what it costs."""
LEAST_DEADLINE_S = 60.0
"""A newcomer, whose process gives way to all others, has so long, however short the caller's time was."""
MOST_PASSED_OVER = 256
"""After being broken off again and again: on a busy device hardly any is begun in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A task whose caller has its answer, and who was asked for it first."""

    standing: Standing
    """That it was answered under."""
    accepted: AcceptedTask
    asked: str
    """The one specialist of the first decision; empty: a cascade, the cloud or nobody."""
    has_failed: bool
    """Whether that one failed, and the task was decided again."""
    record: OutcomeRecord

    @property
    def was_good(self) -> bool | None:
        """Whether the one that was asked did well; None: that cannot be told, such as where its time was over.

        How long it took does not count, for either: the newcomer's time is what others leave it.
        """
        if self.has_failed or (self.asked and self.record.error_code == EngineUnavailableError.code):
            return False
        if self.record.answered_by != self.asked or self.record.status != "answer":
            return None
        return WEAK.isdisjoint(self.record.findings)


Hears = Callable[[Answered], None]


def unheard(answered: Answered) -> None:
    """Nobody answers tasks again."""
    del answered


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seat:
    """Who answers again, beside whom."""

    id: str
    beside: str
    """`StoredSpecialist.version` of what serves."""
    served: Served


class Shadowing:
    """Fulfils `ports.shadowing.Shadow`; `heard` is for whoever answers tasks. One event loop."""

    def __init__(self, guest: Guest, means: Means, *, context_tokens: int) -> None:
        """`context_tokens` is the context of one generation, where a specialist names none."""
        self._guest = guest
        self._means = replace(means, pool=guest, measures=UNMEASURED, traces=UNTRACED)
        self._context_tokens = context_tokens
        self._turn = asyncio.Lock()
        self._seat: _Seat | None = None
        self._offered: Answered | None = None
        self._is_offered = asyncio.Event()
        self._resting = 0
        self._passed_over = 0
        self._between = ONE_IN
        """Tasks from one that is answered again to the next."""

    def heard(self, answered: Answered) -> None:
        """A caller has its answer: the task may be answered again. It never waits and never fails."""
        seat = self._seat
        if seat is None or self._offered is not None or not _is_meant(answered, seat):
            return
        self._passed_over += 1
        if self._passed_over >= self._between:
            self._passed_over = 0
            self._offered = answered
            self._is_offered.set()

    def obstacle(self, newcomer: StoredSpecialist, serving: StoredSpecialist) -> Refusal | None:
        """As the port says."""
        needs = []
        for stored in (newcomer, serving):
            served = served_of(stored, self._context_tokens)
            needs.append(self._guest.need(served.model, served.adapter))
        bounds = self._guest.bounds
        if bounds.hold(needs):
            return None
        taken = needs[0] + needs[1]
        there = f"{bounds.gpu or bounds.ram or 0} may be taken, by {bounds.max_models} models at most"
        return Refusal(
            code="shadow_no_room", sentence=f"the two take {taken.ram + taken.gpu} bytes of memory together; {there}"
        )

    @asynccontextmanager
    async def beside(self, newcomer: StoredSpecialist, serving: StoredSpecialist) -> AsyncIterator[Shadowing]:
        """As the port says."""
        async with self._turn:
            self._passed_over, self._between = 0, ONE_IN
            self._seat = _Seat(
                id=newcomer.manifest.id, beside=serving.version, served=served_of(newcomer, self._context_tokens)
            )
            try:
                yield self
            finally:
                self._seat = None
                self._forget()
                await self._guest.leave()

    @asynccontextmanager
    async def resting(self) -> AsyncIterator[None]:
        """As the port says."""
        self._resting += 1
        try:
            await self._guest.leave()
            yield
        finally:
            self._resting -= 1

    async def next(self) -> Pair:
        """As the port says."""
        while True:
            await self._until_offered()
            offered = self._offered
            try:
                pair = None if offered is None or self._seat is None else await self._tried(offered, self._seat)
            finally:
                self._forget()
            if pair is not None:
                return pair

    async def _until_offered(self) -> None:
        """Returns once there is a task; the guest leaves where none comes for so long that any model would."""
        try:
            async with asyncio.timeout(self._guest.keep_alive_s or None):
                await self._is_offered.wait()
        except TimeoutError:
            await self._guest.leave()
            await self._is_offered.wait()

    def _forget(self) -> None:
        self._offered = None
        self._is_offered.clear()

    async def _tried(self, offered: Answered, seat: _Seat) -> Pair | None:
        """What both made of it; None: it was broken off."""
        was_good = offered.was_good
        if self._resting or was_good is None:
            return None
        try:
            async with self._guest.visit(seat.served.model, seat.served.adapter):
                is_good, took_ms = await self._answered_again(offered, seat)
        except BrokenOffError:
            self._between = min(self._between * 2, MOST_PASSED_OVER)
            return None
        self._between = ONE_IN
        return Pair(
            serving_is_good=was_good,
            newcomer_is_good=is_good,
            serving_ms=round(offered.record.total_ms),
            newcomer_ms=round(took_ms),
        )

    async def _answered_again(self, offered: Answered, seat: _Seat) -> tuple[bool, float]:
        """Whether the newcomer did well, by what every answer must withstand, and how long it took."""
        accepted = replace(offered.accepted, session_id="", rejects="")  # it takes no step in its caller's session
        standing = replace(offered.standing, specialists={seat.id: seat.served})
        cascading = Cascading(standing, accepted, self._means, _unnoted)
        asking = Asking(standing, accepted, self._means, _unshown, route_id="", cascading=cascading)
        began_s = self._means.clock.monotonic_s()
        try:
            async with asyncio.timeout(max(accepted.deadline_s, LEAST_DEADLINE_S)):
                is_good = not is_weak((await asking.ask((seat.id,))).findings)
        except (AttemptFailedError, HomebredError, TimeoutError):
            is_good = False
        return is_good, (self._means.clock.monotonic_s() - began_s) * 1000


def _is_meant(answered: Answered, seat: _Seat) -> bool:
    """Whether it was a task of what the newcomer is compared with, and one that the newcomer would be asked, too."""
    task, workflows = answered.accepted.task, seat.served.manifest.workflows
    return (
        answered.asked == seat.id
        and answered.was_good is not None
        and not answered.accepted.rejects
        and task.kind != "tool_loop"  # its steps hang together
        and (task.workflow in workflows or "*" in workflows)
        and any(s.manifest.id == seat.id and s.version == seat.beside for s in answered.standing.shelf.specialists)
    )


async def _unshown(event: AnswerEvent) -> None:
    """Nobody sees it."""
    del event


def _unnoted(finding: Finding) -> None:
    """No record bears it."""
    del finding
