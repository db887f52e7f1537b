"""The model store as installing uses it: each release in a slot of its own, one in force, none removed too soon.

Every byte that goes in was held against its signed digest. It decides nothing: what is activated and when is
`core.deployment`'s, and what must stay beyond what is in force is said by whoever removes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from typing_extensions import override

from homebred_daemon.adapters.blob_files import digest_of_file
from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.adapters.recipe_slots import holds, offered_to_build, put_together, signed_digest
from homebred_daemon.adapters.specialist_folder import read_folder
from homebred_daemon.adapters.specialist_offer import Offer, OfferReader
from homebred_daemon.adapters.stored_records import (
    BUILT_NAME,
    RECIPE_NAME,
    built_body,
    read_built,
    read_to_build,
    to_build_body,
)
from homebred_daemon.core.activation import BY_HAND, InForce, Slot
from homebred_daemon.core.builds import Built
from homebred_daemon.core.compatibility import Refusal, refusal_of_base
from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.releases import Release
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.errors import HomebredError, RequestError, StateError
from homebred_daemon.ports.building import BuiltForm
from homebred_protocol.documents.release_values import Recipe
from homebred_protocol.documents.specialist import Source, SpecialistManifest

DAMAGED = "damaged"
"""The code of bytes that are not the signed ones."""


def _unheard(step: str, done_bytes: int, total_bytes: int) -> None:
    """Progress that nobody watches."""


class ReleaseStore(ModelStore):
    """Fulfils `ports.installs.ReleaseStore`."""

    _adopts = True

    def take(self, folder: Path, release: Release) -> Refusal | None:
        """As the port says; what a kill leaves is taken out at the next opening, and the folder stays as it is."""
        if release.recipe is not None:
            return self._take_to_build(folder, release, release.recipe)
        slot = Slot(id=release.id, number=release.number)
        with self._failing_as_state_error():
            refusal = _damage_of_loose_files(folder, release)
            if refusal is not None:
                return refusal
            offer = self._offered(folder)
            if isinstance(offer, Refusal):
                return offer
            refusal = _difference(offer, release)
            if refusal is None:
                with self._writing():
                    self._take(offer, slot, _unheard, is_same=self._holds(offer, slot))
        return refusal

    def _offered(self, folder: Path) -> Offer | Refusal:
        """What a folder offers, as far as it can be used."""
        try:
            offers = OfferReader(self._blobs, memory_budget_bytes=self._memory_budget_bytes, progress=_unheard)
            return offers.of_folder(folder)
        except RequestError as error:
            return Refusal(code="unfit", sentence=error.message)

    def _take_to_build(self, folder: Path, release: Release, recipe: Recipe) -> Refusal | None:
        """Takes what a recipe builds of; the slot is whole once what comes out is there as well."""
        slot = Slot(id=release.id, number=release.number)
        with self._failing_as_state_error():
            refusal = _damage_of(folder, release, release.digests)
            if refusal is not None:
                return refusal
            try:
                read = read_folder(folder)
            except RequestError as error:
                return Refusal(code="unfit", sentence=error.message)
            parts = offered_to_build(folder, release, recipe, read.manifest, self._blobs)
            refusal = _contradiction(read.manifest, release) or (parts if isinstance(parts, Refusal) else None)
            if refusal is not None or isinstance(parts, Refusal):
                return refusal
            with self._writing():
                try:
                    for part in parts.all:
                        self._keep(part, _unheard)
                    files = {**read.files, RECIPE_NAME: to_build_body(parts.kept(self._kept))}
                    if not holds(self._reader.folder_of(slot), files):
                        self._place(slot, files)
                except BaseException:
                    self._remove_leftovers()
                    raise
                self._remove_unneeded_blobs()
        return None

    def inputs(self, release: Release) -> Sequence[Path] | None:
        """As the port says."""
        folder = self._reader.folder_of(Slot(id=release.id, number=release.number))
        with self._failing_as_state_error():
            try:
                to_build = read_to_build(folder)
            except StateError:
                return None
            if to_build is None or not all(map(self._reader.is_whole, to_build.blobs)):
                return None
            return [self._blobs.path(part.blob) for part in to_build.inputs]

    def take_built(self, release: Release, form: BuiltForm) -> Refusal | None:
        """As the port says; what is built stands in a folder of its own, in which it is put together."""
        slot = Slot(id=release.id, number=release.number)
        folder = self._reader.folder_of(slot)
        with self._failing_as_state_error():
            to_build = read_to_build(folder)
            if to_build is None or release.recipe is None:
                raise StateError(f"release {release.number} of {release.id} is not one that is being built")
            whole = put_together(folder, release.recipe, to_build, form.path, self._blobs)
            offer = self._offered(whole)
            if isinstance(offer, Refusal):
                return offer
            if form.built.digest not in {part.blob.digest for part in offer.parts}:
                raise StateError(f"what was built of {release.id} has changed", hint="nothing: it is built again")
            with self._writing():
                self._take(offer, slot, _unheard, is_same=False, further={BUILT_NAME: built_body(form.built)})
        return None

    def built(self, release: Release) -> Built | None:
        """As the port says."""
        if self.stored(release.id, release.number) is None:
            return None
        found = read_built(self._reader.folder_of(Slot(id=release.id, number=release.number)))
        return found if found.digest else None

    def stored(self, specialist_id: str, number: int) -> StoredSpecialist | None:
        """As the port says; of what was signed sizes are compared, not bytes."""
        slot = Slot(id=specialist_id, number=number)
        with self._failing_as_state_error():
            if not self._reader.folder_of(slot).is_dir():
                return None
            try:
                stored = self._reader.read(slot, self._reader.has_its_size)
            except HomebredError:
                return None
        return stored if stored.is_intact else None

    def golden_paths(self, release: Release) -> Mapping[str, Path]:
        """As the port says."""
        folder = self._reader.folder_of(Slot(id=release.id, number=release.number))
        return {demand.workflow: folder / demand.path for demand in release.golden}

    def in_force(self, specialist_id: str) -> InForce:
        """As the port says."""
        with self._failing_as_state_error():
            has_by_hand = self._reader.folder_of(Slot(id=specialist_id)).is_dir()
            return self._active.in_force(specialist_id, has_by_hand=has_by_hand)

    def activate(self, specialist_id: str, after: InForce) -> None:
        """As the port says."""
        with self._failing_as_state_error(), self._writing():
            self._active.activate(specialist_id, after)

    def settle(self, specialist_id: str, after: InForce) -> None:
        """As the port says."""
        if after.current is not None and after.current.number != BY_HAND:
            with self._failing_as_state_error(), self._writing():
                self._active.settle(specialist_id, after.current)

    def move_back(self, specialist_id: str) -> None:
        """As the port says: nothing but a rename, or the removal of a name."""
        with self._failing_as_state_error():
            self._active.move_back(specialist_id)

    def released(self) -> Mapping[str, Collection[int]]:
        """As the port says."""
        found: dict[str, list[int]] = {}
        with self._failing_as_state_error():
            found |= {specialist_id: [] for specialist_id in self._active.ids()}
            for slot in self._reader.slots():
                if slot.number != BY_HAND:
                    found.setdefault(slot.id, []).append(slot.number)
        return found

    def remove_release(self, specialist_id: str, number: int) -> int:
        """As the port says."""
        slot = Slot(id=specialist_id, number=number)
        if number == BY_HAND or number in self.in_force(specialist_id).needed:
            raise StateError(f"release {number} of {specialist_id} is in force, or what a rollback goes back to")
        with self._failing_as_state_error(), self._writing():
            return self._remove(slot) if self._reader.folder_of(slot).is_dir() else 0

    def record_release_fitness(self, stored: StoredSpecialist, measured: Mapping[str, Measurement]) -> None:
        """Keeps what the gate measured, beside the release. Raises StateError."""
        with self._failing_as_state_error(), self._writing():
            self._write_fitness(stored, measured)

    @override
    def _holds(self, offer: Offer, slot: Slot) -> bool:
        return self._reader.folder_of(slot).is_dir() and super()._holds(offer, slot)


def _damage_of_loose_files(folder: Path, release: Release) -> Refusal | None:
    """Of the manifest, golden sets and all else that is no part of base and adapter: those, the offer digests."""
    try:
        manifest = read_folder(folder).manifest
    except RequestError as error:
        return _damage_of(folder, release, release.digests) or Refusal(code="unfit", sentence=error.message)
    parts = [source for source in (manifest.base, manifest.adapter) if source is not None]
    loose = [path for path in release.digests if not any(_is_of(path, source) for source in parts)]
    return _damage_of(folder, release, loose) or _contradiction(manifest, release)


def _damage_of(folder: Path, release: Release, paths: Collection[str]) -> Refusal | None:
    for path in paths:
        if (
            not (folder / path).is_file()
            or digest_of_file(folder / path, "verifying", _unheard) != release.digests[path]
        ):
            return Refusal(code=DAMAGED, sentence=f"{path} is not what was signed")
    return None


def _is_of(path: str, source: Source) -> bool:
    """Whether a file is a part's own."""
    return path == source.file or bool(source.folder and path.startswith(f"{source.folder}/"))


def _contradiction(manifest: SpecialistManifest, release: Release) -> Refusal | None:
    """Where the specialist's own manifest is not the release's."""
    said = {name: (workflow.golden, workflow.scorer) for name, workflow in manifest.workflows.items()}
    stranger = next((each for each in release.golden if said.get(each.workflow) != (each.path, each.scorer)), None)
    if manifest.id != release.id:
        sentence = f"its specialist.toml is that of {manifest.id}"
    elif manifest.engine != release.constraints.engine:
        sentence = f"its specialist.toml names the engine {manifest.engine}, not {release.constraints.engine}"
    elif stranger is not None:
        sentence = f"its gate asks for {stranger.workflow} by {stranger.path}, and its specialist.toml does not"
    else:
        return None
    return Refusal(code="contradiction", sentence=sentence)


def _difference(offer: Offer, release: Release) -> Refusal | None:
    """Where base or adapter are not the signed ones."""
    manifest = offer.folder.manifest
    parts = [(manifest.base, offer.base)]
    if manifest.adapter is not None and offer.adapter is not None:
        parts.append((manifest.adapter, offer.adapter))
    for source, part in parts:
        if part.blob.digest != (source.digest or signed_digest(source, release)):
            return Refusal(code=DAMAGED, sentence=f"{source.file or source.folder} is not what was signed")
    return refusal_of_base(release.constraints, offer.base.blob.digest)
