"""The folder of the fleet's documents on this device, each under its digest; a kill leaves whole ones or none."""

from __future__ import annotations

from pathlib import Path

from homebred_daemon.adapters.durable_files import make_folder, replace_durably
from homebred_daemon.adapters.partial_document import part_of
from homebred_daemon.errors import StateError
from homebred_protocol.digests import digest_of


class FleetDocumentFolder:
    """Fulfils `ports.fleet.DocumentFolder`."""

    def __init__(self, path: Path) -> None:
        """Makes the folder where it is not there. Raises StateError."""
        self._path = path
        try:
            make_folder(path)
        except OSError as error:
            raise self._failure("made", error) from error

    @property
    def path(self) -> Path:
        """As the port says."""
        return self._path

    def find(self, digest: str) -> Path | None:
        """As the port says."""
        path = self._place(digest)
        try:
            return path if digest_of(path.read_bytes()) == digest else None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failure("read", error) from error

    def keep(self, digest: str, body: bytes) -> None:
        """As the port says."""
        try:
            replace_durably(self._place(digest), body, aside=self._path)
        except OSError as error:
            raise self._failure("kept", error) from error

    def forget_all_but(self, digests: frozenset[str]) -> None:
        """As the port says."""
        kept = {name for digest in digests for name in (self._place(digest).name, part_of(self._place(digest)).name)}
        try:
            for each in self._path.iterdir():
                if each.name not in kept:
                    each.unlink(missing_ok=True)
        except OSError as error:
            raise self._failure("removed", error) from error

    def _place(self, digest: str) -> Path:
        return self._path / digest.removeprefix("sha256:")

    def _failure(self, what: str, error: OSError) -> StateError:
        return StateError(
            f"documents of the fleet could not be {what} in {self._path}: {error.strerror}",
            hint="free disk space, and check that the state folder belongs to the daemon's user; it is tried again",
        )
