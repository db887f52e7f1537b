"""The story's fleet: two devices join one, are told a policy by it, and what it knows of their tasks is compared.

Every part is real: broker and controller are processes, the devices are the stage's daemons, and what is counted is in
the controller's database against the ledgers of the devices.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.demo.content import POLICY
from homebred_daemon.demo.fleet_stage import FleetStage
from homebred_daemon.demo.releases import Releases
from homebred_daemon.demo.screen import Screen
from homebred_daemon.demo.stage import RunningDaemon, Stage
from homebred_daemon.errors import HomebredError
from homebred_protocol.client import Task

WITHIN_S = 30.0
POLL_S = 0.1
SHOWN_FIELDS = ("guarded", "route_id", "workflow", "reason_code", "answered_by", "classes", "prompt_tokens", "total_ms")
ONE_MORE = Task("2 mineral waters", workflow="order.normalise", data_classes=("public",))


@dataclass(slots=True)
class Fleet:
    """Tells these chapters on one stage; what it measured stands in `record`."""

    stage: Stage
    screen: Screen
    record: dict[str, Any] = field(default_factory=dict)
    _fleet: FleetStage | None = None
    _names: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Chapter: broker and controller come up, and both devices join; they stay up until the context is left."""
        self.screen.chapter("Two devices join a fleet")
        fleet = self._fleet = FleetStage(self.stage.folder / "fleet")
        with fleet.running():
            self.screen.say(f"A controller and its broker run at {fleet.url}; devices pin {fleet.fingerprint[:23]}….")
            for device, site, role in (
                (self.stage.clinic, "clinic", "clinic"),
                (self.stage.factory, "factory", "line"),
            ):
                started_s = time.monotonic()
                self._names[site] = fleet.enroll(device.state, site, role)
                self.screen.fact(
                    site, f"{self._names[site]} · joined in {time.monotonic() - started_s:.2f} s, by a token"
                )
            yield

    def steered(self, daemon: RunningDaemon) -> None:
        """Chapter: a policy is signed for the factory, the fleet tells its device, and the device says what it did."""
        self.screen.chapter("The fleet tells its devices")
        name = self._names["factory"]
        self._until("the device is online", lambda: self._device("factory").get("online") is True)
        file = self.stage.folder / "stricter.toml"
        file.write_bytes(POLICY.read_bytes().replace(b"escalation = true ", b"escalation = false", 1))
        path, signers = "policies/factory/main/1.toml", self._founded().signers
        signers.publish(path, file)
        before = daemon.control.status().policy_digest
        started_s = time.monotonic()
        self._asked("policy", "assign", path, "--device", name)
        self._until("the policy holds", lambda: daemon.control.status().policy_digest != before)
        held_s = time.monotonic() - started_s
        self.screen.fact("policy", f"{path}: no escalations, in force {held_s:.2f} s after the command")
        clinic = self._names["clinic"]
        self.screen.fact("other site", self._refusal("policy", "assign", path, "--device", clinic))
        bad = self.stage.folder / "bad.toml"
        bad.write_text('version = 1\ndefault_floor = "high"\n', encoding="utf-8")
        adding = ("repository", "add", str(signers.image), str(bad), "--path", "policies/factory/main/2.toml")
        self.screen.fact("not signed", self._refusal(*adding))
        self.record["policy_in_force_s"] = round(held_s, 2)

    def told(self, daemon: RunningDaemon) -> None:
        """Chapter: what the controller knows of all tasks, counted against the devices' own ledgers."""
        self.screen.chapter("What the fleet knows")
        ended = {site: _outcomes(device.ledger) for site, device in self._devices()}
        self._until("all telemetry has arrived", lambda: self._routes() == ended)
        lag_s = self._lag_s(daemon)
        ended["factory"] += 1
        self.screen.table("Routes by workflow", ("site", "workflow", "reason", "status", "routes"), self._route_rows())
        guarded, open_one = self._example(guarded=True), self._example(guarded=False)
        self.screen.say(
            "Of a task that must stay at home the fleet hears words, powers of two, the hour; of others more:"
        )
        self.screen.side_by_side(("stays at home", _lines(guarded)), ("may be told", _lines(open_one)))
        gaps = self._asked("telemetry", "gaps")["gaps"]
        rows = sum(self._routes().values())
        self.screen.say(
            f"{sum(ended.values())} tasks ended on two devices; {rows} rows in the fleet's database, {len(gaps)} gaps."
        )
        if rows != sum(ended.values()) or gaps:
            raise HomebredError("telemetry and ledgers disagree", hint="report this, with the demo's output")
        self.record |= {
            "fleet_devices": len(ended),
            "telemetry_rows": rows,
            "telemetry_gaps": len(gaps),
            "telemetry_lag_s": lag_s,
        }

    def released(self, daemon: RunningDaemon, *, base_bytes: int) -> dict[str, Any]:
        """Chapters: releases for the factory's device; what was measured."""
        releases = Releases(self._founded(), self.screen, self.stage.factory, self._names["factory"], base_bytes)
        releases.told(daemon)
        return releases.record

    def _lag_s(self, daemon: RunningDaemon) -> float:
        known = self._routes()["factory"]
        daemon.client.ask(ONE_MORE)
        started_s = time.monotonic()
        self._until("one more has arrived", lambda: self._routes()["factory"] == known + 1)
        return round(time.monotonic() - started_s, 2)

    def _devices(self) -> tuple[tuple[str, Any], ...]:
        return (("clinic", self.stage.clinic), ("factory", self.stage.factory))

    def _device(self, site: str) -> dict[str, Any]:
        devices: list[dict[str, Any]] = self._asked("devices", "list")["devices"]
        return next(one for one in devices if one["id"] == self._names[site])

    def _routes(self) -> dict[str, int]:
        counted = dict.fromkeys(self._names, 0)
        for row in self._asked("telemetry", "routes", "--by", "site")["routes"]:
            counted[row["site"]] += row["routes"]
        return counted

    def _route_rows(self) -> list[tuple[str, ...]]:
        found = self._asked("telemetry", "routes", "--by", "site,workflow,reason,status")["routes"]
        return [tuple(str(row[name]) for name in ("site", "workflow", "reason", "status", "routes")) for row in found]

    def _example(self, *, guarded: bool) -> dict[str, Any]:
        events: list[dict[str, Any]] = self._asked("telemetry", "events", "route")["events"]
        return next(one for one in events if one["guarded"] is guarded)

    def _asked(self, *words: str) -> Any:
        return self._founded().ask(*words)

    def _founded(self) -> FleetStage:
        if self._fleet is None:
            raise HomebredError("the fleet was not founded", hint="report this")
        return self._fleet

    def _refusal(self, *words: str) -> str:
        try:
            self._asked(*words)
        except HomebredError as error:
            return error.message.partition(": ")[2]
        raise HomebredError("a wrong policy was taken", hint="report this")

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + WITHIN_S
        while not holds():
            if time.monotonic() > deadline_s:
                raise HomebredError(f"{what}: not within {WITHIN_S:.0f} s", hint="run the demo again, then report this")
            time.sleep(POLL_S)


def _outcomes(path: Path) -> int:
    with closing(SqliteLedger(path, read_only=True)) as ledger:
        return sum(ledger.status_counts().values())


def _lines(event: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {event[name]}" for name in SHOWN_FIELDS)
