"""Brings the list of a gazetteer: over the controller's HTTPS, and over the broker where that port is closed.

What came by the one way is gone on with by the other. Whoever asks has the digest from what is signed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from homebred_daemon.adapters.partial_document import PartialDocument
from homebred_daemon.core.transfer import WantedFile
from homebred_daemon.errors import ControllerUnreachableError, FleetError, StateError, TransferError
from homebred_daemon.ports.identity import ControllerLine, Identity
from homebred_daemon.ports.transfer import ByteSource

PIECE_BYTES: Final = 256 * 1024


class ListFetching:
    """Fulfils `ports.fleet.ListLine`."""

    def __init__(self, https: ControllerLine, broker: ByteSource, *, identity: Callable[[], Identity]) -> None:
        """Takes both ways, and as whom the controller is asked."""
        self._https = https
        self._broker = broker
        self._identity = identity

    async def fetch(self, digest: str, length: int, into: Path) -> Path:
        """As the port says."""
        try:
            return await self._https.fetch(self._identity(), digest, length, into)
        except ControllerUnreachableError:
            return await self._over_broker(digest, length, into)

    async def _over_broker(self, digest: str, length: int, into: Path) -> Path:
        document = PartialDocument(into, digest, length)
        wanted = WantedFile(path="a list of names", length=length, digest=digest, frames=())
        try:
            held = await asyncio.to_thread(document.held)
            if held < length:
                await self._fill(document, wanted, held)
            return await asyncio.to_thread(document.finish)
        except TransferError as error:
            raise FleetError(error.message, hint=error.hint) from error
        except OSError as error:
            raise StateError(
                f"a list could not be kept in {into}: {error.strerror}",
                hint="free disk space; it is tried again, from where it ended",
            ) from error

    async def _fill(self, document: PartialDocument, wanted: WantedFile, held: int) -> None:
        room = memoryview(bytearray(PIECE_BYTES))
        async with self._broker.open(wanted, held, wanted.length) as stream:
            while read := await stream.read_into(room[: wanted.length - held]):
                await asyncio.to_thread(document.append, bytes(room[:read]))
                held += read
