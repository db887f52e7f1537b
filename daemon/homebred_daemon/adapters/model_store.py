"""The specialists, base models and adapters on this device's disk.

    blobs/                      files and folders of models and adapters, each once, however many specialists need it
    specialists/<id>/           specialist.toml and golden sets as they were added, base.json and adapter.json (which
                                blob, how large), fitness.json (what was measured)
    specialists/<id>@<number>/  the same of a release; `serving/` says which of them serves (activation_files.py)

After a kill at any moment a specialist is there as a whole or not at all, and the next opening removes what is left. It
loads no model and measures nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from homebred_daemon.adapters.activation_files import ActivationFiles
from homebred_daemon.adapters.blob_names import Progress
from homebred_daemon.adapters.blob_store import BlobStore
from homebred_daemon.adapters.durable_files import (
    LEFTOVER_PREFIX,
    flush_folder,
    make_folder,
    replace_durably,
    write_flushed,
    writers_lock,
)
from homebred_daemon.adapters.specialist_folder import read_folder
from homebred_daemon.adapters.specialist_offer import Offer, OfferedPart, OfferReader
from homebred_daemon.adapters.specialist_reader import SpecialistReader
from homebred_daemon.adapters.stored_records import (
    FITNESS_NAME,
    Part,
    Parts,
    fitness_body,
    needed_blobs,
    parts_files,
    read_parts,
)
from homebred_daemon.core.activation import BY_HAND, Slot
from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.shelf import DamagedSpecialist, Shelf, StoredSpecialist, registry_document
from homebred_daemon.errors import HomebredError, RequestError, StateError

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
    """Of the base model and the adapter, where no other specialist needs them."""


def _unheard(step: str, done_bytes: int, total_bytes: int) -> None:
    """Progress that nobody watches."""


class ModelStore:
    """One store; any number of readers and writers in any number of processes."""

    _adopts = False
    """Whether what is offered is this product's own, so that it need not be copied."""

    def __init__(self, root: Path, *, memory_budget_bytes: int = 0) -> None:
        """`memory_budget_bytes` is what a model may take when loaded; 0: all that the machine has."""
        self._lock_path = root / ".lock"
        self._specialists = root / "specialists"
        self._blobs = BlobStore(root / "blobs")
        self._active = ActivationFiles(root / "serving")
        self._reader = SpecialistReader(self._specialists, self._blobs, self._active)
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
        slot = Slot(id=offer.folder.manifest.id)
        with self._failing_as_state_error(), self._writing():
            _refuse_released(Slot(id=slot.id, number=self._active.number(slot.id)))
            is_there = self._reader.folder_of(slot).exists()
            is_same = is_there and self._holds(offer, slot)
            if is_there and not is_same and not replaces:
                raise RequestError(
                    f"the store holds another specialist {slot.id!r}",
                    hint="replace it with --replace, or give this one another id",
                )
            self._take(offer, slot, progress, is_same=is_same)
        change = "unchanged" if is_same else "replaced" if is_there else "added"
        return Addition(specialist=self.get(slot.id), change=change)

    def remove(self, specialist_id: str) -> Removal:
        """Takes a specialist out, and its base model and adapter where no other needs them.

        Raises:
            RequestError: it is not there.
            StateError: the store cannot be written.
        """
        with self._failing_as_state_error(), self._writing():
            slot = self._reader.serving(specialist_id)
            _refuse_released(slot)
            return Removal(id=specialist_id, freed_bytes=self._remove(slot))

    def contents(self, *, verifies: bool = False, progress: Progress = _unheard) -> Shelf:
        """All specialists by id; `verifies` reads every byte of what they run on, else only sizes are compared.

        A start waits for this, so that it must not take as long as the disk needs for models: `changed` reads what was
        built here before an engine loads it.
        """
        specialists, damaged = [], []
        is_intact = self._reader.has_all_bytes(progress) if verifies else self._reader.has_its_size
        with self._failing_as_state_error():
            for name in self._reader.ids():
                try:
                    slot = self._reader.serving(name)
                    specialists.append(self._reader.read(slot, is_intact, reads_built=False))
                except HomebredError as error:
                    if name in self._reader.ids():  # else it was just removed
                        damaged.append(DamagedSpecialist(id=name, why=error.message))
        return Shelf(specialists=tuple(specialists), damaged=tuple(damaged))

    def get(self, specialist_id: str) -> StoredSpecialist:
        """One specialist.

        Raises:
            RequestError: it is not there.
            StateError: its files are damaged.
        """
        with self._failing_as_state_error():
            slot = self._reader.serving(specialist_id)
            try:
                return self._reader.read(slot, self._reader.has_its_size)
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
        return self._reader.folder_of(self._reader.serving(specialist_id)) / workflows[workflow].golden

    def record_fitness(self, specialist_id: str, measurements: Mapping[str, Measurement]) -> None:
        """Keeps what was measured, by workflow; other workflows keep what they have.

        Raises:
            RequestError: the specialist is not there.
            StateError: it is no longer the one that was measured, or the store cannot be written.
        """
        with self._failing_as_state_error(), self._writing():
            stored = self.get(specialist_id)
            versions = (stored.manifest, stored.base_digest, stored.adapter_digest)
            if not all(each.holds_for(*versions) for each in measurements.values()):
                raise StateError(
                    f"{specialist_id} was replaced while it was measured; nothing was kept", hint="evaluate it again"
                )
            self._write_fitness(stored, measurements)

    def changed(self, digests: Collection[str]) -> frozenset[str]:
        """Of these, what was built here and has been changed since; every byte of what was built is looked at."""
        with self._failing_as_state_error():
            return self._reader.changed(digests)

    def registry_document(self) -> dict[str, Any]:
        """The registry that the router reads, of all that can be read here."""
        return registry_document(self.contents())

    def _offer(self, source: Path, specialist_id: str, progress: Progress) -> Offer:
        offers = OfferReader(self._blobs, memory_budget_bytes=self._memory_budget_bytes, progress=progress)
        if source.is_file():
            return offers.of_file(source, specialist_id)
        if not source.is_dir():
            raise RequestError(f"{source} is neither a file nor a folder", hint="name a .gguf file or a folder")
        if specialist_id:
            raise RequestError(f"{source} is a folder, and its manifest says its id", hint="leave --id out")
        return offers.of_folder(source)

    def _take(
        self,
        offer: Offer,
        slot: Slot,
        progress: Progress,
        *,
        is_same: bool,
        further: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """Puts an offer into its slot, with `further` records; the writers' lock is held."""
        try:
            for part in offer.parts:
                self._keep(part, progress)
            if not is_same:
                self._place(slot, {**offer.folder.files, **parts_files(self._parts_of(offer)), **further})
        except BaseException:
            self._remove_leftovers()
            raise
        self._remove_unneeded_blobs()

    def _remove(self, slot: Slot) -> int:
        """Bytes freed."""
        gone = self._specialists / f"{_REMOVED_PREFIX}{slot.name}"
        self._reader.folder_of(slot).rename(gone)
        flush_folder(self._specialists)
        shutil.rmtree(gone)
        return self._remove_unneeded_blobs()

    def _write_fitness(self, stored: StoredSpecialist, measurements: Mapping[str, Measurement]) -> None:
        folder = self._reader.folder_of(Slot(id=stored.manifest.id, number=stored.release))
        body = fitness_body({**stored.measurements, **measurements})
        replace_durably(folder / FITNESS_NAME, body, aside=self._specialists)

    def _holds(self, offer: Offer, slot: Slot) -> bool:
        """Whether a slot has exactly this specialist; the bytes of its base and adapter are another matter."""
        folder = self._reader.folder_of(slot)
        try:
            is_same_folder = read_folder(folder).files == offer.folder.files
            return is_same_folder and read_parts(folder).blobs == tuple(part.blob for part in offer.parts)
        except HomebredError:
            return False  # damaged: whatever it was, it is not this

    def _keep(self, part: OfferedPart, progress: Progress) -> None:
        if part.source is not None and not self._blobs.is_intact(part.blob, progress):
            put_in = self._blobs.adopt if self._adopts else self._blobs.add
            put_in(part.source, part.blob, progress)

    def _kept(self, part: OfferedPart) -> Part:
        size_bytes = self._blobs.size(part.blob)
        if size_bytes is None:
            raise RequestError(f"{part.blob.digest} was just removed from the store", hint="add its files again")
        return Part(blob=part.blob, size_bytes=size_bytes)

    def _parts_of(self, offer: Offer) -> Parts:
        return Parts(
            base=self._kept(offer.base),
            figures=offer.figures,
            adapter=None if offer.adapter is None else self._kept(offer.adapter),
        )

    def _place(self, slot: Slot, files: Mapping[str, bytes]) -> None:
        """Puts a slot's folder in place with one rename; an older one of its name steps aside first."""
        target = self._reader.folder_of(slot)
        old = self._specialists / f"{_REPLACED_PREFIX}{target.name}"
        new = self._written_aside(files)
        if target.exists():
            target.rename(old)
        new.rename(target)
        flush_folder(self._specialists)
        shutil.rmtree(old, ignore_errors=True)

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
            folders = map(self._reader.folder_of, self._reader.slots())
            needed = {blob for folder in folders for blob in needed_blobs(folder)}
        except StateError:
            return 0
        return self._blobs.remove_all_but(needed)

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


def _refuse_released(serving: Slot) -> None:
    """What an administrator does by hand would be without effect, or pull the ground from under a release."""
    if serving.number != BY_HAND:
        raise RequestError(
            f"{serving.id} is served from release {serving.number}, which the fleet's controller assigned",
            hint=f"have it withdrawn there, or use another id; `homebred models why {serving.id}` tells of it",
        )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
