"""Tells the fleet what became of releases: each step that is news to it once it is on the disk, signed where it can be.

Likewise each refusal of something signed that became no install. What could not be told is told later; no install, and
least of all a rollback, waits for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from homebred_daemon import fleet_messages
from homebred_daemon.core.deployment import Install, State, receipt_word
from homebred_daemon.errors import HomebredError, StateError
from homebred_daemon.ports.fleet_commands import InstallReceipts
from homebred_daemon.ports.installs import Declined, ReceiptSigner, Step
from homebred_daemon.ports.journal import Journal
from homebred_daemon.services.releases.install_book import InstallBook, on_thread
from homebred_protocol.receipts import refused_subject


class InstallTelling:
    """The receipts of one device's installs."""

    def __init__(
        self, book: InstallBook, receipts: InstallReceipts, signer: ReceiptSigner | None, journal: Journal
    ) -> None:
        """Without a signer they go out unsigned."""
        self._book = book
        self._receipts = receipts
        self._signer = signer
        self._journal = journal
        self._turn = asyncio.Lock()

    async def tell(self) -> None:
        """What nobody was told of yet, the oldest first: at least once each. Raises StateError."""
        async with self._turn:
            for install, step in await self._book.untold():
                if not await self._step_taken(install, step):
                    return
                await self._book.told(step)
            for declined in await self._book.untold_declined():
                if not await self._refusal_taken(declined):
                    return
                await self._book.told_declined(declined)

    async def _step_taken(self, install: Install, step: Step) -> bool:
        release, word = install.release, receipt_word(step.event, step.state)
        if not word:
            return True
        signed = await self._signed(lambda signer: signer.signed(install, step))
        return await self._taken(release.digest, word, step.code, release.number, signed)

    async def _refusal_taken(self, declined: Declined) -> bool:
        subject, number = refused_subject(declined.about)
        signed = await self._signed(lambda signer: signer.signed_refusal(declined))
        return await self._taken(declined.digest or subject, State.REFUSED, declined.code, number, signed)

    async def _taken(self, subject: str, word: str, code: str, number: int, signed: bytes | None) -> bool:
        if signed is None or not self._receipts.receipt("install", subject, word, code, version=number, signed=signed):
            return False
        with suppress(StateError):  # a full disk: it waits in memory, and no install waits for it
            await self._receipts.written()
        return True

    async def _signed(self, sign: Callable[[ReceiptSigner], bytes]) -> bytes | None:
        """None: not now."""
        if self._signer is None:
            return b""
        try:
            return await on_thread(partial(sign, self._signer))
        except HomebredError as error:
            self._journal.note(fleet_messages.INSTALL_HELD_UP, error_code=error.code)
            return None
