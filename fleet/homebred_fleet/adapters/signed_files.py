"""The files of both signed repositories for one device, by their names, however they are asked for.

Nothing is opened but what a name of `homebred_protocol.trusted_files` can mean, and of the director nothing that is
another device's. It signs and judges nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from homebred_fleet.ports.directing import Answers
from homebred_protocol.trusted_files import director_metadata, is_trusted_file


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedFiles:
    """What there is at each moment; blocking, from any thread."""

    image: Callable[[], Path | None]
    """Folder of the published image repository, with `metadata` and `targets`; None: nothing was published yet."""
    director_roots: Callable[[], Path | None]
    """Folder whose `metadata` has the director's roots, `1.root.json` and so on; None: nothing was published yet."""
    directing: Answers

    def find(self, device: str, name: str) -> Path | bytes | None:
        """A file, or where it stands; None: there is none of that name, or it is another device's.

        Raises:
            FleetError: it cannot be told at present.
        """
        if not is_trusted_file(name):
            return None
        if name.startswith("image/"):
            return _file(self.image(), name.removeprefix("image/"))
        own = director_metadata(device)
        if not name.startswith(own):
            return None
        file = name.removeprefix(own)
        if file.endswith(".root.json"):
            return _file(self.director_roots(), f"metadata/{file}")
        return self.directing.metadata(device, file)


def _file(folder: Path | None, below: str) -> Path | None:
    path = folder / below if folder is not None else None
    return path if path is not None and path.is_file() else None
