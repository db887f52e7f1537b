"""How blobs of one form are named in their folder, and found there: by `sha256:` of what they hold, without the prefix.

It opens none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

ALGORITHM = "sha256"
PREFIX = f"{ALGORITHM}:"
_HEX_DIGITS = 64

Progress = Callable[[str, int, int], None]
"""Hears of long work: what is done, bytes done, bytes in all."""


class NamedByDigest:
    """A folder in which each blob is named by its digest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str) -> Path:
        """Where a blob stands, if it does."""
        return self._folder / digest.removeprefix(PREFIX)

    def digests(self) -> Iterator[str]:
        """What is there."""
        for path in self._paths():
            if len(path.name) == _HEX_DIGITS:
                yield PREFIX + path.name

    def _paths(self) -> list[Path]:
        """All that is in the folder, whatever it is."""
        return list(self._folder.iterdir()) if self._folder.is_dir() else []
