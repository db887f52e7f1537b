"""Files that a kill or a power cut leaves whole: written aside, flushed to the disk, then given their name.

It knows no file's meaning. Leftovers of a kill are named `.new-…` and do no harm.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

LEFTOVER_PREFIX = ".new-"
SECRET = 0o600
PUBLIC = 0o644


def make_folder(folder: Path, *, mode: int = 0o700) -> None:
    """Makes a folder and its parents where they are not there; those that are stay as they are."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode=mode)
    with suppress(FileExistsError):  # somebody was faster
        folder.mkdir(mode=mode)
    flush_folder(folder.parent)


def create(path: Path, body: bytes, *, mode: int) -> bool:
    """Makes a file whole or not at all; False: there is one, which stays as it is."""
    new = _written_aside(path, body, mode)
    try:
        path.hardlink_to(new)
    except FileExistsError:
        return False
    finally:
        new.unlink(missing_ok=True)
    flush_folder(path.parent)
    return True


def replace(path: Path, body: bytes, *, mode: int) -> None:
    """Gives a file new content: after a kill it holds the old or the new one, never a mixture.

    It keeps its owner, where this process may give files away: a broker's user goes on reading its own.
    """
    new = _written_aside(path, body, mode)
    try:
        if os.geteuid() == 0 and path.exists():
            owner = path.stat()
            os.chown(new, owner.st_uid, owner.st_gid)
        new.rename(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Waits until the disk has the folder's names."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written_aside(path: Path, body: bytes, mode: int) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=LEFTOVER_PREFIX, dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(body)
        file.flush()
        os.fsync(descriptor)
    return Path(name)
