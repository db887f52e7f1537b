"""What the slot of a release holds that is built here: what its recipe builds of, before; all that it serves, after.

It looks up which of a release's files are meant, and puts links to blobs together; what is taken and when is the
release store's affair.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from homebred_daemon.adapters.blob_store import Blob, BlobStore, Form
from homebred_daemon.adapters.specialist_folder import read_folder
from homebred_daemon.adapters.specialist_offer import OfferedPart
from homebred_daemon.adapters.stored_records import Part, ToBuild
from homebred_daemon.core.compatibility import Refusal, refusal_of_base
from homebred_daemon.core.releases import Release
from homebred_protocol.digests import digest_of_listing
from homebred_protocol.documents.release_values import Recipe
from homebred_protocol.documents.specialist import Source, SpecialistManifest

ADAPTER = "adapter"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedToBuild:
    """What a release brings, or the store has, for its build."""

    inputs: tuple[OfferedPart, ...]
    beside: OfferedPart | None

    @property
    def all(self) -> tuple[OfferedPart, ...]:
        """All that has to be kept."""
        return (*self.inputs, *filter(None, [self.beside]))

    def kept(self, part_of: Callable[[OfferedPart], Part]) -> ToBuild:
        """The same, once the store has it."""
        beside = None if self.beside is None else part_of(self.beside)
        return ToBuild(inputs=tuple(map(part_of, self.inputs)), beside=beside)


def offered_to_build(
    folder: Path, release: Release, recipe: Recipe, manifest: SpecialistManifest, blobs: BlobStore
) -> OfferedToBuild | Refusal:
    """What its recipe builds of; each file of the folder was just held against its signed digest."""
    inputs = []
    for digest in recipe.inputs:
        part = _part_of(digest, folder, release, blobs)
        if part is None:
            return Refusal(code="unfit", sentence=f"the store does not hold {digest}, which its recipe builds of")
        inputs.append(part)
    source = manifest.base if recipe.makes != ADAPTER else manifest.adapter
    if source is None or not {"file": source.file, "folder": source.folder}[recipe.form]:
        sentence = f"its specialist.toml names no {recipe.form} as the {recipe.makes} that its recipe makes"
        return Refusal(code="contradiction", sentence=sentence)
    if recipe.makes != ADAPTER:
        beside = None if manifest.adapter is None else _brought(manifest.adapter, folder, release)
        return OfferedToBuild(inputs=tuple(inputs), beside=beside)
    base = manifest.base.digest or signed_digest(manifest.base, release)
    if base != recipe.inputs[0]:
        return Refusal(
            code="contradiction", sentence=f"its recipe builds of {recipe.inputs[0]}, and its base is {base}"
        )
    return refusal_of_base(release.constraints, base) or OfferedToBuild(inputs=tuple(inputs), beside=None)


def signed_digest(source: Source, release: Release) -> str:
    """The digest of a base or an adapter as the release's files give it; empty: it is not among them."""
    if source.file:
        return release.digests.get(source.file, "")
    return _digest_below(f"{source.folder}/", release)


def holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Whether a slot's folder holds just these files already."""
    try:
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        return found.keys() == files.keys() and all(path.read_bytes() == files[name] for name, path in found.items())
    except OSError:
        return False


def put_together(slot_folder: Path, recipe: Recipe, to_build: ToBuild, made: Path, blobs: BlobStore) -> Path:
    """A folder as somebody would offer it, beside the one with what was made: manifest, golden sets, base, adapter.

    Raises RequestError, OSError.
    """
    read = read_folder(slot_folder)
    whole = made.parent.with_name("whole")  # what was made stays as it is: a kill may come, and it is taken then
    shutil.rmtree(whole, ignore_errors=True)
    for name, body in read.files.items():
        (whole / name).parent.mkdir(parents=True, exist_ok=True)
        (whole / name).write_bytes(body)
    base, adapter = read.manifest.base, read.manifest.adapter or Source()
    if recipe.makes == ADAPTER:
        sources = {adapter.file or adapter.folder: made, base.file or base.folder: blobs.path(to_build.inputs[0].blob)}
    else:
        sources = {base.file or base.folder: made}
        if to_build.beside is not None:
            sources[adapter.file or adapter.folder] = blobs.path(to_build.beside.blob)
    for name, source in sources.items():
        if name:  # else the store is asked for its digest
            _link(source, whole / name)
    return whole


def _part_of(digest: str, folder: Path, release: Release, blobs: BlobStore) -> OfferedPart | None:
    """A file of the release, a folder of its top, or what the store has; None: neither."""
    for file in release.files:
        if file.digest == digest:
            return OfferedPart(blob=Blob(Form.FILE, digest), source=folder / file.path)
    for top in _tops(release):
        if _digest_below(f"{top}/", release) == digest:
            return OfferedPart(blob=Blob(Form.FOLDER, digest), source=folder / top)
    held = blobs.find(digest, lambda *_: None)
    return None if held is None else OfferedPart(blob=held, source=None)


def _tops(release: Release) -> Iterator[str]:
    return iter(sorted({file.path.partition("/")[0] for file in release.files if "/" in file.path}))


def _brought(source: Source, folder: Path, release: Release) -> OfferedPart:
    form = Form.FILE if source.file else Form.FOLDER
    return OfferedPart(blob=Blob(form, signed_digest(source, release)), source=folder / (source.file or source.folder))


def _digest_below(below: str, release: Release) -> str:
    """Of the folder that the files below make; empty: there are none."""
    files = [file for file in release.files if file.path.startswith(below)]
    listing = ((file.path.removeprefix(below), file.digest, file.length) for file in files)
    return digest_of_listing(listing) if files else ""


def _link(source: Path, target: Path) -> None:
    """Links to a file, or to all files of a folder."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=os.link)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, target)
