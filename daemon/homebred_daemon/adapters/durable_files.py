"""Files that a kill or a power cut leaves whole: written aside, flushed to the disk, then renamed; and a writers' lock.

It knows no file's meaning. Leftovers of a kill are named `.new-…`; whoever owns the folder removes them.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

LEFTOVER_PREFIX = ".new-"
_LOCK_POLL_S = 0.05


def write_flushed(path: Path, body: bytes) -> None:
    """Writes a file and waits until the disk has it; a kill may leave it half written."""
    with path.open("wb") as file:
        file.write(body)
        flush_file(file)


def flush_file(file: IO[bytes]) -> None:
    """Waits until the disk has what was written to an open file."""
    file.flush()
    os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Waits until the disk has the folder's names: before this a rename may be forgotten by a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Makes a folder and its parents, where they are not there, so that a power cut does not forget them.

    They are their owner's alone. What root makes belongs to whoever owns the folder it is made in: else the daemon's
    own user could not read what an administrator puts into its state folder. Folders that are there stay as they are.
    """
    if not folder.is_dir():
        make_folder(folder.parent)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            if not folder.is_dir():  # else another process was faster
                raise
        else:
            if os.geteuid() == 0:
                _hand_to_owner_of(folder.parent, folder)
        flush_folder(folder.parent)


def _hand_to_owner_of(parent: Path, folder: Path) -> None:
    """Through a descriptor: whoever may write in the parent must not put anything of root's in the folder's place."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        owner = parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    finally:
        os.close(descriptor)


def replace_durably(path: Path, body: bytes, *, aside: Path) -> None:
    """Gives a file new content: after a kill it holds the old or the new one, never a mixture.

    `aside` is the folder, on the same file system, where a kill may leave something.
    """
    descriptor, name = tempfile.mkstemp(prefix=LEFTOVER_PREFIX, dir=aside)
    os.close(descriptor)
    new = Path(name)
    try:
        new.chmod(0o644)  # mkstemp's 0600 would hide what root writes from the daemon's own user
        write_flushed(new, body)
        new.rename(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def replace_alone(path: Path, body: bytes) -> None:
    """As `replace_durably`, in a folder where nobody else writes aside: what earlier kills left there is removed."""
    for leftover in path.parent.glob(f"{LEFTOVER_PREFIX}*"):
        leftover.unlink()
    replace_durably(path, body, aside=path.parent)


def create_durably(path: Path, body: bytes) -> None:
    """Makes a file that its owner alone can use, whole or not at all; one that is there stays as it is."""
    descriptor, name = tempfile.mkstemp(prefix=LEFTOVER_PREFIX, dir=path.parent)  # mode 0600
    os.close(descriptor)
    new = Path(name)
    try:
        write_flushed(new, body)
        with suppress(FileExistsError):  # somebody was faster
            path.hardlink_to(new)
    finally:
        new.unlink(missing_ok=True)
    flush_folder(path.parent)


@contextmanager
def writers_lock(path: Path, *, wait_s: float) -> Iterator[bool]:
    """Holds a lock between processes; yields False where another holds it for longer than the wait.

    The kernel drops it with its holder, so a killed one leaves none behind.
    """
    with path.open("ab") as file:
        yield _lock(file.fileno(), give_up_s=time.monotonic() + wait_s)


def _lock(descriptor: int, *, give_up_s: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up_s:
                return False
            time.sleep(_LOCK_POLL_S)
        else:
            return True
