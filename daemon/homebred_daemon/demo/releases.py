"""The story's releases: one serves, a worse one is refused by the gate, and one that disappoints in use goes back.

All three are built from the demo's own specialist, signed, published and assigned by the fleet's commands; what the
device makes of each is read from its own history. Nothing is decided here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from homebred_daemon.adapters.store.installs import SqliteInstallStore
from homebred_daemon.demo.content import SPECIALISTS, copy_specialist
from homebred_daemon.demo.fleet_stage import FleetStage, homebred
from homebred_daemon.demo.screen import Screen
from homebred_daemon.demo.signers import FAMILY
from homebred_daemon.demo.stage import Device, RunningDaemon
from homebred_daemon.errors import HomebredError
from homebred_protocol.client import Task, Verdict

SPECIALIST, WORKFLOW = "kiosk-orders", "order.normalise"
LINE = f"models/{FAMILY}/{SPECIALIST}"
WITHIN_S = 180.0
POLL_S = 0.3
GATE_ROWS = 24
ASKED = (
    "two coffees please",
    "a tea, no milk",
    "three waters for the group",
    "one muffin",
    "2 juices for the kids",
    "a sandwich to take away",
)
MOST_ASKED = 40
ENDED = frozenset({"refused", "rolled_back", "settled"})
"""Where nothing more comes, so that nothing is waited for."""
PLAN = """\
version = 1
family = "{family}"
number = {number}
classes = ["public"]
[base]
form = "file"
length = {base_bytes}
[gate.golden."{workflow}"]
minimum_ppm = 600_000
[[provenance]]
name = "orders at a museum kiosk, written for this demo"
licence = "Apache-2.0"
"""


@dataclass(slots=True)
class Releases:
    """Tells these chapters for one device of a fleet; what it measured stands in `record`."""

    fleet: FleetStage
    screen: Screen
    device: Device
    name: str
    """The device's in the fleet."""
    base_bytes: int
    """Of the model that the releases are made for, which the device has."""
    record: dict[str, Any] = field(default_factory=dict)

    def told(self, daemon: RunningDaemon) -> None:
        """Chapter: three releases, and what becomes of each."""
        self.screen.chapter("A release is published")
        started_s = time.monotonic()
        self._publish(1, "bred once more", lambda text: text)
        found = self._until(1, "probation")
        took_s = time.monotonic() - started_s
        self._say(found)
        self.screen.say(f"It serves {took_s:.1f} s after it was built: signed, fetched, verified, gated, activated.")
        orders = cycle(ASKED)
        self._used(daemon, orders, 1, until="settled")
        self._say(self._until(1, "settled"))

        self.screen.chapter("A worse one is refused")
        self._publish(2, "shown no examples", _without_examples)
        self._say(self._until(2, "refused"))

        self.screen.chapter("One that passes, and disappoints in use")
        self._publish(3, "in other words", lambda text: text)
        self._until(3, "probation")
        self.screen.say("It has passed the gate and serves. Now visitors take back what it understood.")
        self._used(daemon, orders, 3, until="rolled_back", verdict=Verdict.BAD)
        started_s = time.monotonic()
        rolled_back = self._until(3, "rolled_back")
        self._say(rolled_back)
        serving = [one["release"] for one in self._installs() if one["serves"]]
        self.screen.say(f"Release {serving[0]} serves again; `homebred models why {SPECIALIST}` says all of this.")
        if serving != [1]:
            raise HomebredError("another release serves than the last good one", hint="report this")
        self.record |= {
            "release_serves_after_s": round(took_s, 1),
            "releases": {str(one["release"]): one["state"] for one in reversed(self._installs())},
        }

    def _publish(self, number: int, title: str, changed: Callable[[str], str]) -> None:
        """Builds a release of the demo's specialist, has it signed, published and assigned."""
        folder, bundle = (self.device.folder / f"{kind}-{number}" for kind in ("release", "bundle"))
        copy_specialist(SPECIALISTS / SPECIALIST, folder, GATE_ROWS)
        toml = folder / "specialist.toml"
        text = changed(toml.read_text("utf-8"))
        toml.write_text(text.replace("into item and quantity", f"into item and quantity, {title}"), "utf-8")
        plan = PLAN.format(family=FAMILY, number=number, base_bytes=self.base_bytes, workflow=WORKFLOW)
        (folder / "release.toml").write_text(plan, "utf-8")
        self.fleet.ask("release", "build", str(folder), "-o", str(bundle))
        path = f"{LINE}/{number}.json"
        self.fleet.signers.publish(path, bundle / "manifest.json")
        self.fleet.ask("release", "publish", str(bundle))
        self.fleet.ask("release", "assign", path, "--device", self.name)
        self.screen.fact("published", f"{path}, {title}: signed by its family's key, assigned to {self.name}")

    def _used(
        self, daemon: RunningDaemon, orders: Iterator[str], number: int, *, until: str, verdict: Verdict | None = None
    ) -> None:
        """Has it answer, and its caller say what that was worth, until its install is there."""
        for _ in range(MOST_ASKED):
            answer = daemon.client.ask(Task(next(orders), workflow=WORKFLOW, data_classes=("public",)))
            if verdict is not None:
                daemon.client.feedback(answer.route_id, verdict)
            if self._state(number) == until:
                return

    def _until(self, number: int, state: str) -> dict[str, Any]:
        deadline_s = time.monotonic() + WITHIN_S
        while (found := self._state(number)) != state:
            if time.monotonic() > deadline_s or found in ENDED:
                reason = self._install(number)["reason"] if found else ""
                raise HomebredError(
                    f"release {number} is {found or 'unknown'} {reason}, and should be {state}",
                    hint="run the demo again",
                )
            time.sleep(POLL_S)
        return self._install(number)

    def _install(self, number: int) -> dict[str, Any]:
        return next(one for one in self._installs() if one["release"] == number)

    def _state(self, number: int) -> str:
        """Read from the device's file: a command for each look would take the processor that the gate measures on."""
        file = self.device.state / "installs.sqlite"
        if not file.exists():
            return ""
        with closing(SqliteInstallStore(file, read_only=True)) as installs:
            found = (one for one in installs.history(SPECIALIST) if one.release.number == number)
            return next((one.state.value for one in found), "")

    def _installs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = homebred("models", "history", SPECIALIST, state_dir=self.device.state)["installs"]
        return found

    def _say(self, install: dict[str, Any]) -> None:
        gate: dict[str, int] = next(
            (step["facts"] for step in install["steps"] if f"{WORKFLOW}:score_ppm" in step["facts"]), {}
        )
        if gate:
            score, least = gate[f"{WORKFLOW}:score_ppm"] / 1e6, gate[f"{WORKFLOW}:minimum_ppm"] / 1e6
            figures = f"{score:.3f} on {gate[f'{WORKFLOW}:samples']} rows, {least:.2f} demanded"
            self.screen.fact("gate", f"{figures}; {gate['memory_bytes'] / 1e6:.0f} MB, {gate[f'{WORKFLOW}:p95_ms']} ms")
        outcomes = install["outcomes"]
        if outcomes["seen"]:
            self.screen.fact("in use", f"{outcomes['good']} of {outcomes['seen']} outcomes good")
        why = f" · {install['code']}: {install['reason']}" if install["code"] else ""
        self.screen.fact(f"release {install['release']}", f"{install['state']}{why}")


def _without_examples(text: str) -> str:
    """A specialist's manifest without what shows its model how to answer."""
    head, *rest = text.split("[[prompt.examples]]")
    return head + "[workflows" + rest[-1].partition("[workflows")[2]
