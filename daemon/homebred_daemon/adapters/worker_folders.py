"""Holds workers' private folders with locks that end with the daemon, so that the next one can tell what is left over.

It neither makes nor furnishes a folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "engine-"


class Hold:
    """A folder that is in use, until it is released or this process ends."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError: somebody else holds it, or it is no folder."""
        self._descriptor: int | None = _locked(folder, wait=False)

    def release(self) -> None:
        """Gives it up. Harmless when repeated."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def made_and_held(make: Callable[[Path], Path], runtime_dir: Path) -> tuple[Path, Hold]:
    """A new folder that `make` makes in `runtime_dir`, held before anybody could take it for left over."""
    with suppress(OSError):  # then `make` cannot either, and says why
        runtime_dir.mkdir(parents=True, exist_ok=True)
    with _alone_in(runtime_dir):
        folder = make(runtime_dir)
        return folder, Hold(folder)


def remove_leftovers(runtime_dir: Path) -> None:
    """Removes the folders of a killed daemon's workers; those that a living one holds stay."""
    with _alone_in(runtime_dir):
        for folder in runtime_dir.glob(f"{PREFIX}*"):
            try:
                hold = Hold(folder)
            except OSError:
                continue
            shutil.rmtree(folder, ignore_errors=True)
            hold.release()


@contextmanager
def _alone_in(runtime_dir: Path) -> Iterator[None]:
    """Keeps makers and removers out of each other's way; they take milliseconds."""
    descriptor = None
    with suppress(OSError):  # there is none yet, or it is nobody's to use
        descriptor = _locked(runtime_dir, wait=True)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _locked(folder: Path, *, wait: bool) -> int:
    """A descriptor with the folder's lock on it: flock(2), which the kernel undoes at the process's end."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
