"""The specialists and base models on this device's disk.

    blobs/sha256/<hex>          model files, each once, however many specialists run on it
    specialists/<id>/           specialist.toml and golden sets as they were added,
                                base.json (which blob, how large), fitness.json (what was measured)

After a kill at any moment a specialist is there as a whole or not at all, and the next opening removes what is left. It
loads no model and measures nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from homebred_daemon.adapters.blob_store import BlobStore, Progress
from homebred_daemon.adapters.durable_files import (
    LEFTOVER_PREFIX,
    flush_folder,
    make_folder,
    replace_durably,
    write_flushed,
    writers_lock,
)
from homebred_daemon.adapters.specialist_folder import MANIFEST_NAME, read_folder, read_manifest
from homebred_daemon.adapters.specialist_offer import Offer, offer_of_file, offer_of_folder
from homebred_daemon.adapters.stored_records import (
    BASE_NAME,
    FITNESS_NAME,
    Base,
    base_body,
    fitness_body,
    read_base,
    read_fitness,
)
from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.shelf import DamagedSpecialist, Shelf, StoredSpecialist, registry_document
from homebred_daemon.errors import HomebredError, RequestError, StateError
from homebred_protocol.documents.specialist import is_specialist_id

LOCK_WAIT_S = 300.0  # another writer may be copying a large model
_REPLACED_PREFIX = ".old-"
_REMOVED_PREFIX = ".gone-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """What an `add` did."""

    specialist: StoredSpecialist
    change: str
    """`added`, `replaced`, or `unchanged`: the very same was there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What a `remove` did."""

    id: str
    freed_bytes: int
    """Of base models that no other specialist needs."""


def _unheard(step: str, done_bytes: int, total_bytes: int) -> None:
    """Progress that nobody watches."""


class ModelStore:
    """One store; any number of readers and writers in any number of processes."""

    def __init__(self, root: Path, *, memory_budget_bytes: int = 0) -> None:
        """`memory_budget_bytes` is what a model may take when loaded; 0: all that the machine has."""
        self._lock_path = root / ".lock"
        self._specialists = root / "specialists"
        self._blobs = BlobStore(root / "blobs")
        self._memory_budget_bytes = memory_budget_bytes or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if self._specialists.is_dir():
            # A reader without the right to write leaves it to the next writer, and so does one beside a writer at
            # work: what looks like a leftover then is none.
            with contextlib.suppress(OSError), writers_lock(self._lock_path, wait_s=0) as is_ours:
                if is_ours:
                    self._remove_leftovers()

    def add(
        self, source: Path, *, specialist_id: str = "", replaces: bool = False, progress: Progress = _unheard
    ) -> Addition:
        """Takes in a GGUF file or a specialist's folder.

        Args:
            source: the file, or the folder with its `specialist.toml`.
            specialist_id: a name for a file's specialist; a folder's manifest says its own.
            replaces: whether another specialist of the same id gives way, its fitness with it.
            progress: hears of the bytes gone through.

        Raises:
            RequestError: what is offered cannot be used; the store is as it was.
            StateError: the store cannot be written; it is as it was.
        """
        offer = self._offer(source, specialist_id, progress)
        name = offer.folder.manifest.id
        with self._failing_as_state_error(), self._writing():
            is_there = (self._specialists / name).exists()
            is_same = is_there and self._holds(offer)
            if is_there and not is_same and not replaces:
                raise RequestError(
                    f"the store holds another specialist {name!r}",
                    hint="replace it with --replace, or give this one another id",
                )
            self._keep_base(offer, progress)
            if not is_same:
                self._place(offer)
                self._remove_unneeded_blobs()
        change = "unchanged" if is_same else "replaced" if is_there else "added"
        return Addition(specialist=self.get(name), change=change)

    def remove(self, specialist_id: str) -> Removal:
        """Takes a specialist out, and its base model where no other needs it.

        Raises:
            RequestError: it is not there.
            StateError: the store cannot be written.
        """
        with self._failing_as_state_error(), self._writing():
            folder = self._folder_of(specialist_id)
            gone = self._specialists / f"{_REMOVED_PREFIX}{specialist_id}"
            folder.rename(gone)
            flush_folder(self._specialists)
            shutil.rmtree(gone)
            return Removal(id=specialist_id, freed_bytes=self._remove_unneeded_blobs())

    def contents(self, *, verifies: bool = False, progress: Progress = _unheard) -> Shelf:
        """All specialists by id; `verifies` reads every byte of their bases, else only sizes are compared."""
        specialists, damaged = [], []
        is_whole: dict[str, bool] = {}  # by base
        with self._failing_as_state_error():
            for name in self._ids():
                try:
                    stored = self._read(name)
                except HomebredError as error:
                    if (self._specialists / name).exists():  # else it was just removed
                        damaged.append(DamagedSpecialist(id=name, why=error.message))
                    continue
                digest = stored.base_digest
                if verifies and stored.base_is_intact and digest not in is_whole:
                    is_whole[digest] = self._blobs.is_intact(digest, progress)
                is_intact = stored.base_is_intact and is_whole.get(digest, True)
                specialists.append(replace(stored, base_is_intact=is_intact))
        return Shelf(specialists=tuple(specialists), damaged=tuple(damaged))

    def get(self, specialist_id: str) -> StoredSpecialist:
        """One specialist.

        Raises:
            RequestError: it is not there.
            StateError: its files are damaged.
        """
        with self._failing_as_state_error():
            self._folder_of(specialist_id)
            try:
                return self._read(specialist_id)
            except HomebredError as error:
                raise StateError(error.message, hint=f"add {specialist_id} again with --replace") from None

    def golden_path(self, specialist_id: str, workflow: str) -> Path:
        """Where the golden set that the manifest names for a workflow stands.

        Raises:
            RequestError: no such specialist, workflow or golden set.
        """
        workflows = self.get(specialist_id).manifest.workflows
        if workflow not in workflows:
            raise RequestError(
                f"{specialist_id} has no workflow {workflow!r}", hint=f"name one of: {', '.join(sorted(workflows))}"
            )
        if not workflows[workflow].golden:
            raise RequestError(
                f"{specialist_id} brings no golden set for {workflow!r}", hint="name a file with --golden"
            )
        return self._specialists / specialist_id / workflows[workflow].golden

    def record_fitness(self, specialist_id: str, measurements: Mapping[str, Measurement]) -> None:
        """Keeps what was measured, by workflow; other workflows keep what they have.

        Raises:
            RequestError: the specialist is not there.
            StateError: it is no longer the one that was measured, or the store cannot be written.
        """
        with self._failing_as_state_error(), self._writing():
            stored = self.get(specialist_id)
            if not all(each.holds_for(stored.manifest, stored.base_digest) for each in measurements.values()):
                raise StateError(
                    f"{specialist_id} was replaced while it was measured; nothing was kept", hint="evaluate it again"
                )
            body = fitness_body({**stored.measurements, **measurements})
            replace_durably(self._specialists / specialist_id / FITNESS_NAME, body, aside=self._specialists)

    def registry_document(self) -> dict[str, Any]:
        """The registry that the router reads, of all that can be read here."""
        return registry_document(self.contents())

    def _offer(self, source: Path, specialist_id: str, progress: Progress) -> Offer:
        if source.is_file():
            return offer_of_file(source, specialist_id, self._memory_budget_bytes, progress)
        if not source.is_dir():
            raise RequestError(f"{source} is neither a file nor a folder", hint="name a .gguf file or a folder")
        if specialist_id:
            raise RequestError(f"{source} is a folder, and its manifest says its id", hint="leave --id out")
        return offer_of_folder(
            source,
            self._memory_budget_bytes,
            has_base=lambda digest: self._blobs.is_intact(digest, progress),
            progress=progress,
        )

    def _holds(self, offer: Offer) -> bool:
        """Whether the store has exactly this specialist; its base's bytes are another matter."""
        folder = self._specialists / offer.folder.manifest.id
        try:
            return read_folder(folder).files == offer.folder.files and read_base(folder).digest == offer.base_digest
        except HomebredError:
            return False  # damaged: whatever it was, it is not this

    def _keep_base(self, offer: Offer, progress: Progress) -> None:
        if offer.base_file is not None and not self._blobs.is_intact(offer.base_digest, progress):
            self._blobs.add(offer.base_file, offer.base_digest, progress)

    def _place(self, offer: Offer) -> None:
        """Puts the folder in place with one rename; an older one of its id steps aside first."""
        target = self._specialists / offer.folder.manifest.id
        old = self._specialists / f"{_REPLACED_PREFIX}{target.name}"
        size_bytes = self._blobs.size(offer.base_digest)
        if size_bytes is None:
            raise RequestError(f"the base model {offer.base_digest} was just removed", hint="add its GGUF file again")
        base = Base(digest=offer.base_digest, size_bytes=size_bytes)
        try:
            new = self._written_aside({**offer.folder.files, BASE_NAME: base_body(base)})
            if target.exists():
                target.rename(old)
            new.rename(target)
            flush_folder(self._specialists)
            shutil.rmtree(old, ignore_errors=True)
        except BaseException:
            self._remove_leftovers()
            raise

    def _written_aside(self, files: Mapping[str, bytes]) -> Path:
        new = Path(tempfile.mkdtemp(prefix=LEFTOVER_PREFIX, dir=self._specialists))
        new.chmod(0o755)  # mkdtemp's 0700 would hide it from the daemon's own user
        for name, body in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            write_flushed(new / name, body)
        for folder in (new, *(path for path in new.rglob("*") if path.is_dir())):
            flush_folder(folder)
        return new

    @contextmanager
    def _writing(self) -> Iterator[None]:
        make_folder(self._specialists)
        with writers_lock(self._lock_path, wait_s=LOCK_WAIT_S) as is_ours:
            if not is_ours:
                raise StateError(
                    f"another process has been changing the model store for over {LOCK_WAIT_S:g} s",
                    hint="try again when it is done",
                )
            self._remove_leftovers()
            yield

    def _remove_leftovers(self) -> None:
        """Undoes what a killed writer left unfinished; the writers' lock is held."""
        replaced = list(self._specialists.glob(f"{_REPLACED_PREFIX}*"))
        for old in replaced:
            target = self._specialists / old.name.removeprefix(_REPLACED_PREFIX)
            if not target.exists():
                old.rename(target)
        if replaced:
            flush_folder(self._specialists)  # else a power cut could bring back the old one, half removed
        for path in list(self._specialists.iterdir()):
            if path.name.startswith((LEFTOVER_PREFIX, _REPLACED_PREFIX, _REMOVED_PREFIX)):
                _remove(path)
        self._blobs.remove_leftovers()
        self._remove_unneeded_blobs()

    def _remove_unneeded_blobs(self) -> int:
        """Bytes freed. Nothing is removed while a damaged specialist might need it."""
        try:
            needed = {read_base(self._specialists / name).digest for name in self._ids()}
        except StateError:
            return 0
        freed_bytes = 0
        for digest in list(self._blobs.digests()):
            if digest not in needed:
                freed_bytes += self._blobs.size(digest) or 0
                self._blobs.remove(digest)
        return freed_bytes

    def _ids(self) -> list[str]:
        if not self._specialists.is_dir():
            return []
        return sorted(path.name for path in self._specialists.iterdir() if is_specialist_id(path.name))

    def _folder_of(self, specialist_id: str) -> Path:
        """Raises RequestError where there is none."""
        if specialist_id not in self._ids():
            held = ", ".join(self._ids()) or "nothing"
            raise RequestError(f"the store has no specialist {specialist_id!r}", hint=f"it holds: {held}")
        return self._specialists / specialist_id

    def _read(self, specialist_id: str) -> StoredSpecialist:
        folder = self._specialists / specialist_id
        manifest = read_manifest(folder / MANIFEST_NAME)
        if manifest.id != specialist_id:
            raise RequestError(f"{folder} holds the manifest of {manifest.id!r}")
        base = read_base(folder)
        again = f"run `homebred models evaluate {specialist_id}`"
        try:
            measured, note = read_fitness(folder), ""
        except StateError as error:
            measured, note = {}, f"{error.message}; {again}"
        valid = {name: each for name, each in measured.items() if each.holds_for(manifest, base.digest)}
        if len(valid) < len(measured):
            note = f"its manifest changed since it was measured; {again}"
        return StoredSpecialist(
            manifest=manifest,
            base_digest=base.digest,
            base_bytes=base.size_bytes,
            base_path=str(self._blobs.path(base.digest)),
            base_is_intact=self._blobs.size(base.digest) == base.size_bytes,
            measurements=valid,
            note=note,
        )

    @contextmanager
    def _failing_as_state_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(
                f"the model store {self._specialists.parent} cannot be used: {error.strerror or error}"
                + (f" ({error.filename})" if error.filename else ""),
                hint="check that its folder exists, may be written by you and has room on its disk",
            ) from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
