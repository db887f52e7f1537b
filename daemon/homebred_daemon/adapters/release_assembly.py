"""Folders of releases before the model store takes them: hard links to verified files, so that no byte is there twice.

They are on the file system of the model store and of the staging folder. A kill leaves a part of a folder, which is
made anew. Nothing is verified here: the store does that with every byte that it takes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path

from homebred_daemon.adapters.durable_files import make_folder
from homebred_daemon.errors import StateError, UnwritableError


class AssemblyFolder:
    """Fulfils `ports.transfer.Assembly`; one process at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def assemble(self, name: str, files: Mapping[str, Path]) -> Path:
        """As the port says."""
        place = self._folder / name
        with self._in_our_words():
            make_folder(self._folder)
            _remove(place)
            place.mkdir()
            for path, source in files.items():
                target = place / path
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(source, target)
        return place

    def remove(self, name: str) -> None:
        """As the port says."""
        with self._in_our_words():
            _remove(self._folder / name)

    def remove_all_but(self, names: AbstractSet[str]) -> None:
        """As the port says."""
        with self._in_our_words():
            if self._folder.is_dir():
                for place in self._folder.iterdir():
                    if place.name not in names:
                        _remove(place)

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise StateError(
                f"a file of a release is gone from below {self._folder.parent}", hint="nothing: it is fetched again"
            ) from error
        except OSError as error:
            raise UnwritableError(
                f"a release could not be put together in {self._folder}: {error.strerror}",
                hint="free disk space, and check that the state folder belongs to the daemon's user; it is tried again",
            ) from error


def _remove(place: Path) -> None:
    if place.exists():
        shutil.rmtree(place)
