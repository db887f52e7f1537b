"""What a disk may hold after a power cut: a model of files and names whose newest changes are not safe yet.

The rules are those that POSIX leaves a program, harsher than any one file system:

- a file's bytes are safe once a sync of *that file* has ended; until then each 4096-byte page of each write is there or
  not, on its own (a file's size goes as far as the last page that is there; a page left out before it is zeros);
- a name is safe once a sync of *its folder* has ended; a sync of the file gives it no name. Until then a folder has
  lost its newest changes from some point on: changes of one folder arrive in the order made, as in a journalling file
  system (ext4 `data=ordered`, XFS); those of different folders in any order;
- a rename is one change of both folders: it is there as a whole or not, and what came before it in either with it;
- bytes and names are independent: a file may have its new name and nothing in it (no `auto_da_alloc`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.support.operation_journal import (
    ROOT_INODE,
    Linked,
    Made,
    Moved,
    Operation,
    OperationJournal,
    Removed,
    Synced,
    Told,
    Truncated,
    Written,
)

PAGE_BYTES = 4096
_LIKELIHOODS = (0.1, 0.5, 0.9)
NameChange = Made | Linked | Moved | Removed
BodyChange = Written | Truncated
Names = dict[int, dict[str, int]]


@dataclass(slots=True)
class _File:
    """A file's safe bytes, and the changes that are not safe."""

    safe: bytes = b""
    unsafe: list[BodyChange] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Held:
    """What the disk holds: files below the root by path, and folders."""

    files: dict[str, bytes]
    folders: tuple[str, ...]

    def digest(self) -> str:
        """The same for the same content."""
        summary = hashlib.sha256()
        for path, body in sorted(self.files.items()):
            summary.update(f"{path}\0{len(body)}\0".encode() + body)
        summary.update("\0".join(sorted(self.folders)).encode())
        return summary.hexdigest()

    def write(self, root: Path) -> None:
        """Builds it as a real folder, its owner's alone: modes are not followed."""
        root.mkdir(parents=True)
        for folder in sorted(self.folders):
            (root / folder).mkdir(mode=0o700)
        for path, body in self.files.items():
            (root / path).write_bytes(body)
            (root / path).chmod(0o600)


class Disk:
    """A disk that operations are put to one after another."""

    def __init__(self, journal: OperationJournal) -> None:
        self._files = {inode: _File(safe=body) for inode, body in journal.bodies.items()}
        self._names: Names = {folder: dict(names) for folder, names in journal.names_before.items()}
        self._unsafe_names: list[NameChange] = []

    def put(self, operation: Operation) -> None:
        """One operation of the program."""
        match operation:
            case Made():
                if not operation.is_folder:
                    self._files[operation.inode] = _File()
                self._unsafe_names.append(operation)
            case Linked() | Moved() | Removed():
                self._unsafe_names.append(operation)
            case Written() | Truncated():
                self._files[operation.inode].unsafe.append(operation)
            case Synced():
                self._sync(operation.inode)
            case Told():
                pass

    def after_losing_all(self) -> Held:
        """Nothing that was not synced is there."""
        return self._held(self._names, {inode: file.safe for inode, file in self._files.items()})

    def after_losing_nothing(self) -> Held:
        """All of it is there, as after the end of a process by `kill -9`."""
        bodies = {inode: _changed(file.safe, file.unsafe) for inode, file in self._files.items()}
        return self._held(_renamed(self._names, self._unsafe_names), bodies)

    def after_losing_some(self, random: Random) -> Held:
        """Some of what was not synced is there."""
        marked = {id(change) for change in self._unsafe_names if random.random() < random.choice(_LIKELIHOODS)}
        kept = [change for change, is_kept in self._with_all_before(marked) if is_kept]
        likelihood = random.choice(_LIKELIHOODS)
        bodies = {
            inode: _changed(file.safe, _some(file.unsafe, random, likelihood)) for inode, file in self._files.items()
        }
        return self._held(_renamed(self._names, kept), bodies)

    def _sync(self, inode: int) -> None:
        if (file := self._files.get(inode)) is not None:
            file.safe, file.unsafe = _changed(file.safe, file.unsafe), []
            return
        marked = {id(change) for change in self._unsafe_names if inode in _folders_of(change)}
        parted = list(self._with_all_before(marked))
        self._names = _renamed(self._names, [change for change, is_safe in parted if is_safe])
        self._unsafe_names = [change for change, is_safe in parted if not is_safe]

    def _with_all_before(self, marked: set[int]) -> list[tuple[NameChange, bool]]:
        """Each unsafe change, and whether it is marked or had to arrive before a marked one."""
        folders: set[int] = set()
        parted = []
        for change in reversed(self._unsafe_names):
            is_in = id(change) in marked or bool(folders & _folders_of(change))
            if is_in:
                folders |= _folders_of(change)
            parted.append((change, is_in))
        return parted[::-1]

    def _held(self, names: Names, bodies: dict[int, bytes]) -> Held:
        files: dict[str, bytes] = {}
        folders: list[str] = []

        def walk(folder: int, path: str) -> None:
            for name, inode in names.get(folder, {}).items():
                if inode in bodies:
                    files[path + name] = bodies[inode]
                else:
                    folders.append(path + name)
                    walk(inode, f"{path}{name}/")

        walk(ROOT_INODE, "")
        return Held(files, tuple(folders))


def _folders_of(change: NameChange) -> set[int]:
    return {change.folder, change.old_folder} if isinstance(change, Moved) else {change.folder}


def _renamed(names: Names, changes: list[NameChange]) -> Names:
    """The names after some changes."""
    after = {folder: dict(held) for folder, held in names.items()}
    for change in changes:
        target = after.setdefault(change.folder, {})
        if isinstance(change, Moved):
            source = after.setdefault(change.old_folder, {})
            if source.get(change.old_name) == change.inode:
                del source[change.old_name]
        if not isinstance(change, Removed):
            target[change.name] = change.inode
        elif target.get(change.name) == change.inode:
            del target[change.name]
    return after


def _changed(body: bytes, changes: list[BodyChange]) -> bytes:
    """A file's bytes after some changes."""
    if not changes:
        return body
    after = bytearray(body)
    for change in changes:
        size = change.size if isinstance(change, Truncated) else change.offset + len(change.data)
        if len(after) < size:
            after.extend(bytes(size - len(after)))
        if isinstance(change, Truncated):
            del after[size:]
        else:
            after[change.offset : size] = change.data
    return bytes(after)


def _some(changes: list[BodyChange], random: Random, likelihood: float) -> list[BodyChange]:
    """Each page of each write on its own, and each change of size."""
    return [page for change in changes for page in _pages(change) if random.random() < likelihood]


def _pages(change: BodyChange) -> list[BodyChange]:
    if isinstance(change, Truncated):
        return [change]
    pages: list[BodyChange] = []
    start, end = change.offset, change.offset + len(change.data)
    while start < end:
        stop = min(end, start - start % PAGE_BYTES + PAGE_BYTES)
        pages.append(
            Written(inode=change.inode, offset=start, data=change.data[start - change.offset : stop - change.offset])
        )
        start = stop
    return pages
