"""Devices of three versions before the controller's to one after it: what each side reads of the other's messages."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select
from tests.support import other_schemas as others
from tests.support.stop_orders import DIRECTOR, as_signed, signed_stop
from tests.support.telemetry_messages import NOW_S, boot

from homebred_fleet.adapters.store import tables as kept
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.intake import StoreIntake
from homebred_fleet.adapters.wire.messages import command_bytes, desired_bytes, stop_bytes
from homebred_fleet.adapters.wire.telemetry import ack_bytes
from homebred_fleet.core.ingest import Ack
from homebred_fleet.ports.intake import Arrival, Fate
from homebred_fleet.ports.intents import CommandOrder, DesiredState, DocumentRef
from homebred_protocol.compression import compressed
from homebred_protocol.topics import DeviceTopic, Up
from homebred_protocol.v1 import fleet_pb2 as wire

OWN = 5
DEVICE = "clinic-1"


@pytest.fixture
def intake(database: Database) -> StoreIntake:
    with database.writing() as connection:
        row = {"id": DEVICE, "site": "a", "labels": {}, "state": "enrolled", "enrolled_at_s": 1}
        connection.execute(insert(kept.devices).values(row))
    return StoreIntake(database, own_schema=OWN)


def route_batch(version: str, schema: int, **more: Any) -> Arrival:
    """A route as a version writes it."""
    body = others.message(
        f"{version}.RouteEvent", selected_runtime=1, workflow="intake", reason_code=2, status=1, total_ms=40, **more
    )
    event = others.message(f"{version}.Event", seq=1, recorded_at_s=NOW_S, route=body)
    events = others.message(f"{version}.EventList", events=[event])
    batch = others.message(
        f"{version}.TelemetryBatch",
        schema=schema,
        boot_id=boot(),
        boot_number=1,
        stream=wire.STREAM_ROUTE,
        last_seq=1,
        count=1,
        events=compressed(events.SerializeToString()),
    )
    return said(Up.TELEMETRY, "route", batch)


def said(kind: Up, name: str, message: Any) -> Arrival:
    topic = DeviceTopic(DEVICE, kind, name).text
    return Arrival(topic=topic, payload=message.SerializeToString(), is_retained=False)


@pytest.mark.parametrize(
    ("schema", "version", "fate"),
    [
        (OWN - 4, "Older", Fate.REFUSED),
        (OWN - 3, "Older", Fate.STORED),
        (OWN - 2, "Older", Fate.STORED),
        (OWN - 1, "Older", Fate.STORED),
        (OWN, "Older", Fate.STORED),
        (OWN + 1, "Newer", Fate.STORED),
        (OWN + 2, "Newer", Fate.LATER),
    ],
)
def test_a_devices_telemetry_is_taken_from_three_versions_before_to_one_after(
    intake: StoreIntake, schema: int, version: str, fate: Fate
) -> None:
    (outcome,) = intake.take([route_batch(version, schema)], now_s=NOW_S)
    assert outcome.fate is fate


def test_what_an_older_device_does_not_know_yet_is_absent(intake: StoreIntake, database: Database) -> None:
    intake.take([route_batch("Older", OWN - 3)], now_s=NOW_S)
    with database.reading() as connection:
        row = connection.execute(select(kept.route_events)).one()
    assert (row.workflow, row.total_ms) == ("intake", 40)
    assert (row.findings, row.link, row.confidence_ppm, row.first_token_ms, row.policy_digest) == (0, 0, None, None, "")


def test_what_a_newer_device_says_beyond_is_passed_over_and_its_words_are_kept(
    intake: StoreIntake, database: Database
) -> None:
    message = route_batch("Newer", OWN + 1, of_the_next_version="?", link=77, classes=[2, 77])
    assert intake.take([message], now_s=NOW_S)[0].fate is Fate.STORED
    with database.reading() as connection:
        row = connection.execute(select(kept.route_events)).one()
    assert (row.workflow, row.link) == ("intake", 77)
    assert row.classes == 1 << wire.DATA_CLASS_CLIENT | 1 << wire.DATA_CLASS_OTHER


@pytest.mark.parametrize(("version", "schema"), [("Older", OWN - 3), ("Newer", OWN + 1)])
def test_states_reports_floors_and_results_are_read_from_both_ends(
    intake: StoreIntake, version: str, schema: int
) -> None:
    of_boot = {"schema": schema, "boot_id": boot(), "boot_number": 1}
    messages = [
        said(Up.STATE, "", others.message(f"{version}.DeviceState", **of_boot, online=True, connection=1)),
        said(Up.REPORTED, "", others.message(f"{version}.Reported", **of_boot, revision=1, software_version="x")),
        said(
            Up.REQUEST,
            "telemetry-floor",
            others.message(f"{version}.TelemetryFloor", **of_boot, stream=4, acknowledged_seq=3, acknowledged_events=3),
        ),
        said(
            Up.COMMAND_RESULT, "", others.message(f"{version}.CommandResult", schema=schema, id="0" * 32, state="done")
        ),
    ]
    outcomes = intake.take(messages, now_s=NOW_S)
    assert [outcome.fate for outcome in outcomes[:3]] == [Fate.STORED] * 3
    assert outcomes[3].cause == "unknown-command"  # it was read: no such command was given


@pytest.mark.parametrize("schema", [OWN - 4, OWN + 2])
def test_what_is_further_away_is_quarantined_by_its_schema(intake: StoreIntake, schema: int) -> None:
    state = others.message("Newer.DeviceState", schema=schema, boot_id=boot(), boot_number=1, online=True, connection=1)
    (outcome,) = intake.take([said(Up.STATE, "", state)], now_s=NOW_S)
    assert (outcome.fate, outcome.cause) == (Fate.QUARANTINED, "schema")


DESIRED = DesiredState(
    device=DEVICE,
    version=3,
    issued_at_s=NOW_S,
    policy=DocumentRef(digest="sha256:p", length=5),
    gazetteer=DocumentRef(digest="sha256:g", length=6),
    labels={"role": "kiosk"},
)


@pytest.mark.parametrize("version", ["Older", "Newer"])
def test_older_and_newer_devices_read_what_this_controller_says(version: str) -> None:
    desired = others.read(f"{version}.Desired", desired_bytes(DESIRED))
    assert (desired.device_id, desired.version, desired.policy.digest) == (DEVICE, 3, "sha256:p")
    ack = Ack(device=DEVICE, boot_id=boot(), stream=4, up_to_seq=9, refused_up_to_seq=9, refusal_code="count")
    assert others.read(f"{version}.TelemetryAck", ack_bytes(ack)).up_to_seq == 9
    order = CommandOrder(
        id="0" * 32, device=DEVICE, op="ping", issued_at_s=1, deadline_s=5, issued_by="ada", parameters={"a": "b"}
    )
    assert others.read(f"{version}.Command", command_bytes(order)).deadline_s == 5
    stop = others.read(f"{version}.StopOrder", stop_bytes(as_signed(signed_stop(4, stopped=True))))
    assert (stop.stopped, stop.key_id) == (True, DIRECTOR)


@pytest.mark.parametrize("version", ["Older", "Newer"])
def test_this_version_reads_what_older_and_newer_controllers_say(version: str) -> None:
    document = others.message(f"{version}.Document", digest="sha256:p", length=5)
    told = others.message(f"{version}.Desired", schema=2, device_id=DEVICE, version=7, policy=document)
    assert wire.Desired.FromString(told.SerializeToString()).policy.digest == "sha256:p"
    ack = others.message(f"{version}.TelemetryAck", schema=2, boot_id=boot(), stream=4, up_to_seq=9)
    assert wire.TelemetryAck.FromString(ack.SerializeToString()).up_to_seq == 9
