"""I4 on the wire: somebody reads all that a real enrolled daemon publishes, on every topic, and finds no task in it.

The reader has the controller's place at a real broker: it acknowledges telemetry, sends commands, and has a bundle of
diagnostics let go. What telemetry alone may say is held field by field elsewhere.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.canaries import CONTENT, LOCAL_ONLY, NAME, PATIENT, SAYS_SO, Canaries, found_in
from tests.support.command_line import homebred
from tests.support.controller import Controller, running_controller
from tests.support.daemon_process import Site
from tests.support.fleet_site import enrolled
from tests.support.mqtt_client import Client, clients
from tests.support.sent_telemetry import events_of
from tests.support.wire_client import DaemonClient

from homebred_protocol import topics
from homebred_protocol.compression import decompressed
from homebred_protocol.ids import CONTROLLER
from homebred_protocol.mqtt import Arrived
from homebred_protocol.topics import DeviceTopic, Down, Up
from homebred_protocol.v1 import fleet_pb2
from homebred_protocol.v1 import inference_pb2 as wire

TASKS = 42
WITHIN_S = 90.0
MOST_BYTES = 8 << 20


class Reader:
    """Hears everything in the controller's place."""

    def __init__(self, client: Client, device: str) -> None:
        self._client, self._device = client, device
        self.heard: list[Arrived] = []
        client.connected()
        client.subscribe(f"{topics.ROOT}/#")

    def until(self, kind: Up, wanted: int, name: str = "") -> None:
        """Reads on until so many events, or messages, of a kind have come."""
        ends_s = time.monotonic() + WITHIN_S
        while self.count(kind, name) < wanted:
            assert time.monotonic() < ends_s, [one.topic for one in self.heard]
            one = self._client.wait(lambda happened: isinstance(happened, Arrived), within_s=WITHIN_S)
            assert isinstance(one, Arrived)
            self._client.acknowledge(one)
            topic = topics.read(one.topic)
            if topic is None or not isinstance(topic.kind, Up):
                continue  # its own, or a barrier
            self.heard.append(one)
            if topic.kind is Up.TELEMETRY:
                self._take(one)

    def count(self, kind: Up, name: str) -> int:
        """Events of a stream, or messages of another kind."""
        of_kind = [
            one for one in self.heard if (topic := topics.read(one.topic)) and (topic.kind, topic.name) == (kind, name)
        ]
        return sum(len(events_of(one.payload)) for one in of_kind) if kind is Up.TELEMETRY else len(of_kind)

    def command(self, op: str, number: int) -> None:
        """Orders something."""
        deadline_s = time.time_ns() // 1_000_000_000 + 600
        command = fleet_pb2.Command(schema=1, id=f"{number:032x}", op=op, deadline_s=deadline_s, issued_by="admin.ada")
        assert self._client.publish(DeviceTopic(self._device, Down.COMMAND, op).text, command.SerializeToString())

    def published(self) -> bytes:
        """Topics, payloads, and what is compressed in these."""
        parts = []
        for one in self.heard:
            topic = topics.read(one.topic)
            parts += [one.topic.encode(), one.payload]
            if topic is not None and topic.kind is Up.TELEMETRY:
                batch = fleet_pb2.TelemetryBatch.FromString(one.payload)
                parts.append(decompressed(batch.events, max_bytes=MOST_BYTES))
            elif topic is not None and topic.kind is Up.COMMAND_RESULT:
                result = fleet_pb2.CommandResult.FromString(one.payload)
                parts += [decompressed(result.attachment, max_bytes=MOST_BYTES)] if result.attachment else []
        return b"\n".join(parts)

    def _take(self, one: Arrived) -> None:
        batch = fleet_pb2.TelemetryBatch.FromString(one.payload)
        ack = fleet_pb2.TelemetryAck(schema=1, boot_id=batch.boot_id, stream=batch.stream, up_to_seq=batch.last_seq)
        self._client.publish(DeviceTopic(self._device, Down.ACK).text, ack.SerializeToString())


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    with running_controller(tmp_path / "fleet") as running:
        yield running


def ask(client: DaemonClient, canary: Canaries, number: int) -> str:
    """A local-only task, by its label or by what it says, with a canary in all that a caller fills; its route."""
    says, labels = f"Please note {canary(CONTENT)}.", [LOCAL_ONLY[number % len(LOCAL_ONLY)]]
    if number % 3 == 0:
        says = SAYS_SO[number % len(SAYS_SO)].format(number=4471203 + number, canary=canary(CONTENT))
        labels = ["public"]
    elif number % 3 == 1:
        labels.append(canary(NAME))
    task = wire.Task(task_id=canary(NAME), text=says, data_classes=labels, allows_escalation=True)
    if number % 4 == 0:
        task.workflow = canary(NAME)
    events = list(client.generate(wire.GenerateRequest(task=task)))
    decision = next(event.decision for event in events if event.HasField("decision"))
    assert decision.reason_code in {"local_only", "below_floor", "no_candidate"}, decision
    route: str = decision.route_id
    return route


def let_go(site: Site) -> None:
    """Somebody on the site looks at the bundle, and lets it leave."""
    ends_s = time.monotonic() + WITHIN_S
    while not (
        bundles := homebred("fleet", "diagnostics", "list", "--socket", site.socket, "--json").lines[0]["bundles"]
    ):
        assert time.monotonic() < ends_s, site.log
        time.sleep(0.2)
    ended = homebred("fleet", "diagnostics", "approve", bundles[0]["id"], "--socket", site.socket, "--json")
    assert ended.lines[0]["let_go"] is True


def test_nothing_that_an_enrolled_daemon_publishes_holds_a_word_of_a_local_only_task(
    controller: Controller, tmp_path: Path
) -> None:
    site, name = enrolled(controller, tmp_path / "device")
    controller.stop()
    names = tmp_path / "names.jsonl"
    names.write_text(json.dumps({"text": PATIENT, "class": "patient"}) + "\n")
    config = tmp_path / "homebred.toml"
    config.write_text(f'[detection]\ngazetteer_file = "{names}"\n')
    canary = Canaries("published by a daemon")
    with clients(controller.broker.port) as make:
        reader = Reader(make(CONTROLLER, controller.broker.controller), name)
        with site.daemon("--config", str(config)) as client:
            routes = [ask(client, canary, number) for number in range(TASKS)]
            client.feedback(wire.FeedbackRequest(route_id=routes[1], verdict=wire.VERDICT_BAD))
            reader.until(Up.TELEMETRY, TASKS, "route")
            for number, op in enumerate(("ping", "diagnostics", "drain"), start=1):
                reader.command(op, number)
            let_go(site)
            reader.until(Up.COMMAND_RESULT, 4)
        reader.until(Up.STATE, 2)
    assert any(
        fleet_pb2.CommandResult.FromString(one.payload).attachment
        for one in reader.heard
        if one.topic.endswith("/cmd-rs")
    )
    for kind, stream in ((Up.STATE, ""), (Up.REPORTED, ""), (Up.TELEMETRY, "health"), (Up.TELEMETRY, "receipt")):
        assert reader.count(kind, stream), stream
    published = reader.published()
    assert b"unrecognised" in published, "there was something to search"
    assert b'"checks"' in published, "the bundle, too"
    assert PATIENT.encode() not in published
    assert [route for route in routes if route.encode() in published] == []
    found = {word: found_in(published, word) for word in (CONTENT, NAME, *canary.sample(CONTENT), *canary.sample(NAME))}
    assert {word: places for word, places in found.items() if places} == {}
