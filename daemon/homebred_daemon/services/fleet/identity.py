"""Keeps the device's certificate valid: renews it over mTLS with the one that still holds, and warns where it cannot.

What holds stays in force until its successor is on the disk, so that there is no gap. When to try is `core.renewal`'s;
what an enrolment needs of a person is done by the command line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from homebred_daemon import fleet_messages
from homebred_daemon.core.commands import ClockSpan
from homebred_daemon.core.renewal import Life, Plan, Standing, luck_of, plan, standing
from homebred_daemon.errors import HomebredError
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.fleet_commands import OutcomeReceipts
from homebred_daemon.ports.identity import ControllerLine, Identity, IdentityStore
from homebred_daemon.ports.journal import Journal
from homebred_daemon.services.background import beside

PURPOSE = "renewal"
DAY_S = 86_400
WARNED = frozenset({Standing.SOON, Standing.URGENT, Standing.ENDED, Standing.NOT_YET})


class IdentityKeeper:
    """The identity of one running daemon."""

    def __init__(
        self,
        identity: Identity,
        store: IdentityStore,
        line: ControllerLine,
        clock: Clock,
        journal: Journal,
        *,
        chance: Callable[[], float],
        receipts: OutcomeReceipts | None = None,
    ) -> None:
        """`chance` gives numbers from 0 to 1, to spread tries."""
        self._identity = identity
        self._store = store
        self._line = line
        self._clock = clock
        self._journal = journal
        self._chance = chance
        self._receipts = receipts
        self._listeners: list[Callable[[Identity], None]] = []
        self._failures = 0
        self._tried_at_s: float | None = None
        self._drawn = 0.0
        self._warned: tuple[Standing, int] | None = None
        self._problem: HomebredError | None = None

    @property
    def identity(self) -> Identity:
        """The one in force."""
        return self._identity

    @property
    def problem(self) -> HomebredError | None:
        """Why the last try at a renewal failed; None: none did."""
        return self._problem

    def standing(self) -> Standing:
        """How its certificate stands by the clock of the moment."""
        return standing(self._life(), self._clock.now().timestamp())

    def clock_span(self) -> ClockSpan:
        """Between which times the true time is while a broker takes this certificate."""
        certificate = self._identity.certificate
        return ClockSpan(begins_s=certificate.begins_s, ends_s=certificate.ends_s)

    def when_renewed(self, heard: Callable[[Identity], None]) -> None:
        """Has a function called, on the loop, with each new identity: whoever is connected connects again with it."""
        self._listeners.append(heard)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps it for as long as the context lasts."""
        membership = self._identity.membership
        self._journal.note(
            fleet_messages.ENROLLED, device=membership.device_id, site=membership.site, days_left=self._days_left()
        )
        async with beside(self.run()):
            yield

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            next_ = self._plan()
            self._warn(next_.standing)
            if next_.renews:
                await self._renew()
            else:
                await asyncio.sleep(next_.wait_s)

    def _plan(self) -> Plan:
        tried = self._tried_at_s
        return plan(
            self._life(),
            now_s=self._clock.now().timestamp(),
            failures=self._failures,
            since_try_s=None if tried is None else self._clock.monotonic_s() - tried,
            chance=self._drawn,
        )

    async def _renew(self) -> None:
        """One try. A failure is noted and tried again; the certificate in force stays."""
        self._tried_at_s, self._drawn = self._clock.monotonic_s(), self._chance()
        try:
            pending = await asyncio.to_thread(self._store.pending_key, PURPOSE)
            issued = await self._line.renew(self._identity, pending)
            self._identity = await asyncio.to_thread(self._store.take_up, pending, issued, follows=self._identity)
        except HomebredError as error:
            self._failures += 1
            self._problem = error
            self._journal.note(fleet_messages.CERTIFICATE_NOT_RENEWED, error_code=error.code, failures=self._failures)
            return
        self._failures, self._tried_at_s, self._problem, self._warned = 0, None, None, None
        serial = self._identity.certificate.serial
        self._journal.note(fleet_messages.CERTIFICATE_RENEWED, days_left=self._days_left(), serial=serial)
        if self._receipts is not None:
            self._receipts.receipt("identity", serial, "renewed", "")
        for heard in self._listeners:
            heard(self._identity)

    def _warn(self, stands: Standing) -> None:
        """Says what is bad when it begins, and once a day."""
        day = int(self._clock.monotonic_s() // DAY_S)
        if stands not in WARNED or self._warned == (stands, day):
            return
        self._warned = (stands, day)
        match stands:
            case Standing.ENDED:
                self._journal.note(fleet_messages.CERTIFICATE_ENDED)
            case Standing.NOT_YET:
                self._journal.note(fleet_messages.CLOCK_DISBELIEVED)
            case _:
                self._journal.note(fleet_messages.CERTIFICATE_ENDS, days_left=self._days_left())

    def _days_left(self) -> int:
        return int((self._identity.certificate.ends_s - self._clock.now().timestamp()) // DAY_S)

    def _life(self) -> Life:
        certificate = self._identity.certificate
        return Life(begins_s=certificate.begins_s, ends_s=certificate.ends_s, luck=luck_of(certificate.digest))
