"""Has what the fleet wants on this device, and has it hold: policies by the way of any policy, gazetteers likewise.

The bytes of a policy are those of a signed target. Of a gazetteer the target is a manifest, and the list that it names
is fetched from the controller, which has it for this site alone. It checks nothing itself: who hands out what is signed
does, and the caretaker, and what is not valid here leaves everything as it was.
"""

from __future__ import annotations

import asyncio
import tomllib
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from homebred_daemon.core.fleet_messages import Document
from homebred_daemon.errors import RequestError, StateError
from homebred_daemon.inbound.caretaking import PolicyChange
from homebred_daemon.ports.fleet import DocumentFolder, ListLine, SignedDocuments
from homebred_protocol.documents.gazetteer_manifest import GazetteerManifest, read_gazetteer_manifest
from homebred_protocol.targets import Kind

_KINDS = MappingProxyType({"policy": Kind.POLICY, "gazetteer": Kind.GAZETTEER})


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
        signed: SignedDocuments,
        folder: DocumentFolder,
        lists: ListLine,
        caretaker: Caretaker,
    ) -> None:
        self._signed = signed
        self._folder = folder
        self._lists = lists
        self._caretaker = caretaker

    async def obtain(self, name: str, document: Document, *, stop_epoch: int) -> None:
        """As the port says; also of what is on the disk already, since that may be below the floor by now (I2)."""
        kind = _kind(name)
        body = await self._signed.document(kind, document.digest, stop_epoch=stop_epoch)
        await asyncio.to_thread(self._folder.keep, document.digest, body)
        if kind is Kind.GAZETTEER:
            await self._have_list(_manifest(body))

    async def keep_only(self, digests: frozenset[str]) -> None:
        """As the port says; the lists that manifests among them name stay, too."""
        await asyncio.to_thread(self._keep_only, digests)

    async def apply(self, name: str, digest: str) -> None:
        """As the port says."""
        kind = _kind(name)
        path = await asyncio.to_thread(self._must_find, name, digest) if digest else None
        if kind is Kind.POLICY:
            await self._caretaker.set_policy(await asyncio.to_thread(path.read_bytes) if path else b"")
        else:
            await self._caretaker.set_gazetteer(await asyncio.to_thread(self._list_of, path) if path else None)

    async def _have_list(self, manifest: GazetteerManifest) -> None:
        if await asyncio.to_thread(self._folder.find, manifest.digest) is None:
            await self._lists.fetch(manifest.digest, manifest.length, self._folder.path)

    def _keep_only(self, digests: frozenset[str]) -> None:
        lists = set()
        for path in filter(None, map(self._folder.find, digests)):
            with suppress(RequestError):  # a policy is no manifest
                lists.add(_manifest(path.read_bytes()).digest)
        self._folder.forget_all_but(digests | lists)

    def _list_of(self, manifest: Path) -> Path:
        return self._must_find("list of names", _manifest(manifest.read_bytes()).digest)

    def _must_find(self, name: str, digest: str) -> Path:
        path = self._folder.find(digest)
        if path is None:
            raise StateError(f"the fleet's {name} is not on the disk any more", hint="it is fetched again")
        return path


def _kind(name: str) -> Kind:
    kind = _KINDS.get(name)
    if kind is None:
        raise RequestError(f"this device knows no {name}", hint="update homebred on it")
    return kind


def _manifest(body: bytes) -> GazetteerManifest:
    """Raises RequestError: it is none."""
    try:
        return read_gazetteer_manifest(tomllib.loads(body.decode()))
    except (ValueError, RecursionError) as error:
        raise RequestError(
            f"the manifest of the gazetteer cannot be read: {error}",
            hint="make it with `homebred-fleet gazetteer add`, and have it signed under a higher number",
        ) from error
