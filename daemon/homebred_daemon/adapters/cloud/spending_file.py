"""What a day's cloud calls have cost, as a file: a restart brings no new budget."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from homebred_daemon.adapters.durable_files import make_folder, replace_alone
from homebred_daemon.core.budgets import Charge, Spending
from homebred_daemon.errors import StateError, UnwritableError

FOLDER = "cloud"
NAME = "spending.json"


class SpendingFile:
    """Fulfils `ports.cloud.SpendingStore`, in a folder of its own within the state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FOLDER / NAME

    def read(self) -> Spending:
        """As the port says."""
        try:
            record = json.loads(self._path.read_bytes())
            charge = Charge(
                calls=int(record["calls"]),
                transferred_bytes=int(record["transferred_bytes"]),
                money=float(record["money"]),
            )
            return Spending(day=date.fromisoformat(record["day"]), so_far=charge)
        except FileNotFoundError:
            return Spending()
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise StateError(
                f"{self._path} cannot be read ({type(error).__name__}): what today's cloud calls cost is not known",
                hint="nothing need be done: the whole budget of today counts as spent, and tomorrow's is there",
            ) from None

    def keep(self, spending: Spending) -> None:
        """As the port says; a kill leaves the old or the new one."""
        so_far = spending.so_far
        record = {
            "day": spending.day.isoformat(),
            "calls": so_far.calls,
            "transferred_bytes": so_far.transferred_bytes,
            "money": so_far.money,
        }
        try:
            make_folder(self._path.parent)
            replace_alone(self._path, json.dumps(record).encode())
        except OSError as error:
            raise UnwritableError(
                f"{self._path} cannot be written: {error.strerror}",
                hint="make room on the disk; until then nothing is sent, since nobody could count it",
            ) from error
