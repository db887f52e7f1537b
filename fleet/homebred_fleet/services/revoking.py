"""Takes devices out: the database first, then the broker, until the broker provably refuses what was taken back.

Over HTTPS a device is out with the database's commit. At the broker a list must be written and read, and a connection
that stands must be ended: mosquitto looks at the list only when somebody connects. The list takes back one certificate
more, made for it alone; once the broker turns that away it has read the list, and whoever is thrown out then stays out.
What was begun is taken up again after a crash: the database knows of each certificate whether it is out. No two moments
are compared, since clocks step back, and who takes something back may wait for the database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from homebred_fleet import messages
from homebred_fleet.errors import BrokerError, FleetError
from homebred_fleet.ports.authority import Authority, Probe
from homebred_fleet.ports.broker import BrokerControl
from homebred_fleet.ports.identities import Identities
from homebred_fleet.ports.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How soon things are done again."""

    daily_s: float = 86_400.0
    """A list that nobody renews runs out, and the broker would refuse everybody."""
    retry_s: float = 5.0
    """After a round that did not succeed."""
    least_s: float = 1.0
    """Between two lists: each is dated a second after the one before, and none may come to be from the future."""
    probe_s: float = 0.05
    patience_s: float = 2.0
    """How long a broker may take to read its files, before devices are thrown out all the same."""


class Revoking:
    """Fulfils what the database says of certificates that were taken back."""

    def __init__(
        self,
        identities: Identities,
        authority: Authority,
        broker: BrokerControl,
        journal: Journal,
        *,
        now_s: Callable[[], int],
        pace: Pace | None = None,
    ) -> None:
        self._identities = identities
        self._authority = authority
        self._broker = broker
        self._journal = journal
        self._now_s = now_s
        self._pace = pace or Pace()
        self._due = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_failed = False

    def revoke(self, device: str, *, reason: str, by: str) -> bool:
        """Takes a device out, from any thread; the broker follows by itself. False: it was out already.

        Raises:
            NotFoundError: there is no such device.
            StoreError: the database could not be written.
        """
        changed = self._identities.revoke(device, reason=reason, by=by, now_s=self._now_s())
        if changed:
            self._journal.note(messages.REVOKED, device=device, admin=by)
            self.wake()
        return changed

    def wake(self) -> None:
        """Something was taken back; from any thread."""
        if self._loop is None:
            self._due.set()
        else:
            self._loop.call_soon_threadsafe(self._due.set)

    async def run(self) -> None:
        """Until cancelled: at once, whenever something was taken back, and daily."""
        self._loop = asyncio.get_running_loop()
        self._due.set()
        wait_s = self._pace.daily_s
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    await self._due.wait()
            except TimeoutError:
                pass
            self._due.clear()
            wait_s = self._pace.daily_s if await self._round() else self._pace.retry_s
            await asyncio.sleep(self._pace.least_s)

    async def _round(self) -> bool:
        """Whether all that was taken back is in force now."""
        try:
            await self._enforce()
        except FleetError as error:
            if not self._has_failed:
                self._journal.note(messages.REVOCATION_NOT_IN_FORCE, cause=error.code)
            self._has_failed = True
            return False
        self._has_failed = False
        return True

    async def _enforce(self) -> None:
        started_s, now_s = time.monotonic(), self._now_s()
        taken_back = await asyncio.to_thread(self._identities.taken_back, now_s=now_s)
        to_throw_out = tuple(one for one in taken_back if not one.is_out)
        due = tuple(dict.fromkeys(one.device for one in to_throw_out))
        revocations = tuple(one.revocation for one in taken_back)
        probe = await asyncio.to_thread(self._authority.write_revocations, revocations, now_s=now_s)
        try:
            await self._until_refused(probe)
        except BrokerError:
            await self._throw_out(due)  # it may come back; until the list is read this is all that can be done
            raise
        await self._throw_out(due)
        serials = tuple(one.revocation.serial for one in to_throw_out)
        await asyncio.to_thread(self._identities.note_out, serials, now_s=now_s)
        if due:
            self._journal.note(
                messages.REVOCATION_IN_FORCE,
                certificates=len(revocations),
                devices=len(due),
                seconds=time.monotonic() - started_s,
            )

    async def _until_refused(self, probe: Probe) -> None:
        """Returns once the broker has read the list that takes the probe back. Raises BrokerError."""
        await self._broker.reload()
        try:
            async with asyncio.timeout(self._pace.patience_s):
                while not await self._broker.refuses(probe):  # noqa: ASYNC110  # another process's state
                    await asyncio.sleep(self._pace.probe_s)
        except TimeoutError:
            raise BrokerError(
                f"the broker lets in what was taken back, {self._pace.patience_s:g} s after it was told to reload",
                code="broker_not_reloaded",
            ) from None

    async def _throw_out(self, devices: tuple[str, ...]) -> None:
        """One that cannot be thrown out holds up no other. Raises BrokerError: for the last of them."""
        failed: BrokerError | None = None
        for device in devices:
            takeover = await asyncio.to_thread(self._authority.takeover_of, device, now_s=self._now_s())
            try:
                await self._broker.throw_out(device, takeover)
            except BrokerError as error:
                failed = error
        if failed is not None:
            raise failed
