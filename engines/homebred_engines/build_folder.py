"""A folder that a build fills and that then appears under its name: whole, or not at all, whatever kills the build.

Until then it stands beside, under a name with a dot. What a killed build left there is removed by the next one. A lock
keeps two builds of one name apart; commands that outlive their build hold it on, if they are given it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from homebred_engines.build_errors import BuildRefusedError, BuildUnwritableError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFolder:
    """A folder that is being filled."""

    path: Path
    """Of what will be seen."""
    scratch: Path
    """For what is thrown away at the end."""
    lock: int
    """A descriptor; whoever keeps it open keeps other builds away."""


@contextmanager
def new_folder(out: Path) -> Iterator[NewFolder]:
    """A folder to fill; it becomes `out` when the block ends well, and is removed when it does not.

    Raises:
        BuildRefusedError: there is something at `out` already, another build fills it, or it cannot be made.
        BuildUnwritableError: the disk is full.
    """
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise BuildRefusedError(f"{out} is there already.", hint="Name another folder with --out, or remove that one.")
    aside = out.parent / f".{out.name}.building"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir(exist_ok=True)
        lock = os.open(aside, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in _FULL:
            raise BuildUnwritableError(f"{out} cannot be made: {error.strerror}.") from None
        raise BuildRefusedError(
            f"{out} cannot be made: {error.strerror}.", hint="Name a folder with --out that you may write to."
        ) from None
    try:
        _locked(lock, out)
        _emptied(aside)
        folder = NewFolder(path=aside / "new", scratch=aside / "scratch", lock=lock)
        folder.path.mkdir()
        folder.scratch.mkdir()
        try:
            yield folder
            _flush(folder.path)
            folder.path.rename(out)  # an empty folder there is replaced
            _flush(out.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    finally:
        os.close(lock)


def _locked(lock: int, out: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = os.fstat(lock).st_nlink > 0  # else whoever had it has just removed it
    except BlockingIOError:
        is_ours = False
    if not is_ours:
        raise BuildRefusedError(
            f"Another build fills {out}, or a command that it started still runs.",
            hint="Let it end, or name another folder with --out.",
        )


def _emptied(aside: Path) -> None:
    for leftover in aside.iterdir():
        with suppress(FileNotFoundError):
            shutil.rmtree(leftover) if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink()


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
