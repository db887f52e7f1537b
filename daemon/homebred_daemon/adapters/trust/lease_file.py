"""The director's leases as a file: they were verified when they came, and hold over a restart without a network (I8).

A file that is damaged holds no lease: the next look brings them. It judges none. It has a folder of its own: what is
trusted is written at the same time beside it, and each removes what kills of the other may have left.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from homebred_daemon.adapters.durable_files import make_folder, replace_alone
from homebred_daemon.core.trust import Lease
from homebred_daemon.errors import StateError, UnwritableError
from homebred_protocol.documents.fields import Fields

NAME = Path("leases") / "leases.json"
SCHEMA = 1


class LeaseFile:
    """Fulfils `services.releases.releasing.LeaseMemory`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def held(self) -> dict[str, Lease]:
        """As the port says."""
        try:
            document = json.loads(self._path.read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        except OSError as error:
            raise StateError(f"{self._path} cannot be read: {error.strerror}") from error
        fields = Fields(document)
        if fields.integer("version", required=True) != SCHEMA:
            return {}
        leases = [_read(entry) for entry in fields.listed("leases")]
        return {} if fields.problems else {lease.digest: lease for lease in leases}

    def keep(self, leases: dict[str, Lease]) -> None:
        """As the port says; a kill leaves the old or the new ones."""
        document = {"version": SCHEMA, "leases": [asdict(lease) for _, lease in sorted(leases.items())]}
        try:
            make_folder(self._path.parent)
            replace_alone(self._path, json.dumps(document).encode())
        except OSError as error:
            raise UnwritableError(
                f"leases could not be kept in {self._path}: {error.strerror}",
                hint="free disk space; it is tried again by itself",
            ) from error


def _read(entry: Fields) -> Lease:
    lease = Lease(
        device=entry.text("device", required=True) or "",
        digest=entry.text("digest", required=True) or "",
        stop_epoch=entry.integer("stop_epoch", required=True) or 0,
        issued_at_s=entry.integer("issued_at_s", required=True) or 0,
        expires_at_s=entry.integer("expires_at_s", required=True) or 0,
    )
    entry.finish()
    return lease
