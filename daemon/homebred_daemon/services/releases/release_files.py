"""The files of trusted releases, for installing: fetched, put together in a folder, and taken away again.

A release's manifest says which frames its files have; it is kept on the disk as it was trusted, so that a restart goes
on without anybody. It trusts nothing itself, and installs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.releases import Release
from homebred_daemon.core.transfer import WantedFile
from homebred_daemon.errors import FleetError, HomebredError
from homebred_daemon.ports.fleet import DocumentFolder
from homebred_daemon.ports.transfer import Assembly, Progress, Staging
from homebred_daemon.services.background import caught
from homebred_daemon.services.releases.fetching import Fetching
from homebred_daemon.services.releases.release_sources import ReleaseSources
from homebred_protocol.documents.release import read_release

T = TypeVar("T")


class TransferredFiles:
    """Fulfils `ports.installs.ReleaseFiles`. One event loop."""

    def __init__(
        self,
        manifests: DocumentFolder,
        fetching: Fetching,
        staging: Staging,
        assembly: Assembly,
        *,
        sources: ReleaseSources,
        held: Callable[[str], Path],
    ) -> None:
        """Fetches for one device.

        Args:
            manifests: where manifests lie by their digest.
            fetching: who fetches.
            staging: where files wait until they are whole.
            assembly: where folders of them are.
            sources: who gives files; others once they change, also for a transfer that is under way.
            held: where the model store has a file of a digest that it holds.
        """
        self._manifests = manifests
        self._fetching = fetching
        self._staging = staging
        self._assembly = assembly
        self._sources = sources
        self._held = held
        self._expected: set[str] = set()
        """Manifests that were just kept for an install that is about to begin."""
        self._gone: set[str] = set()
        """Releases whose files were discarded by this process."""
        self.progress: dict[str, Progress] = {}
        """How far each transfer is, by the release's digest."""

    async def keep(self, digest: str, body: bytes) -> None:
        """Keeps a trusted manifest, for as long as its files are wanted. Raises StateError."""
        self._expected.add(digest)
        self._gone.discard(digest)
        await asyncio.to_thread(self._manifests.keep, digest, body)

    async def has_manifest(self, digest: str) -> bool:
        """Whether a release's files can be fetched. Raises StateError."""
        return await asyncio.to_thread(self._manifests.find, digest) is not None

    async def fetch(self, release: Release) -> Path | Refusal:
        """As the port says."""
        wanted = await self._wanted(release)
        if not wanted:
            raise FleetError("a release's manifest is not on the disk any more", hint="nothing: it is taken once more")
        self._gone.discard(release.digest)
        try:
            fetched = await self._fetched(release.digest, wanted)
        finally:
            self.progress.pop(release.digest, None)
        places = {file.path: fetched.get(file.digest) or self._held(file.digest) for file in wanted}
        return await asyncio.to_thread(self._assembly.assemble, _name(release), places)

    async def _fetched(self, digest: str, wanted: Sequence[WantedFile]) -> dict[str, Path]:
        """A transfer that waits for nobody who could answer goes on with whoever came meanwhile."""
        while True:
            changed = self._sources.change()
            fetch = self._fetching.fetch(
                wanted, self._sources.of(digest), lambda progress: self.progress.__setitem__(digest, progress)
            )
            fetched = await _unless(changed, fetch)
            if fetched is not None:
                return fetched

    async def discard(self, release: Release) -> None:
        """As the port says."""
        if release.digest in self._gone:
            return
        wanted = await self._wanted(release)
        await asyncio.to_thread(self._assembly.remove, _name(release))
        await asyncio.to_thread(self._staging.forget, frozenset(file.digest for file in wanted))
        self._expected.discard(release.digest)
        self._gone.add(release.digest)

    async def keep_only(self, wanted: Collection[Release]) -> None:
        """As the port says."""
        digests = frozenset(release.digest for release in wanted) | self._expected
        files = [file for release in wanted for file in await self._wanted(release)]
        await asyncio.to_thread(self._assembly.remove_all_but, frozenset(map(_name, wanted)))
        await asyncio.to_thread(self._staging.forget_all_but, frozenset(file.digest for file in files))
        await asyncio.to_thread(self._manifests.forget_all_but, digests)

    async def _wanted(self, release: Release) -> tuple[WantedFile, ...]:
        """The files with their frames; none where the manifest is not here."""
        path = await asyncio.to_thread(self._manifests.find, release.digest)
        if path is None:
            return ()
        manifest = read_release(await asyncio.to_thread(path.read_bytes))
        return tuple(
            WantedFile(path=one.path, length=one.length, digest=one.digest, frames=one.frames) for one in manifest.files
        )


def _name(release: Release) -> str:
    return release.digest.removeprefix("sha256:")


async def _unless(changed: asyncio.Event, act: Coroutine[Any, Any, T]) -> T | None:
    """What an act gives; None: something has changed before it ended, and it was broken off. Raises what it raises."""
    async with asyncio.TaskGroup() as group:
        doing, woken = group.create_task(caught(act)), group.create_task(changed.wait())
        await asyncio.wait([doing, woken], return_when=asyncio.FIRST_COMPLETED)
        woken.cancel()
        if not doing.done():
            doing.cancel()
            await asyncio.wait([doing])
    if doing.cancelled():
        return None
    result = doing.result()
    if isinstance(result, HomebredError):
        raise result
    return result
