"""The site's gazetteers as files: the configured one, and the fleet's, which is kept in the state folder.

A list of the fleet that was kept and cannot be read any more stops the start: without it what it names could leave.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from homebred_daemon.adapters.detectors.for_lanes import local_detector
from homebred_daemon.adapters.durable_files import flush_folder, make_folder, replace_alone
from homebred_daemon.core.sensitivity import Detector
from homebred_daemon.errors import StateError
from homebred_daemon.ports.gazetteers import Detectors

KEPT = Path("fleet") / "gazetteer" / "gazetteer.jsonl"


class GazetteerFiles:
    """Fulfils `ports.gazetteers.GazetteerStore`."""

    def __init__(
        self, state_dir: Path, *, configured: Path | None, for_cloud: Callable[[Detector], Detector | None]
    ) -> None:
        """`for_cloud` makes of the local lane's detector that of what may leave."""
        self._kept = state_dir / KEPT
        self._configured = configured
        self._for_cloud = for_cloud

    def in_force(self) -> Detectors:
        """As the port says."""
        try:
            is_there = self._kept.exists()
        except OSError as error:
            raise self._failure("looked for", error) from error
        return self.offered(self._kept if is_there else None)

    def offered(self, path: Path | None) -> Detectors:
        """As the port says."""
        local = local_detector(self._configured, path)
        return Detectors(local=local, cloud=self._for_cloud(local))

    def keep(self, path: Path | None) -> None:
        """As the port says; a kill leaves the old or the new one, never a mixture."""
        try:
            if path is not None:
                make_folder(self._kept.parent)
                replace_alone(self._kept, path.read_bytes())
            elif self._kept.exists():
                self._kept.unlink()
                flush_folder(self._kept.parent)
        except OSError as error:
            raise self._failure("stored", error) from error

    def _failure(self, what: str, error: OSError) -> StateError:
        return StateError(
            f"the fleet's gazetteer {self._kept} could not be {what}: {error.strerror}; the one before still holds",
            hint="free disk space, and check that the state folder belongs to the daemon's user",
        )
