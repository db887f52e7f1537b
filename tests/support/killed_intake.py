"""A controller's intake in a process of its own, for tests that kill it: takes batch after batch, and says each ack.

    python -m tests.support.killed_intake FOLDER FIRST_BATCH

One line per commit on standard output: the watermark, written after the transaction was committed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.telemetry_messages import NOW_S, routes

from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.intake import StoreIntake

DEVICE = "clinic-1"
EVENTS = 5
GROUP = 4


def main(folder: Path, first: int) -> None:
    """Goes on from a batch until it is killed."""
    intake = StoreIntake(Database(f"sqlite:///{folder}/fleet.db"))
    number = first
    while True:
        group = [
            routes(DEVICE, one * EVENTS + 1, (one + 1) * EVENTS, after_seq=one * EVENTS)
            for one in range(number, number + GROUP)
        ]
        last = intake.take(group, now_s=NOW_S)[-1]
        assert last.ack is not None
        sys.stdout.write(f"{last.ack.up_to_seq}\n")
        sys.stdout.flush()
        number = last.ack.up_to_seq // EVENTS


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
