"""What somebody offers to the model store, checked whole: its folder, its base model and adapter, and their digests.

What is truncated, wrong, too large for this machine or made for another base is refused here, before it is stored or
loaded, as far as heads and documents tell (`offered_models.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from homebred_daemon.adapters.blob_files import digest_of_file
from homebred_daemon.adapters.blob_folders import listing_of_folder, refuse_unfit_folder
from homebred_daemon.adapters.blob_names import Progress
from homebred_daemon.adapters.blob_store import Blob, BlobStore, Form
from homebred_daemon.adapters.offered_models import (
    Room,
    figures_of,
    look_at_adapter,
    look_at_base,
    look_at_gguf,
    refuse_changed_build,
)
from homebred_daemon.adapters.specialist_folder import (
    GENERALIST_CONTEXT_TOKENS,
    SpecialistFolder,
    generalist,
    read_folder,
)
from homebred_daemon.adapters.stored_records import Figures
from homebred_daemon.errors import RequestError
from homebred_protocol.digests import digest_of_listing
from homebred_protocol.documents.specialist import Source, SpecialistManifest


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedPart:
    """A base model or an adapter that may go into the store."""

    blob: Blob
    source: Path | None
    """Where to copy it from; None: the store has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A specialist that may go into the store."""

    folder: SpecialistFolder
    base: OfferedPart
    figures: Figures
    """Of the base."""
    adapter: OfferedPart | None
    """None: it runs on its base alone."""

    @property
    def parts(self) -> tuple[OfferedPart, ...]:
        """What has to be kept beside its folder: the base, then the adapter."""
        return (self.base,) if self.adapter is None else (self.base, self.adapter)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Where something that a manifest names is."""

    path: Path
    blob: Blob | None
    """None: it is not in the store, or not known to be."""


class OfferReader:
    """Reads offers to one store."""

    def __init__(self, blobs: BlobStore, *, memory_budget_bytes: int, progress: Progress) -> None:
        """`memory_budget_bytes` is what a model may take when loaded."""
        self._blobs = blobs
        self._memory_budget_bytes = memory_budget_bytes
        self._progress = progress

    def of_file(self, model_file: Path, specialist_id: str) -> Offer:
        """A bare GGUF file, as a generalist. Raises RequestError."""
        room = Room(context_tokens=GENERALIST_CONTEXT_TOKENS, size_bytes=self._memory_budget_bytes)
        facts = look_at_gguf(model_file, room)
        base = self._part(_Found(path=model_file, blob=None))
        folder = generalist(model_file, facts, base.blob.digest, specialist_id)
        return Offer(folder=folder, base=base, figures=figures_of(facts), adapter=None)

    def of_folder(self, folder: Path) -> Offer:
        """A specialist's folder. Raises RequestError."""
        read = read_folder(folder)
        manifest = read.manifest
        found_adapter = self._adapter(folder, manifest)
        found_base = self._base(folder, manifest)
        room = Room(
            context_tokens=manifest.max_context or GENERALIST_CONTEXT_TOKENS,
            size_bytes=self._memory_budget_bytes,
            adapter_bytes=found_adapter.path.stat().st_size if found_adapter is not None else 0,
        )
        looked_at = look_at_base(manifest.engine, found_base.path, room)
        base = self._part(found_base)
        if manifest.base.digest not in ("", base.blob.digest):
            raise RequestError(
                f"{found_base.path} has the digest {base.blob.digest}, and the manifest names {manifest.base.digest}",
                hint="put the right file beside the manifest, or correct [base]",
            )
        adapter = None
        if found_adapter is not None:
            look_at_adapter(manifest.engine, found_adapter.path, looked_at, base.blob.digest)
            adapter = self._part(found_adapter)
        return Offer(folder=read, base=base, figures=looked_at.figures, adapter=adapter)

    def _base(self, folder: Path, manifest: SpecialistManifest) -> _Found:
        found = self._found(folder, manifest.base, "base model")
        if found is not None:
            return found
        adapter_file = manifest.adapter.file if manifest.adapter is not None else ""
        beside = sorted(path for path in folder.glob("*.gguf") if path.name != adapter_file)
        if len(beside) != 1:
            raise RequestError(
                f"the store does not hold the base model of {manifest.id}, {manifest.base.digest}",
                hint="add the model's GGUF file first, or put it, and no other, beside the manifest",
            )
        return _Found(path=beside[0], blob=None)

    def _adapter(self, folder: Path, manifest: SpecialistManifest) -> _Found | None:
        if manifest.adapter is None:
            return None
        found = self._found(folder, manifest.adapter, "adapter")
        if found is None:
            raise RequestError(
                f"the store does not hold the adapter of {manifest.id}, {manifest.adapter.digest}",
                hint="put it beside the manifest, and name its file or folder under [adapter]",
            )
        return found

    def _found(self, folder: Path, source: Source, what: str) -> _Found | None:
        """What the manifest names, beside it or in the store; None: the store has no such digest."""
        if source.digest:
            blob = self._blobs.find(source.digest, self._progress)
            return None if blob is None else _Found(path=self._blobs.path(blob), blob=blob)
        path = folder / (source.file or source.folder)
        if not (path.is_file() if source.file else path.is_dir() and not path.is_symlink()):
            raise RequestError(
                f"{path} is not there, and the manifest names it as its {what}",
                hint=f"put the {what}'s {'file' if source.file else 'folder'} beside the manifest",
            )
        if source.folder:
            with _reading(path):
                refuse_unfit_folder(path)  # before anything in it is opened: a pipe would keep its reader for ever
        return _Found(path=path, blob=None)

    def _part(self, found: _Found) -> OfferedPart:
        if found.blob is not None:
            return OfferedPart(blob=found.blob, source=None)
        with _reading(found.path):
            return OfferedPart(blob=self._blob(found.path), source=found.path)

    def _blob(self, path: Path) -> Blob:
        if not path.is_dir():
            return Blob(Form.FILE, digest_of_file(path, "reading", self._progress))
        listing = listing_of_folder(path, "reading", self._progress)
        refuse_changed_build(path, {name: digest for name, digest, _ in listing})
        return Blob(Form.FOLDER, digest_of_listing(listing))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RequestError(
            f"{error.filename or path} cannot be read: {error.strerror}", hint="check that it is there and may be read"
        ) from None
