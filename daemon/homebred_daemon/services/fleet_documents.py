"""Has what the fleet wants on this device, and has it hold: policies by the way of any policy, gazetteers likewise.

It checks nothing itself: the caretaker does, and what is not valid here leaves everything as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from homebred_daemon.core.fleet_messages import Document
from homebred_daemon.errors import RequestError, StateError
from homebred_daemon.inbound.caretaking import PolicyChange
from homebred_daemon.ports.fleet import DocumentFolder
from homebred_daemon.ports.identity import ControllerLine, Identity


class Caretaker(Protocol):
    """Who changes what holds on this device."""

    async def set_policy(self, body: bytes) -> PolicyChange:
        """Another policy, under the site ceiling; empty: the configured one."""
        ...

    async def set_gazetteer(self, path: Path | None) -> None:
        """Another gazetteer of the fleet beside the site's own; None: none."""
        ...


class DocumentDesk:
    """Fulfils `ports.fleet.FleetDocuments`."""

    def __init__(
        self,
        folder: DocumentFolder,
        line: ControllerLine,
        caretaker: Caretaker,
        *,
        identity: Callable[[], Identity],
    ) -> None:
        self._folder = folder
        self._line = line
        self._caretaker = caretaker
        self._identity = identity

    async def obtain(self, document: Document) -> None:
        """As the port says."""
        if await asyncio.to_thread(self._folder.find, document.digest) is not None:
            return
        if document.body is not None:
            await asyncio.to_thread(self._folder.keep, document.digest, document.body)
        else:
            await self._line.fetch(self._identity(), document.digest, document.length, self._folder.path)

    async def keep_only(self, digests: frozenset[str]) -> None:
        """As the port says."""
        await asyncio.to_thread(self._folder.forget_all_but, digests)

    async def apply(self, name: str, digest: str) -> None:
        """As the port says."""
        path = await asyncio.to_thread(self._folder.find, digest) if digest else None
        if digest and path is None:
            raise StateError(f"the fleet's {name} is not on the disk any more", hint="it is fetched again")
        match name:
            case "policy":
                await self._caretaker.set_policy(await asyncio.to_thread(path.read_bytes) if path else b"")
            case "gazetteer":
                await self._caretaker.set_gazetteer(path)
            case _:
                raise RequestError(f"this device knows no {name}", hint="update homebred on it")
