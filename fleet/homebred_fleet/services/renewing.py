"""Renews the controller's own certificates before they run out, at its start and daily, and tells who shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from homebred_fleet import messages
from homebred_fleet.errors import FleetError
from homebred_fleet.ports.journal import Journal
from homebred_fleet.ports.own_certificates import OwnCertificates

DAILY_S = 86_400.0


class Renewing:
    """One loop."""

    def __init__(
        self,
        certificates: OwnCertificates,
        journal: Journal,
        *,
        renewed: Callable[[], None],
        now_s: Callable[[], int],
        every_s: float = DAILY_S,
    ) -> None:
        """`renewed` is called on the loop after anything was renewed."""
        self._certificates = certificates
        self._journal = journal
        self._renewed = renewed
        self._now_s = now_s
        self._every_s = every_s

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(self._every_s)

    async def _look(self) -> None:
        try:
            names = await asyncio.to_thread(self._certificates.renew_due, now_s=self._now_s())
        except FleetError as error:
            self._journal.note(messages.CERTIFICATES_NOT_RENEWED, error_code=error.code)
            return
        if names:
            self._journal.note(messages.CERTIFICATES_RENEWED, certificates=",".join(names))
            self._renewed()
