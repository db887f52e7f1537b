"""A device's telemetry through virtual time, on the real files of ledger and outbox."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

from tests.support.ledger_entries import ENTRY, NOW, OUTCOME, keep_documents
from tests.support.sent_telemetry import receipt
from tests.support.told_routes import TELLING

from homebred_daemon.adapters import telemetry_wire
from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.adapters.store.ledger_feed import SqliteFeed
from homebred_daemon.adapters.store.outbox_file import open_outbox
from homebred_daemon.core.outbox import Quota
from homebred_daemon.core.telemetry import HealthFact
from homebred_daemon.ports.outbox import NewEvent, Outbox
from homebred_daemon.services.fleet.telemetry import Carrier

HOURS, PER_HOUR = 24, 5
"""Hours of a day, and tasks of an hour."""
QUOTA = Quota(max_events=1500, max_bytes=1_000_000)
WINDOW = 4
"""Batches on their way at once."""
ROOM = {"max_events": 25, "max_bytes": 65_536}


class Device:
    """An enrolled device: a new start of its daemon every day, tasks and a word on its health every hour."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.passed = timedelta()
        self.made: Counter[str] = Counter()
        """Events by stream that were appended, or counted without a number."""
        self._stack = ExitStack()
        self._boots = 0
        self.ledger = self._stack.enter_context(closing(SqliteLedger(folder / "ledger.sqlite", max_decisions=1000)))
        keep_documents(self.ledger)
        self._feed = self._stack.enter_context(closing(SqliteFeed(folder / "ledger.sqlite")))
        self._boot = self._stack.enter_context(ExitStack())
        self.outbox: Outbox
        self.start()

    def start(self) -> None:
        """Another start of the daemon."""
        self._boot.close()
        self._boots += 1
        opened = open_outbox(self.folder, boot_id=f"{self._boots:032x}", quota=QUOTA, now_s=self._now_s)
        self.outbox = self._boot.enter_context(closing(opened.outbox))
        self._carrier = Carrier(self.outbox, self._feed, telemetry_wire)
        self._carry()

    def live_an_hour(self, random: Random) -> None:
        """Some tasks end, one in five of them slow; the device tells how it stands, and what it was told."""
        at = NOW + self.passed
        number = int(self.passed.total_seconds())
        decided = [replace(ENTRY, route_id=f"{number}-{each}") for each in range(PER_HOUR)]
        self.ledger.record_decisions(decided)
        for entry in decided:
            findings = ("slow",) if random.random() < 0.2 else ()
            outcome = replace(OUTCOME, route_id=entry.route_id, recorded_at_utc=at, findings=findings)
            self.ledger.record_outcome(outcome)
            self.made.update(["route", *(["evidence"] if findings else [])])
        self._carry()
        self._append(receipt(f"command {number}"))
        health = HealthFact(
            uptime_s=number,
            resident_bytes=1,
            free_disk_bytes=1,
            outbox_events=1,
            outbox_bytes=1,
            loaded_models=1,
            worker_failures=0,
            reviews_waiting=0,
        )
        self._append(NewEvent(stream="health", body=telemetry_wire.health_body(health, at_s=int(at.timestamp()))))
        self.passed += timedelta(hours=1)

    def close(self) -> None:
        self._stack.close()

    def _append(self, event: NewEvent) -> None:
        self.outbox.append([event], cursor=self.outbox.cursor())
        self.made[event.stream] += 1

    def _carry(self) -> None:
        while not self._carrier.carry(TELLING).is_last:
            pass

    def _now_s(self) -> float:
        return (NOW + self.passed).timestamp()
