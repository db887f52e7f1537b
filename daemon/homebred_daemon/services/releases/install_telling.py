"""Tells the fleet what became of releases: each step that is news to it once it is on the disk, signed where it can be.

A step that could not be told is told later; no install, and least of all a rollback, waits for that.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from homebred_daemon import fleet_messages
from homebred_daemon.core.deployment import Install, receipt_word
from homebred_daemon.errors import HomebredError, StateError
from homebred_daemon.ports.fleet_commands import InstallReceipts
from homebred_daemon.ports.installs import ReceiptSigner, Step
from homebred_daemon.ports.journal import Journal
from homebred_daemon.services.releases.install_book import InstallBook, on_thread


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
                word = receipt_word(step.event, step.state)
                if word:
                    release, signed = install.release, await self._signed(install, step)
                    if signed is None:
                        return
                    if not self._receipts.receipt(
                        "install", release.digest, word, step.code, version=release.number, signed=signed
                    ):
                        return
                    with suppress(StateError):  # a full disk: it waits in memory, and no install waits for it
                        await self._receipts.written()
                await self._book.told(step)

    async def _signed(self, install: Install, step: Step) -> bytes | None:
        """None: not now."""
        if self._signer is None:
            return b""
        try:
            return await on_thread(partial(self._signer.signed, install, step))
        except HomebredError as error:
            self._journal.note(fleet_messages.INSTALL_HELD_UP, error_code=error.code)
            return None
