"""A repository's folder: what is published, what waits, and how the one becomes the other, whole or not at all.

    published            link to the generation that is served: metadata/ and targets/, in the layout of TUF's clients
    generations/000007   a generation; the one before stays for clients that are in the middle of a look
    prepared.json        metadata that waits for signatures
    incoming/            targets of what waits, by digest
    lock                 held by whoever changes something

A published file is never written again. It checks no signature: see `checking`.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tuf.api.metadata import TargetFile

from homebred_fleet.adapters.durable_files import LEFTOVER_PREFIX, PUBLIC, create, flush_folder, make_folder, replace
from homebred_fleet.adapters.tuf_repository.contents import Contents
from homebred_fleet.adapters.tuf_repository.metadata import AnyMetadata, body_of, delegated_roles, parsed, purpose_of
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.core.repository_rules import ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from homebred_fleet.errors import ConflictError, NotFoundError, StateError

FOLDER_MODE: Final = 0o755
"""Nothing in it is secret, and a web server of another user may read it."""
MAX_READ_BYTES: Final = 64 * 1024 * 1024
_ROOT_FILE: Final = re.compile(r"([1-9][0-9]{0,8})\.root\.json")
PUBLISHED = "published"
"""The link to what is served, in a repository's folder."""


class RepositoryFolder:
    """One folder; opening it reads nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.published = path / PUBLISHED
        self._prepared = path / "prepared.json"
        self._incoming = path / "incoming"
        self._generations = path / "generations"

    @property
    def exists(self) -> bool:
        """Whether a repository was begun here."""
        return self._prepared.exists() or self.published.exists()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps others from changing it. Raises ConflictError: somebody does; StateError: it cannot be written."""
        with _told(self.path):
            make_folder(self.path, mode=FOLDER_MODE)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConflictError(f"somebody else changes {self.path}", hint="try again in a moment") from error
            with _told(self.path):
                yield
        finally:
            os.close(lock)

    def contents(self) -> Contents:
        """What is published and what waits. Raises StateError: it cannot be read; NotFoundError: there is none."""
        if not self.exists:
            raise NotFoundError(
                f"there is no repository in {self.path}", hint="make one with `homebred-fleet repository init`"
            )
        return Contents(published_metadata(self.published.resolve()), self._read_prepared())

    def save(self, prepared: Mapping[str, AnyMetadata]) -> None:
        """Keeps what waits, all of it at once."""
        pieces = {role: json.loads(body_of(metadata)) for role, metadata in prepared.items()}
        body = json.dumps({"version": 1, "prepared": pieces}, indent=1, sort_keys=True).encode()
        with _told(self.path):
            replace(self._prepared, body, mode=PUBLIC)

    def keep_target(self, body: bytes, file: TargetFile) -> None:
        """Keeps a target's bytes, before anything names them."""
        with _told(self.path):
            make_folder(self._incoming, mode=FOLDER_MODE)
            create(self._incoming / _digest(file), body, mode=PUBLIC)

    def discard(self) -> None:
        """Forgets what waits."""
        with _told(self.path):
            self._prepared.unlink(missing_ok=True)
            flush_folder(self.path)
            self._tidy()

    @property
    def is_edited(self) -> bool:
        """Whether something waits for signatures here."""
        return self._prepared.exists()

    def publish(self, contents: Contents, check: Callable[[Path], None]) -> None:
        """Makes a generation with all that waits in it, has it checked, and serves it from then on."""
        self.serve_new(lambda new: self._fill(new, contents), check)

    def serve_new(self, fill: Callable[[Path], None], check: Callable[[Path], None]) -> None:
        """Makes a generation, has it filled and checked, and serves it from then on.

        Whoever is killed leaves the old generation served, or the new one.
        """
        with _told(self.path):
            make_folder(self._generations, mode=FOLDER_MODE)
            self._tidy()
            number = self._numbers()[-1] + 1 if self._numbers() else 1
            new = self._generations / f"{LEFTOVER_PREFIX}{number}"
            fill(new)
            check(new)
            final = self._generations / _generation(number)
            new.rename(final)
            flush_folder(self._generations)
            self._serve(final)
            self._prepared.unlink(missing_ok=True)
            flush_folder(self.path)
            self._tidy()

    def _fill(self, new: Path, contents: Contents) -> None:
        """The roots, what was served last, and what is new: a client in the middle of a look finds all it needs."""
        make_folder(new / "metadata", mode=FOLDER_MODE)
        make_folder(new / "targets", mode=FOLDER_MODE)
        if self.published.exists():
            self._carry_over(new, contents)
        for role, metadata in contents.prepared.items():
            create(new / "metadata" / file_name(role, metadata.signed.version), body_of(metadata), mode=PUBLIC)
        for role in contents.roles:
            if role not in {ROOT, TARGETS, SNAPSHOT, TIMESTAMP}:
                self._place_targets(new / "targets", contents.must(role))
        for folder in (new, *(one for one in new.rglob("*") if one.is_dir())):
            flush_folder(folder)

    def _carry_over(self, new: Path, contents: Contents) -> None:
        kept = {file_name(role, metadata.signed.version) for role, metadata in contents.published.items()}
        if TIMESTAMP in contents.prepared:
            kept -= {file_name(TIMESTAMP, 0)}
        for path in (self.published / "metadata").iterdir():
            if path.name in kept or _ROOT_FILE.fullmatch(path.name):
                _link(path, new / "metadata" / path.name)
        for role, metadata in contents.published.items():
            for file in getattr(metadata.signed, "targets", {}).values() if role != TARGETS else ():
                name = served_name(file)
                _link(self.published / "targets" / name, new / "targets" / name)

    def _place_targets(self, folder: Path, metadata: AnyMetadata) -> None:
        for file in metadata.signed.targets.values():
            place = folder / served_name(file)
            if not place.exists():
                kept = self._incoming / _digest(file)
                if not kept.is_file():
                    raise StateError(
                        f"the bytes of {file.path} are gone", hint="remove and add it under another number"
                    )
                _link(kept, place)

    def _serve(self, generation: Path) -> None:
        new = self.path / f"{LEFTOVER_PREFIX}published"
        new.unlink(missing_ok=True)
        new.symlink_to(generation.relative_to(self.path))
        new.rename(self.published)
        flush_folder(self.path)

    def _tidy(self) -> None:
        """Removes leftovers of kills, generations that nobody looks at any more, targets that nothing names."""
        if self._generations.is_dir():
            served = int(self.published.resolve().name) if self.published.exists() else 0
            kept = [number for number in self._numbers() if number <= served][-2:]
            for path in self._generations.iterdir():
                if path.name not in {_generation(number) for number in kept}:
                    shutil.rmtree(path)
        if not self._prepared.exists() and self._incoming.is_dir():
            shutil.rmtree(self._incoming)
        for leftover in self.path.glob(f"{LEFTOVER_PREFIX}*"):
            leftover.unlink()

    def _numbers(self) -> list[int]:
        return sorted(int(path.name) for path in self._generations.iterdir() if path.name.isdecimal())

    def _read_prepared(self) -> dict[str, AnyMetadata]:
        if not self._prepared.exists():
            return {}
        try:
            document = json.loads(read(self._prepared))
            pieces = {role: json.dumps(piece).encode() for role, piece in document["prepared"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StateError(
                f"{self._prepared} cannot be read as what waits for signatures",
                hint="restore it from a backup, or give it up: `homebred-fleet repository discard`",
            ) from error
        return {role: parsed(body, role, f"{role} in {self._prepared}") for role, body in pieces.items()}


def published_metadata(published: Path) -> dict[str, AnyMetadata]:
    """What is served, by role, unchecked. Raises StateError: it is not whole."""
    folder = published / "metadata"
    numbers = root_numbers(published)
    if not numbers:
        return {}
    found = {ROOT: _read(folder, ROOT, numbers[-1])}
    if purpose_of(found[ROOT]) is Purpose.DIRECTOR:
        return found
    found[TIMESTAMP] = _read(folder, TIMESTAMP, 0)
    found[SNAPSHOT] = _read(folder, SNAPSHOT, found[TIMESTAMP].signed.snapshot_meta.version)
    versions = {name.removesuffix(".json"): meta.version for name, meta in found[SNAPSHOT].signed.meta.items()}
    found[TARGETS] = _read(folder, TARGETS, versions.get(TARGETS, 0))
    for role in delegated_roles(found[TARGETS].signed):
        found[role] = _read(folder, role, versions.get(role, 0))
    return found


def root_numbers(published: Path) -> tuple[int, ...]:
    """Of all roots that are served, rising."""
    folder = published / "metadata"
    names = (_ROOT_FILE.fullmatch(path.name) for path in folder.iterdir()) if folder.is_dir() else ()
    return tuple(sorted(int(found[1]) for found in names if found is not None))


def file_name(role: str, version: int) -> str:
    """Of a piece of metadata, as clients ask for it."""
    return "timestamp.json" if role == TIMESTAMP else f"{version}.{role}.json"


def served_name(file: TargetFile) -> str:
    """Of a target, below `targets`, as clients ask for it."""
    (name,) = file.get_prefixed_paths()
    return name


def read(path: Path) -> bytes:
    """A file of a repository. Raises StateError: it is not there, or longer than any."""
    try:
        with path.open("rb") as file:
            body = file.read(MAX_READ_BYTES + 1)
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}", hint="restore the folder from a backup") from error
    if len(body) > MAX_READ_BYTES:
        raise StateError(f"{path} is longer than {MAX_READ_BYTES:,} bytes", hint="restore the folder from a backup")
    return body


def _read(folder: Path, role: str, version: int) -> AnyMetadata:
    path = folder / file_name(role, version)
    return parsed(read(path), role, str(path))


def _generation(number: int) -> str:
    return f"{number:06}"


def _digest(file: TargetFile) -> str:
    digest: str = file.hashes["sha256"]
    return digest


def _link(source: Path, place: Path) -> None:
    """The same file under another name; a copy where that is another user's, to which Linux gives no second name."""
    make_folder(place.parent, mode=FOLDER_MODE)
    if place.exists():
        return
    try:
        place.hardlink_to(source)
    except PermissionError:
        create(place, read(source), mode=PUBLIC)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror}") from error
