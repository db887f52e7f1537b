"""Files of the signed repositories from a folder that somebody carried here. It may hold anything.

A name is walked folder by folder from a descriptor, and no link is ever followed; only a plain file is read, opened so
that a pipe cannot hold this up, and no further than to its bound. A disk that hangs holds up a thread, not the daemon.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from pathlib import Path

from typing_extensions import override

from homebred_daemon.adapters.trust.sources import LIMITS, BoundedSource, Limits
from homebred_daemon.errors import NotFoundError
from homebred_protocol.trusted_files import CARRIED

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class FolderSource(BoundedSource):
    """From below `trust/` of a folder."""

    def __init__(self, folder: Path, *, limits: Limits = LIMITS) -> None:
        super().__init__(limits=limits)
        self._folder = folder / CARRIED

    @override
    async def _pieces(self, name: str, at_most: int) -> AsyncGenerator[bytes]:
        yield await asyncio.to_thread(_read, self._folder, name, at_most)


def _read(root: Path, name: str, at_most: int) -> bytes:
    """Raises NotFoundError, OSError."""
    *folders, file = name.split("/")
    with ExitStack() as opened:

        def opening(path: str | Path, flags: int, at: int | None) -> int:
            descriptor = os.open(path, flags, dir_fd=at)
            opened.callback(os.close, descriptor)
            return descriptor

        try:
            at = opening(root, _FOLDER, None)
            for folder in folders:
                at = opening(folder, _FOLDER, at)
            descriptor = opening(file, _FILE, at)
        except FileNotFoundError:
            raise NotFoundError(f"there is no {name} in the folder") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        with os.fdopen(descriptor, "rb", closefd=False) as reading:
            return reading.read(at_most + 1)
