"""Opens files of somebody else's folder, where anything may stand under a name: a link, a pipe, a device.

Nothing but a plain file is ever read, and opening never waits. It knows no file's meaning.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

_OPENING: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe would keep its reader for ever


class NotPlainError(OSError):
    """It is no plain file."""

    def __init__(self) -> None:
        super().__init__(None, "it is no plain file")


@contextmanager
def opened(place: Path | str, *, folder: int | None = None, follows_link: bool = False) -> Iterator[IO[bytes]]:
    """A plain file at its beginning, unbuffered.

    Args:
        place: its path; a relative one starts at the folder.
        folder: a folder's descriptor.
        follows_link: whether the path itself may be a link.

    Raises:
        NotPlainError: it is something else.
        OSError: it cannot be opened; ELOOP where it is a link.
    """
    descriptor = os.open(place, _OPENING if follows_link else _OPENING | os.O_NOFOLLOW, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotPlainError
        with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)
