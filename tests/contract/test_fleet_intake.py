"""What the controller's store makes of devices' messages, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy import Table, func, insert, select, update
from tests.support import telemetry_messages as made
from tests.support.telemetry_messages import NOW_S, batch, boot, route, routes, sent

from homebred_fleet.adapters.store.accounts import accounts
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.intake import StoreIntake
from homebred_fleet.adapters.store.tables import (
    controller_gaps,
    desired,
    devices,
    presence,
    quarantine,
    route_events,
    route_hours,
    watermarks,
)
from homebred_fleet.adapters.store.tables import reported as reports
from homebred_fleet.adapters.store.telemetry import TABLES
from homebred_fleet.adapters.wire.event_rows import BOUNDS
from homebred_fleet.adapters.wire.telemetry import STREAMS
from homebred_fleet.core.ingest import Ack
from homebred_fleet.errors import StoreBusyError, StoreError
from homebred_fleet.ports.intake import Arrival, Fate, Outcome
from homebred_protocol.compression import compressed
from homebred_protocol.v1 import fleet_pb2 as wire

DEVICE = "clinic-1"


class Controller:
    """The store with two devices, a revoked and a replaced one."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.intake = StoreIntake(database)
        states = {DEVICE: "enrolled", "factory-1": "enrolled", "gone-1": "revoked", "old-1": "replaced"}
        with database.writing() as connection:
            connection.execute(
                insert(devices),
                [
                    {"id": name, "site": "a", "labels": {}, "state": state, "enrolled_at_s": 1}
                    for name, state in states.items()
                ],
            )

    def take(self, *arrivals: Arrival, now_s: int = NOW_S) -> list[Outcome]:
        return list(self.intake.take(arrivals, now_s=now_s))

    def fates(self, *arrivals: Arrival) -> list[str]:
        return [outcome.fate.value for outcome in self.take(*arrivals)]

    def rows(self, table: Table) -> list[dict[str, object]]:
        with self.database.reading() as connection:
            found = connection.execute(select(table).order_by(*table.primary_key.columns))
            return [dict(row) for row in found.mappings()]

    def count(self, table: Table) -> int:
        with self.database.reading() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

    def causes(self) -> dict[str, int]:
        with self.database.reading() as connection:
            counted = select(quarantine.c.cause, func.sum(quarantine.c.messages)).group_by(quarantine.c.cause)
            return {cause: int(messages) for cause, messages in connection.execute(counted)}


@pytest.fixture
def controller(database: Database) -> Controller:
    return Controller(database)


def ack(
    up_to: int, *, refused: int = 0, code: str = "", stream: int = wire.STREAM_ROUTE, was_behind: bool = False
) -> Ack:
    return Ack(
        device=DEVICE,
        boot_id=boot(),
        stream=stream,
        up_to_seq=up_to,
        refused_up_to_seq=refused,
        refusal_code=code,
        was_behind=was_behind,
    )


def test_every_stream_has_its_table_and_a_bound_for_each_of_its_columns_in_their_order() -> None:
    assert set(STREAMS.values()) == set(TABLES)
    for stream, table in TABLES.items():
        assert list(BOUNDS[stream]) == [column.name for column in table.columns]


def test_a_batch_becomes_a_row_per_event_with_typed_fields(controller: Controller) -> None:
    (outcome,) = controller.take(routes(DEVICE, 1, 3))
    assert outcome == Outcome(fate=Fate.STORED, device=DEVICE, events=3, ack=ack(3))
    first = controller.rows(route_events)[0]
    assert first == {
        "boot": 1,
        "seq": 1,
        "recorded_at_s": NOW_S + 1,
        "received_at_s": NOW_S,
        "selected_runtime": 1,
        "selected_model_or_stack": "intake-3",
        "redaction_required": False,
        "evidence_required": False,
        "fallback_target": 1,
        "route_created_at_s": NOW_S + 1,
        "guarded": False,
        "reason_code": wire.ROUTE_REASON_MARGIN_MET,
        "route_id": f"{1:032x}",
        "workflow": "intake.normalise",
        "status": 1,
        "answered_by": "intake-3",
        "classes": 1 << wire.DATA_CLASS_PATIENT | 1 << wire.DATA_CLASS_PUBLIC,
        "findings": 1 << wire.ROUTE_FINDING_SLOW,
        "link": wire.ROUTE_LINK_UP,
        "prompt_tokens": 120,
        "completion_tokens": 60,
        "first_token_ms": 35,
        "total_ms": 400,
        "confidence_ppm": 930_000,
        "policy_digest": "sha256:" + "a" * 64,
    }


@pytest.mark.parametrize("stream", made.EVENTS, ids=made.WORDS.values())
def test_an_event_of_every_stream_becomes_a_row_of_its_table(
    controller: Controller, stream: wire.Stream.ValueType
) -> None:
    (outcome,) = controller.take(sent(DEVICE, batch([made.EVENTS[stream](seq) for seq in (1, 4)], stream=stream)))
    assert (outcome.fate, outcome.events, outcome.ack) == (Fate.STORED, 2, ack(4, stream=stream))
    assert [row["seq"] for row in controller.rows(TABLES[stream])] == [1, 4]


def test_what_is_not_said_is_null_and_not_zero(controller: Controller) -> None:
    event = route(1)
    event.route.ClearField("first_token_ms")
    event.route.ClearField("confidence_ppm")
    zero = route(2)
    zero.route.first_token_ms = zero.route.confidence_ppm = 0
    controller.take(sent(DEVICE, batch([event, zero])))
    found = [(row["first_token_ms"], row["confidence_ppm"]) for row in controller.rows(route_events)]
    assert found == [(None, None), (0, 0)]


def test_words_of_a_newer_device_are_kept_as_they_came_and_its_classes_count_as_other(controller: Controller) -> None:
    event = route(1)
    body = wire.RouteEvent.FromString(event.route.SerializeToString() + b"\x48\x63" + b"\x72\x01\x63")
    event.route.CopyFrom(body)
    controller.take(sent(DEVICE, batch([event])))
    (row,) = controller.rows(route_events)
    assert row["reason_code"] == 99
    assert int(str(row["classes"])) & 1 << wire.DATA_CLASS_OTHER


def test_the_same_batch_again_is_acknowledged_again_and_stored_once(controller: Controller) -> None:
    message = routes(DEVICE, 1, 3)
    assert controller.fates(message, message) == ["stored", "duplicate"]
    (again,) = controller.take(message)
    assert (again.fate, again.ack) == (Fate.DUPLICATE, ack(3))
    assert controller.count(route_events) == 3
    assert [row["routes"] for row in controller.rows(route_hours)] == [3]


def test_what_comes_too_early_is_not_stored_and_the_device_is_told_where_to_begin(controller: Controller) -> None:
    controller.take(routes(DEVICE, 1, 3))
    early, missing = routes(DEVICE, 7, 9, after_seq=6), routes(DEVICE, 4, 6, after_seq=3)
    (hole,) = controller.take(early)
    assert (hole.fate, hole.ack) == (Fate.HOLE, ack(3))
    assert controller.fates(missing, early) == ["stored", "stored"]
    assert [row["seq"] for row in controller.rows(route_events)] == list(range(1, 10))


def test_a_batch_of_a_boot_that_was_never_heard_of_begins_at_its_first(controller: Controller) -> None:
    (hole,) = controller.take(routes(DEVICE, 7, 9, after_seq=6))
    assert hole.ack == ack(0)


def test_two_devices_with_the_same_boot_id_do_not_meet(controller: Controller) -> None:
    assert controller.fates(routes(DEVICE, 1, 3), routes("factory-1", 1, 3)) == ["stored", "stored"]
    assert controller.count(route_events) == 6


def test_a_window_is_taken_in_one_transaction_in_its_order(controller: Controller) -> None:
    window = [routes(DEVICE, first, first + 4, after_seq=first - 1) for first in (1, 6, 11, 16)]
    outcomes = controller.take(*window)
    assert [outcome.ack for outcome in outcomes] == [ack(5), ack(10), ack(15), ack(20)]
    (mark,) = controller.rows(watermarks)
    assert (mark["up_to_seq"], mark["events"]) == (20, 20)


def with_events(payload: bytes) -> wire.TelemetryBatch:
    """A batch of three whose numbers are right, with other bytes for its events."""
    message = batch([route(1), route(2), route(3)])
    message.events = payload
    return message


def with_second(event: wire.Event) -> wire.TelemetryBatch:
    """A batch of three with another event in its middle."""
    return batch([route(1), event, route(3)])


def with_bytes(more: bytes) -> wire.Event:
    """A route whose message goes on with more bytes: the last value of a field holds."""
    event = route(2)
    event.route.CopyFrom(wire.RouteEvent.FromString(event.route.SerializeToString() + more))
    return event


def guarded() -> wire.Event:
    """A task that must not leave its device, with what must not leave it."""
    event = route(2)
    event.route.guarded = True
    return event


def out_of_order() -> wire.TelemetryBatch:
    message = batch([route(2), route(1), route(3)])
    message.count = 3
    return message


def of_fewer() -> wire.TelemetryBatch:
    message = batch([route(1), route(2), route(3)])
    message.count = 2
    return message


NEGATIVE_WORD = b"\x48" + b"\xff" * 9 + b"\x01"
LATE = wire.Event(seq=2, recorded_at_s=2**60, route=route(2).route)
BROKEN = {
    "compression": with_events(b"not zstd"),
    "compression-bomb": with_events(compressed(b"\0" * 5_000_000)),
    "not-parsable": with_events(compressed(b"\xff\xff")),
    "count": of_fewer(),
    "sequence": out_of_order(),
    "kind": with_second(made.health(2)),
    "text": with_second(route(2, workflow="a\0b")),
    "text-too-long": with_second(route(2, workflow="w" * 201)),
    "number": with_second(route(2, total_ms=2**63)),
    "number-negative": with_second(with_bytes(NEGATIVE_WORD)),
    "time": with_second(LATE),
    "too-many-words": with_second(with_bytes(b"\x70\x01" * 100)),
    "guarded-content": with_second(guarded()),
}
"""By what is wrong with it; the cause is the beginning of that."""
NO_BATCH = BROKEN["compression"]


@pytest.mark.parametrize("fault", BROKEN)
def test_a_batch_that_can_never_be_taken_is_refused_counted_and_passed_over(controller: Controller, fault: str) -> None:
    refused, after = controller.take(sent(DEVICE, BROKEN[fault]), routes(DEVICE, 4, 5, after_seq=3))
    assert (refused.fate, after.fate) == (Fate.REFUSED, Fate.STORED)
    assert fault.startswith(refused.cause)
    assert refused.ack == ack(3, refused=3, code=refused.cause)
    (lost,) = controller.rows(controller_gaps)
    assert (lost["after_seq"], lost["last_seq"], lost["events"]) == (0, 3, BROKEN[fault].count)
    assert controller.causes() == {refused.cause: 1}
    assert [row["seq"] for row in controller.rows(route_events)] == [4, 5]


def test_a_refused_batch_is_refused_again_however_often_it_comes(controller: Controller) -> None:
    refused = sent(DEVICE, NO_BATCH)
    first, second, _ = controller.take(refused, refused, routes(DEVICE, 4, 5, after_seq=3))
    assert first.ack == ack(3, refused=3, code="compression")
    assert second.ack == ack(3, refused=3, code="refused-before")
    (again,) = controller.take(refused)
    assert again.ack == ack(5, refused=3, code="refused-before")
    assert [row["events"] for row in controller.rows(controller_gaps)] == [3]


def test_what_was_private_is_not_even_kept_as_a_sample(controller: Controller) -> None:
    controller.take(sent(DEVICE, BROKEN["guarded-content"]), sent("factory-1", NO_BATCH))
    samples = {row["cause"]: row["sample"] for row in controller.rows(quarantine)}
    assert samples == {"guarded-content": b"", "compression": NO_BATCH.SerializeToString()}


def test_a_newer_schema_is_kept_by_its_device_and_nothing_is_lost(controller: Controller) -> None:
    newer = batch([route(1)], schema=9)
    (outcome,) = controller.take(sent(DEVICE, newer))
    assert (outcome.fate, outcome.ack) == (Fate.LATER, ack(0, code="schema-too-new"))
    assert controller.count(controller_gaps) == 0
    newer.schema = 2  # after an upgrade of the controller it would be one ahead
    assert controller.fates(sent(DEVICE, newer)) == ["stored"]


@pytest.mark.parametrize(
    ("device", "cause"), [("gone-1", "revoked-device"), ("old-1", "replaced-device"), ("nobody", "unknown-device")]
)
def test_who_may_not_speak_is_quarantined_and_told_nothing(controller: Controller, device: str, cause: str) -> None:
    arrivals = [routes(device, 1, 3), made.state(device), made.reported(device), made.floor(device, 5, 5)]
    outcomes = controller.take(*arrivals, routes(DEVICE, 1, 3))
    assert [outcome.fate for outcome in outcomes] == [*[Fate.QUARANTINED] * 4, Fate.STORED]
    assert [outcome.ack for outcome in outcomes[:4]] == [None] * 4
    assert controller.causes() == {cause: 4}
    assert controller.count(presence) == 0


def test_the_quarantine_is_bounded_and_what_is_past_it_is_counted_under_nobodys_name(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homebred_fleet.adapters.store.quarantine.MAX_ROWS", 3)
    for number in range(6):
        controller.take(routes(f"nobody-{number}", 1, 3))
    found = {row["device"]: row["messages"] for row in controller.rows(quarantine)}
    assert found == {"nobody-0": 1, "nobody-1": 1, "nobody-2": 1, "": 3}


def test_a_restored_copy_counts_what_it_lost_and_goes_on_after_it(controller: Controller) -> None:
    controller.take(routes(DEVICE, 1, 4))
    # Of 5 to 12, eight events were acknowledged by the controller whose disk is gone.
    early = routes(DEVICE, 13, 14, after_seq=12)
    assert controller.take(early)[0].ack == ack(4)
    (raised,) = controller.take(made.floor(DEVICE, 12, 12))
    assert (raised.fate, raised.events, raised.ack) == (Fate.STORED, 8, ack(12, was_behind=True))
    assert controller.fates(made.floor(DEVICE, 12, 12), early) == ["duplicate", "stored"]
    (lost,) = controller.rows(controller_gaps)
    assert (lost["after_seq"], lost["last_seq"], lost["events"]) == (4, 12, 8)
    assert lost["reason"] == wire.GAP_REASON_CONTROLLER


def test_a_restored_copy_counts_a_boot_that_it_never_heard_of(controller: Controller) -> None:
    (raised,) = controller.take(made.floor(DEVICE, 30, 10))
    assert (raised.events, raised.ack) == (10, ack(30, was_behind=True))


def test_rows_and_counted_losses_are_the_events(controller: Controller) -> None:
    controller.take(routes(DEVICE, 1, 4), sent(DEVICE, batch([made.gap(5)], stream=wire.STREAM_GAP)))
    refused = batch([route(6), route(7)], after_seq=4)
    refused.events = b"broken"
    controller.take(sent(DEVICE, refused))
    own = made.gap(8, events=2)
    own.gap.boot_id, own.gap.first_seq, own.gap.last_seq = boot(), 6, 7
    own.gap.reason = wire.GAP_REASON_REFUSED
    controller.take(sent(DEVICE, batch([own], stream=wire.STREAM_GAP, after_seq=5)))
    with controller.database.reading() as connection:
        (found,) = accounts(connection)
    # Rows: four routes and two gaps. Lost: five that the device dropped, two that were refused, which both sides count.
    assert (found.device, found.rows, found.lost_on_device, found.lost_here) == (DEVICE, 6, 5, 2)


def test_a_transaction_that_fails_leaves_nothing_of_its_group(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreBusyError

    with monkeypatch.context() as patched:
        patched.setattr("homebred_fleet.adapters.store.quarantine.QuarantineGroup.flush", fail)
        with pytest.raises(StoreError):
            controller.take(routes(DEVICE, 1, 3))
    assert controller.count(route_events) == controller.count(watermarks) == 0
    assert controller.fates(routes(DEVICE, 1, 3)) == ["stored"]


def test_hours_are_rolled_up_with_the_rows(controller: Controller) -> None:
    hour = NOW_S // 3600
    later = route(3, workflow="audit", total_ms=70)
    later.route.route_created_at_utc.FromSeconds((hour + 1) * 3600)
    later.route.findings.append(wire.ROUTE_FINDING_LOW_CONFIDENCE)
    controller.take(sent(DEVICE, batch([route(1), route(2)])))
    controller.take(sent(DEVICE, batch([later, route(4)], after_seq=2)))
    found = {
        (row["hour"], row["workflow"]): (row["routes"], row["weak"], row["slow"], row["total_ms"])
        for row in controller.rows(route_hours)
    }
    assert found == {(hour, "intake.normalise"): (3, 0, 3, 1200), (hour + 1, "audit"): (1, 1, 1, 70)}


def test_births_and_wills_make_presence_and_a_stale_will_does_not(controller: Controller) -> None:
    steps = [
        (made.state(DEVICE), True),
        (made.state(DEVICE, online=False, reason="lost"), False),
        (made.state(DEVICE, connection=2), True),
        (made.state(DEVICE, online=False, reason="lost", connection=1), True),
        (made.state(DEVICE, boot_number=2), True),
        (made.state(DEVICE, online=False, reason="stopping", boot_number=2), False),
        (made.state(DEVICE, online=False, reason="lost", boot_number=1, connection=2), False),
    ]
    for message, expected in steps:
        controller.take(message)
        assert [row["online"] for row in controller.rows(presence)] == [expected]


def test_a_birth_is_told_so_that_waiting_commands_are_sent_again(controller: Controller) -> None:
    (born,) = controller.take(made.state(DEVICE))
    (again,) = controller.take(made.state(DEVICE))
    assert (born.is_birth, again.is_birth) == (True, False)


def test_what_a_device_reports_is_kept_whole_with_its_numbers(controller: Controller) -> None:
    part = wire.PartReport(name="policy", digest="sha256:x", state="refused", problem_code="bad", problem="what, why")
    controller.take(made.reported(DEVICE, version=3, parts=[part]))
    (row,) = controller.rows(reports)
    assert (row["desired_version"], row["highest_version"], row["standing"]) == (3, 3, "refused")
    body = row["body"]
    assert isinstance(body, dict)
    assert body["certificate_ends_at_s"] == NOW_S + 86_400
    assert body["parts"][0]["problem_code"] == "bad"
    assert body["stopped"] is False


def test_an_older_report_does_not_replace_a_newer_one(controller: Controller) -> None:
    fates = controller.fates(
        made.reported(DEVICE, revision=2),
        made.reported(DEVICE, revision=1),
        made.reported(DEVICE, revision=2),
        made.reported(DEVICE, revision=1, boot_number=2),
    )
    assert fates == ["stored", "duplicate", "duplicate", "stored"]


def wanted(controller: Controller, version: int) -> None:
    with controller.database.writing() as connection:
        connection.execute(
            insert(desired).values(device=1, version=version, policy_digest="sha256:ours", set_at_s=1, set_by="ada")
        )


def test_a_controller_that_was_restored_jumps_above_what_a_device_has_seen(controller: Controller) -> None:
    wanted(controller, 3)
    (outcome,) = controller.take(made.reported(DEVICE, version=9))
    assert outcome.asks_for_desired
    (row,) = controller.rows(desired)
    assert (row["version"], row["policy_digest"], row["published_version"]) == (10, "sha256:ours", 0)


def test_a_device_that_reports_nonsense_makes_no_storm_of_versions(controller: Controller) -> None:
    wanted(controller, 3)
    outcomes = [
        controller.take(made.reported(DEVICE, revision=step, version=100 * step))[0].asks_for_desired
        for step in range(1, 5)
    ]
    assert outcomes == [True, False, False, False]
    (later,) = controller.take(made.reported(DEVICE, revision=9, version=900), now_s=NOW_S + 61)
    assert later.asks_for_desired


def test_a_device_in_step_is_left_alone(controller: Controller) -> None:
    wanted(controller, 3)
    part = wire.PartReport(name="policy", digest="sha256:ours", state="applied")
    (outcome,) = controller.take(made.reported(DEVICE, version=3, parts=[part]))
    assert not outcome.asks_for_desired


OWN = f"hb/1/default/d/{DEVICE}"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "hb/1/default/stop",
        f"{OWN}/tm/unheard-of",
        f"{OWN}/rq/shell",
        f"{OWN}/ev",
        f"{OWN}/desired",
        "hb/2/default/d/clinic-1/state",
        "x" * 9_000,
    ],
)
def test_what_is_on_no_topic_that_is_understood_is_counted(controller: Controller, topic: str) -> None:
    assert controller.fates(Arrival(topic=topic, payload=b"x", is_retained=False)) == ["quarantined"]
    assert sum(controller.causes().values()) == 1


def test_that_a_device_was_heard_is_noted_now_and_then(controller: Controller) -> None:
    controller.take(made.state(DEVICE))
    controller.take(routes(DEVICE, 1, 2), now_s=NOW_S + 10)
    assert [row["heard_at_s"] for row in controller.rows(presence)] == [NOW_S]
    controller.take(routes(DEVICE, 3, 4, after_seq=2), now_s=NOW_S + 40)
    assert [row["heard_at_s"] for row in controller.rows(presence)] == [NOW_S + 40]


def test_what_the_database_refuses_can_be_set_aside(controller: Controller) -> None:
    outcome = controller.intake.set_aside(routes(DEVICE, 1, 2), cause="store", now_s=NOW_S)
    assert (outcome.fate, outcome.cause) == (Fate.QUARANTINED, "store")
    assert controller.causes() == {"store": 1}


def test_a_revocation_holds_from_the_next_message_on(controller: Controller) -> None:
    controller.take(routes(DEVICE, 1, 2))
    with controller.database.writing() as connection:
        connection.execute(update(devices).where(devices.c.id == DEVICE).values(state="revoked"))
    assert controller.fates(routes(DEVICE, 3, 4, after_seq=2)) == ["quarantined"]
