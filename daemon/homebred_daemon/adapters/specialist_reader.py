"""Reads the specialists of a model store: their folders, what they run with, and which measurements still hold.

It changes nothing, and takes no lock: a writer puts each folder in place with one rename.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from homebred_daemon.adapters.activation_files import ActivationFiles
from homebred_daemon.adapters.blob_names import Progress
from homebred_daemon.adapters.blob_store import Blob, BlobStore
from homebred_daemon.adapters.specialist_folder import MANIFEST_NAME, read_manifest
from homebred_daemon.adapters.stored_records import Part, Parts, read_built, read_fitness, read_parts
from homebred_daemon.core.activation import BY_HAND, Slot, read_slot
from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.errors import RequestError, StateError
from homebred_protocol.documents.specialist import SpecialistManifest


class SpecialistReader:
    """The specialists below one folder."""

    def __init__(self, specialists: Path, blobs: BlobStore, active: ActivationFiles) -> None:
        self._specialists = specialists
        self._active = active
        self._blobs = blobs
        self._whole: dict[Blob, object] = {}
        """Fingerprints of blobs of which every byte was found whole."""

    def slots(self) -> list[Slot]:
        """Of all whose folders are there, damaged ones among them."""
        if not self._specialists.is_dir():
            return []
        found = [read_slot(path.name) for path in self._specialists.iterdir()]
        return sorted((slot for slot in found if slot is not None), key=lambda slot: (slot.id, slot.number))

    def ids(self) -> list[str]:
        """Of all that serve, damaged ones among them."""
        by_hand = {slot.id for slot in self.slots() if slot.number == BY_HAND}
        return sorted(by_hand | self._active.ids())

    def serving(self, specialist_id: str) -> Slot:
        """Where what serves as a specialist stands. Raises RequestError where nothing does."""
        if specialist_id not in self.ids():
            held = ", ".join(self.ids()) or "nothing"
            raise RequestError(f"the store has no specialist {specialist_id!r}", hint=f"it holds: {held}")
        return Slot(id=specialist_id, number=self._active.number(specialist_id))

    def folder_of(self, slot: Slot) -> Path:
        """Where a slot is, or would be."""
        return self._specialists / slot.name

    def read(self, slot: Slot, is_intact: Callable[[Part], bool], *, reads_built: bool = True) -> StoredSpecialist:
        """What is in a slot.

        Args:
            slot: which.
            is_intact: looks at each part that it runs with.
            reads_built: whether every byte of what was built here is read as well.

        Raises:
            RequestError, StateError: it is damaged.
        """
        folder = self.folder_of(slot)
        manifest = read_manifest(folder / MANIFEST_NAME)
        if manifest.id != slot.id:
            raise RequestError(f"{folder} holds the manifest of {manifest.id!r}")
        parts = read_parts(folder)
        base, adapter, built = parts.base, parts.adapter, read_built(folder).digest
        looks = self._looks_at_built(slot, parts, built, is_intact, reads_it=reads_built)
        if (adapter is None) != (manifest.adapter is None):
            raise RequestError(f"{folder} holds another adapter than its manifest names")
        adapter_digest = "" if adapter is None else adapter.blob.digest
        measured, note = _fitness(folder, manifest, base.blob.digest, adapter_digest)
        return StoredSpecialist(
            manifest=manifest,
            base_digest=base.blob.digest,
            base_bytes=base.size_bytes,
            base_path=str(self._blobs.path(base.blob)),
            base_is_intact=looks(base),
            kv_bytes_per_token=parts.figures.kv_bytes_per_token,
            trained_context=parts.figures.trained_context,
            gpu_architecture=parts.figures.gpu_architecture,
            adapter_digest=adapter_digest,
            adapter_bytes=0 if adapter is None else adapter.size_bytes,
            adapter_path="" if adapter is None else str(self._blobs.path(adapter.blob)),
            adapter_is_intact=adapter is None or looks(adapter),
            measurements=measured,
            note=note,
            release=slot.number,
            built=built,
        )

    def changed(self, digests: Collection[str]) -> frozenset[str]:
        """Of these, what was built here and is not, byte for byte, what it was then."""
        found = set()
        for folder in map(self.folder_of, self.slots()):
            with suppress(StateError):  # what cannot be read is damaged, and offered to nobody
                built = read_built(folder).digest
                parts = read_parts(folder).blobs if built in digests and built else ()
                found |= {blob.digest for blob in parts if blob.digest == built and not self._is_as_built(blob)}
        return frozenset(found)

    def has_its_size(self, part: Part) -> bool:
        """Whether a part is there as large as it was put in."""
        return self._blobs.size(part.blob) == part.size_bytes

    def has_all_bytes(self, progress: Progress) -> Callable[[Part], bool]:
        """Looks at every byte of a part; reads each blob once, however many specialists need it."""
        is_whole: dict[Blob, bool] = {}

        def look(part: Part) -> bool:
            if part.blob not in is_whole:
                is_whole[part.blob] = self._blobs.is_intact(part.blob, progress)
            return is_whole[part.blob]

        return look

    def is_whole(self, blob: Blob) -> bool:
        """Whether every byte is as its digest says; read again only where the disk's own times say it was touched.

        Raises OSError: it cannot be read.
        """
        try:
            fingerprint = self._blobs.fingerprint(blob)
        except FileNotFoundError:
            return False
        if self._whole.get(blob) != fingerprint:
            self._whole.pop(blob, None)
            if not self._blobs.is_intact(blob, lambda *_: None):
                return False
            self._whole[blob] = fingerprint
        return True

    def _looks_at_built(
        self, slot: Slot, parts: Parts, built: str, is_intact: Callable[[Part], bool], *, reads_it: bool
    ) -> Callable[[Part], bool]:
        """As `is_intact`; where it is to be read, every byte of what was built here: its digest alone holds it.

        Where an activation record names another form of the release than is there, nothing is intact.
        """
        named = self._active.built(slot.id, slot.number) if slot.number != BY_HAND else ""
        if not built and not named:
            return is_intact
        if named not in {"", built} or built not in {blob.digest for blob in parts.blobs}:
            return lambda _: False
        if not reads_it:
            return is_intact
        return lambda part: is_intact(part) and (part.blob.digest != built or self._is_as_built(part.blob))

    def _is_as_built(self, blob: Blob) -> bool:
        try:
            return self.is_whole(blob)
        except OSError:
            return False  # what cannot be read is offered to nobody


def _fitness(
    folder: Path, manifest: SpecialistManifest, base_digest: str, adapter_digest: str
) -> tuple[dict[str, Measurement], str]:
    """What was measured and still holds, and what a person should know of it."""
    again = f"run `homebred models evaluate {manifest.id}`"
    try:
        measured = read_fitness(folder)
    except StateError as error:
        return {}, f"{error.message}; {again}"
    valid = {name: each for name, each in measured.items() if each.holds_for(manifest, base_digest, adapter_digest)}
    return valid, "" if len(valid) == len(measured) else f"its manifest changed since it was measured; {again}"
