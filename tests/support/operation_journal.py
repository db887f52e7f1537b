"""What a program did to a folder, as a list of operations on inodes and names, read from a record of its system calls.

It says what was done, not what a disk makes of it: that is `disk.py`. What it does not model stops the reading with
NotModelledError instead of being passed over: a file mapped for writing other than SQLite's -shm (which is made anew
after a crash), symbolic links, copies inside the kernel. Positions of sequential writes are followed as long
as nobody reads through the same descriptor.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.system_calls import SystemCall, read_calls

ROOT_INODE = 0
_FICLONE = "FICLONE"


class NotModelledError(Exception):
    """A system call on the folder that this journal cannot tell the meaning of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A new name for a new file or folder."""

    folder: int
    name: str
    inode: int
    is_folder: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """One more name for a file."""

    folder: int
    name: str
    inode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A name that became another one; what had that one loses it."""

    folder: int
    name: str
    inode: int
    old_folder: int
    old_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A name that is gone."""

    folder: int
    name: str
    inode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Bytes put into a file."""

    inode: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncated:
    """A file cut or lengthened."""

    inode: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """The caller was told that a file's bytes, or a folder's names, are on the disk."""

    inode: int
    path: str
    """Below the root, for those who look for it; `.` is the root itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The program said that something was done."""

    text: str


Operation = Made | Linked | Moved | Removed | Written | Truncated | Synced | Told


@dataclass(slots=True)
class Tree:
    """Names below a root, by folder."""

    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT_INODE: {}})

    def find(self, parts: Iterable[str]) -> int | None:
        """The inode at a path; None: there is none."""
        inode: int | None = ROOT_INODE
        for part in parts:
            inode = self.folders.get(inode, {}).get(part) if inode is not None else None
        return inode

    def path_of(self, inode: int) -> str:
        """Where an inode stands now; empty: nowhere any more."""
        if inode == ROOT_INODE:
            return "."
        for folder, names in self.folders.items():
            for name, held in names.items():
                if held == inode:
                    above = self.path_of(folder)
                    return name if above == "." else f"{above}/{name}"
        return ""


@dataclass(slots=True)
class _Open:
    inode: int
    position: int
    appends: bool


class OperationJournal:
    """The operations of one traced program on one folder, with what stood there before."""

    def __init__(self, root: Path) -> None:
        """Takes down what stands below `root` now: all of it is on the disk. Call it before the program runs."""
        self._root = root.resolve()
        self._inodes = itertools.count(ROOT_INODE + 1)
        self._tree = Tree()
        self.bodies: dict[int, bytes] = {}
        """Content of the files that were there before."""
        self.operations: list[Operation] = []
        self._open: dict[int, _Open] = {}
        self._take_down(self._root, ROOT_INODE)
        self.names_before = {folder: dict(names) for folder, names in self._tree.folders.items()}
        """Names that were there before, by folder."""

    def read(self, trace: Path) -> None:
        """Appends what strace recorded."""
        handlers = self._handlers()
        with trace.open(encoding="ascii") as lines:
            for call in read_calls(lines):
                if call.result >= 0 and call.name in handlers:
                    handlers[call.name](call)

    def _take_down(self, folder: Path, inode: int) -> None:
        for path in sorted(folder.iterdir()):
            child = next(self._inodes)
            self._tree.folders[inode][path.name] = child
            if path.is_dir():
                self._tree.folders[child] = {}
                self._take_down(path, child)
            else:
                self.bodies[child] = path.read_bytes()

    def _handlers(self) -> dict[str, Callable[[SystemCall], object]]:
        return {
            "openat": lambda call: self._opened(call, call.path(1, 0), call.arguments[2]),
            "open": lambda call: self._opened(call, call.path(0), call.arguments[1]),
            "creat": lambda call: self._opened(call, call.path(0), "O_WRONLY|O_CREAT|O_TRUNC"),
            "mknod": lambda call: self._made(call.path(0), is_folder=False),
            "mknodat": lambda call: self._made(call.path(1, 0), is_folder=False),
            "mkdir": lambda call: self._made(call.path(0), is_folder=True),
            "mkdirat": lambda call: self._made(call.path(1, 0), is_folder=True),
            "write": lambda call: self._written(call, call.data(1)),
            "writev": lambda call: self._written(call, call.vector(1)),
            "pwrite64": lambda call: self._written(call, call.data(1), offset=call.number(3)),
            "pwritev": lambda call: self._written(call, call.vector(1), offset=call.number(3)),
            "ftruncate": self._truncated,
            "fsync": self._synced,
            "fdatasync": self._synced,
            "rename": lambda call: self._moved(call.path(0), call.path(1)),
            "renameat": lambda call: self._moved(call.path(1, 0), call.path(3, 2)),
            "renameat2": lambda call: self._moved(call.path(1, 0), call.path(3, 2)),
            "unlink": lambda call: self._removed(call.path(0)),
            "rmdir": lambda call: self._removed(call.path(0)),
            "unlinkat": lambda call: self._removed(call.path(1, 0)),
            "close": lambda call: self._open.pop(call.number(0), None),
            "dup": self._duplicated,
            "dup2": self._duplicated,
            "dup3": self._duplicated,
            "fcntl": lambda call: self._duplicated(call) if call.arguments[1].startswith("F_DUPFD") else None,
            "lseek": self._positioned,
            "sendto": lambda call: self.operations.append(Told(text=call.data(1).decode())),
            "mmap": self._mapped,
            "ioctl": lambda call: self._refuse_on(call, 0) if call.arguments[1].startswith(_FICLONE) else None,
            "fallocate": lambda call: self._refuse_on(call, 0),
            "copy_file_range": lambda call: self._refuse_on(call, 2),
            "splice": lambda call: self._refuse_on(call, 2),
            "sendfile": lambda call: self._refuse_on(call, 0),
            "pwritev2": lambda call: self._refuse_on(call, 0),
            "sync_file_range": lambda call: self._refuse_on(call, 0),
            "syncfs": lambda call: self._refuse_on(call, 0),
            "truncate": lambda call: self._refuse(call, call.path(0)),
            "link": lambda call: self._linked(call.path(0), call.path(1)),
            "linkat": lambda call: self._linked(call.path(1, 0), call.path(3, 2)),
            "symlink": lambda call: self._refuse(call, call.path(1)),
            "symlinkat": lambda call: self._refuse(call, call.path(2, 1)),
        }

    def _parts(self, path: Path) -> tuple[str, ...] | None:
        """The path below the root; None: it lies elsewhere."""
        return path.relative_to(self._root).parts if path.is_relative_to(self._root) else None

    def _place(self, path: Path) -> tuple[int, str] | None:
        """Folder and name of a path; None: it lies elsewhere."""
        parts = self._parts(path)
        if not parts:
            return None
        folder = self._tree.find(parts[:-1])
        if folder is None:
            raise NotModelledError(f"{path} stands in a folder that nobody made")
        return folder, parts[-1]

    def _opened(self, call: SystemCall, path: Path, flags: str) -> None:
        self._open.pop(call.result, None)
        parts = self._parts(path)
        if parts is None:
            return
        inode = self._tree.find(parts)
        if inode is None:
            if "O_CREAT" not in flags:
                raise NotModelledError(f"{path} was opened, and nobody made it")
            inode = self._made(path, is_folder=False)
        elif "O_TRUNC" in flags:
            self.operations.append(Truncated(inode=inode, size=0))
        self._open[call.result] = _Open(inode=inode, position=0, appends="O_APPEND" in flags)

    def _made(self, path: Path, *, is_folder: bool) -> int:
        place = self._place(path)
        if place is None:
            return ROOT_INODE
        inode = next(self._inodes)
        self._tree.folders[place[0]][place[1]] = inode
        if is_folder:
            self._tree.folders[inode] = {}
        self.operations.append(Made(folder=place[0], name=place[1], inode=inode, is_folder=is_folder))
        return inode

    def _written(self, call: SystemCall, data: bytes, offset: int | None = None) -> None:
        file = self._open.get(call.number(0))
        if file is None:
            return
        if offset is None:
            if file.appends:
                raise NotModelledError(f"an append: {call.name}")
            offset = file.position
            file.position += call.result
        self.operations.append(Written(inode=file.inode, offset=offset, data=data[: call.result]))

    def _truncated(self, call: SystemCall) -> None:
        file = self._open.get(call.number(0))
        if file is not None:
            self.operations.append(Truncated(inode=file.inode, size=call.number(1)))

    def _synced(self, call: SystemCall) -> None:
        file = self._open.get(call.number(0))
        if file is not None:
            self.operations.append(Synced(inode=file.inode, path=self._tree.path_of(file.inode)))

    def _moved(self, old: Path, new: Path) -> None:
        source, target = self._place(old), self._place(new)
        if source is None and target is None:
            return
        if source is None or target is None:
            raise NotModelledError(f"{old} was moved to {new}, over the edge of what is watched")
        inode = self._tree.folders[source[0]].pop(source[1])
        self._tree.folders[target[0]][target[1]] = inode
        self.operations.append(
            Moved(folder=target[0], name=target[1], inode=inode, old_folder=source[0], old_name=source[1])
        )

    def _linked(self, old: Path, new: Path) -> None:
        source, target = self._place(old), self._place(new)
        if source is None and target is None:
            return
        if source is None or target is None:
            raise NotModelledError(f"{new} is a link over the edge of what is watched")
        inode = self._tree.folders[source[0]][source[1]]
        self._tree.folders[target[0]][target[1]] = inode
        self.operations.append(Linked(folder=target[0], name=target[1], inode=inode))

    def _removed(self, path: Path) -> None:
        place = self._place(path)
        if place is not None:
            inode = self._tree.folders[place[0]].pop(place[1])
            self.operations.append(Removed(folder=place[0], name=place[1], inode=inode))

    def _duplicated(self, call: SystemCall) -> None:
        self._open.pop(call.result, None)
        if (file := self._open.get(call.number(0))) is not None:
            self._open[call.result] = file

    def _positioned(self, call: SystemCall) -> None:
        if (file := self._open.get(call.number(0))) is not None:
            file.position = call.result

    def _mapped(self, call: SystemCall) -> None:
        file = self._open.get(call.number(4)) if "MAP_ANONYMOUS" not in call.arguments[3] else None
        is_written = "PROT_WRITE" in call.arguments[2] and "MAP_SHARED" in call.arguments[3]
        if file is not None and is_written and not self._tree.path_of(file.inode).endswith("-shm"):
            raise NotModelledError(f"{self._tree.path_of(file.inode)} is written through a mapping")

    def _refuse_on(self, call: SystemCall, position: int) -> None:
        if call.number(position) in self._open:
            raise NotModelledError(f"{call.name} on a file of the folder")

    def _refuse(self, call: SystemCall, path: Path) -> None:
        if self._parts(path) is not None:
            raise NotModelledError(f"{call.name} makes {path}")
