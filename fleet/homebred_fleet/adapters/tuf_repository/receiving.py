"""Takes a repository that was published on another machine: verified as a device would, then served, whole.

    listing    {"version": 1, "files": {"metadata/1.root.json": "sha256:…", "targets/models/qa/…": "sha256:…"}}

The files came before, by digest, and whoever sent them is believed nothing: all roots chain from the first, everything
is signed by whom the root before it names, every target is there with its hash, and nothing is older than what is
served. A refusal leaves what is served as it is. It holds no key and signs nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuf.api.metadata import Root

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.durable_files import PUBLIC, create, flush_folder, make_folder
from homebred_fleet.adapters.tuf_repository.checking import Problem, check
from homebred_fleet.adapters.tuf_repository.folder import (
    FOLDER_MODE,
    RepositoryFolder,
    file_name,
    published_metadata,
    read,
    root_numbers,
)
from homebred_fleet.adapters.tuf_repository.metadata import AnyMetadata, body_of, numbers_of, purpose_of, quorum_of
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.core.repository_rules import ROOT, SNAPSHOT, TIMESTAMP, TOP_ROLES
from homebred_fleet.errors import ConflictError, RequestError, StateError
from homebred_protocol.digests import digest_of
from homebred_protocol.trusted_files import is_trusted_file

SCHEMA: Final = 1
MAX_FILES: Final = 60_000
"""256 roles of 200 targets, and their metadata."""
MAX_LISTING_BYTES: Final = 16 * 1024 * 1024
_METADATA: Final = re.compile(r"metadata/(?:[1-9][0-9]{0,8}\.)?[a-z0-9][a-z0-9-]{0,63}\.json")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What is served from now on."""

    roots: int
    targets: int
    changed: bool
    """False: it was served already."""
    stale: tuple[str, ...]
    """Families that have expired: they keep their own targets back, and nobody else's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What is served of a repository; nothing was published yet where there is no root."""

    root: int = 0
    root_digest: str = ""
    versions: Mapping[str, int] | None = None
    """Of every other role."""


def listing_of(published: Path) -> tuple[bytes, dict[str, Path]]:
    """What to send of a published folder: the listing, and each file by its digest.

    Raises:
        StateError: it cannot be read.
        RequestError: something lies there that is no part of a repository.
    """
    files, names = dict[str, Path](), dict[str, str]()
    for path in sorted(one for part in ("metadata", "targets") for one in (published / part).rglob("*")):
        if path.is_dir():
            continue
        name, digest = path.relative_to(published).as_posix(), digest_of(read(path))
        if not _is_name(name):
            raise RequestError(
                f"{path} is no part of a published repository", hint="publish it anew, or remove the file"
            )
        names[name], files[digest] = digest, path
    return json.dumps({"version": SCHEMA, "files": names}, sort_keys=True).encode(), files


def served(folder: Path) -> Served:
    """What is served of the repository in a folder. Raises StateError: it cannot be read."""
    published = RepositoryFolder(folder).published
    if not published.exists():
        return Served()
    generation = published.resolve()
    found = published_metadata(generation)
    versions = {role: metadata.signed.version for role, metadata in found.items() if role != ROOT}
    number = found[ROOT].signed.version
    digest = digest_of(read(generation / "metadata" / file_name(ROOT, number)))
    return Served(root=number, root_digest=digest, versions=versions)


def take(folder: Path, purpose: Purpose, listing: bytes, files: BlobFolder, now_s: int) -> Taken:
    """Has a folder serve what a listing names of files that came.

    Raises:
        RequestError: the listing is none, or files of it did not come.
        ConflictError: it is another repository's, older than what is served, not chained to it, or somebody works in
            this very folder.
        StateError: a device would refuse it, or the disk did.
    """
    named = _read_listing(listing)
    there = RepositoryFolder(folder)
    with there.locked():
        if there.is_edited:
            raise ConflictError(
                f"{folder} is where somebody signs: changes wait there",
                hint="publish them there: homebred-fleet repository publish",
            )
        before = there.published.resolve() if there.published.exists() else None
        if before is not None and names_in(before) == named:
            found = check(before, now_s)
            return Taken(roots=found.roots, targets=found.targets, changed=False, stale=())
        taken: list[Taken] = []

        def fill(new: Path) -> None:
            _fill(new, named, files)

        def must_hold(new: Path) -> None:
            taken.append(_verified(new, before, purpose, now_s))

        there.serve_new(fill, must_hold)
        return taken[0]


def _read_listing(listing: bytes) -> dict[str, str]:
    try:
        said = json.loads(listing)
        named: dict[str, str] = said["files"]
        is_ours = said["version"] == SCHEMA and bool(named.keys())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RequestError(
            "this is no listing of a repository", hint="update homebred-fleet on the older side"
        ) from error
    wrong = [name for name, digest in named.items() if not _is_name(name) or not _DIGEST.fullmatch(str(digest))]
    if wrong or not is_ours or len(named) > MAX_FILES:
        raise RequestError(
            f"this listing names what is no part of a repository: {wrong[0][:100] if wrong else 'too much'}",
            hint="send what `homebred-fleet repository publish` has published",
        )
    return named


def _is_name(name: str) -> bool:
    return _METADATA.fullmatch(name) is not None or (name.startswith("targets/") and is_trusted_file(f"image/{name}"))


def names_in(published: Path) -> dict[str, str]:
    """Digests of what is served, by name. Raises StateError, RequestError as `listing_of`."""
    listing, _ = listing_of(published)
    found: dict[str, str] = json.loads(listing)["files"]
    return found


def _fill(new: Path, named: Mapping[str, str], files: BlobFolder) -> None:
    for part in ("metadata", "targets"):
        make_folder(new / part, mode=FOLDER_MODE)
    for name, digest in named.items():
        source = files.path_of(digest)
        if source is None:
            raise RequestError(f"{name} did not come", hint="send it again: homebred-fleet repository upload")
        place = new / name
        make_folder(place.parent, mode=FOLDER_MODE)
        create(place, read(source), mode=PUBLIC)  # its own bytes: what came is its receiver's alone
    for folder in (new, *(one for one in new.rglob("*") if one.is_dir())):
        flush_folder(folder)


def _verified(new: Path, before: Path | None, purpose: Purpose, now_s: int) -> Taken:
    """Raises ConflictError, StateError where it must not be served."""
    found = check(new, now_s)
    stale = [one for one in found.problems if one.expired and one.role not in TOP_ROLES]
    _refuse([one for one in found.problems if one not in stale])
    after = published_metadata(new)
    if purpose_of(after[ROOT]) is not purpose:
        raise ConflictError(f"this is not the {purpose} repository", hint="name the other one's folder")
    if before is not None:
        _must_have_roots(before, new)
        with suppress(StateError):  # damage to what is served is mended by serving another
            _must_follow(published_metadata(before), after)
    said = tuple(f"{one.role}: {one.what}" for one in stale)
    return Taken(roots=found.roots, targets=found.targets, changed=True, stale=said)


def _refuse(problems: list[Problem]) -> None:
    if problems:
        said = "; ".join(f"{one.role}: {one.what}" for one in problems[:5])
        raise StateError(
            f"no device would take this: {said}",
            hint="look at it with `homebred-fleet repository check`; what was served before still is",
        )


def _must_have_roots(before: Path, after: Path) -> None:
    """All roots that devices may have pinned must go on. Raises ConflictError."""
    for number in root_numbers(before):
        name = f"metadata/{file_name(ROOT, number)}"
        if not (after / name).is_file() or read(after / name) != read(before / name):
            raise ConflictError(
                f"its root {number} is not the one that devices know: no device could follow",
                hint="publish from the folder whose roots were served so far; another repository needs new enrolments",
            )


def _must_follow(before: Mapping[str, AnyMetadata], after: Mapping[str, AnyMetadata]) -> None:
    """Nothing may be older than what devices have taken up (TUF 5.4 to 5.6). Raises ConflictError."""
    if not _begin_anew(before[ROOT].signed, after[ROOT].signed):
        fell = [role for role in before if role in after and not _is_as_new(before[role], after[role])]
        if fell:
            raise ConflictError(
                f"{fell[0]} is older here than what is served, or another of the same version",
                hint="publish from the newest folder, or fetch what is served first (docs/signing.md)",
            )
    for role in before.keys() & after.keys() - {*TOP_ROLES}:
        numbers = numbers_of(after[role].signed)
        lost = [line for line, number in numbers_of(before[role].signed).items() if numbers.get(line, 0) < number]
        if lost:
            raise ConflictError(
                f"{role} has forgotten that {lost[0]} had a higher number", hint="publish from the newest folder"
            )


def _begin_anew(before: Root, after: Root) -> bool:
    """Whether versions may fall, since others sign timestamp or snapshot now (TUF 5.3.11)."""
    return any(quorum_of(before, role) != quorum_of(after, role) for role in (TIMESTAMP, SNAPSHOT))


def _is_as_new(before: AnyMetadata, after: AnyMetadata) -> bool:
    if after.signed.version == before.signed.version:
        return body_of(after) == body_of(before)
    return bool(after.signed.version > before.signed.version)
