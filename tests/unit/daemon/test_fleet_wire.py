from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.stop_orders import order_in, signed_stop, stop_bytes

from homebred_daemon.adapters.fleet_wire import MAX_MESSAGE_BYTES, FleetWire
from homebred_daemon.adapters.store.fleet_state import SqliteFleetMemory
from homebred_daemon.core.commands import Command
from homebred_daemon.core.fleet_messages import (
    OWN,
    Answered,
    Desired,
    Document,
    Facts,
    FloorReport,
    NoStopOrder,
    PartReport,
    PartState,
    Presence,
    Reported,
    Request,
    StopOrder,
    TelemetryAck,
    Unreadable,
)
from homebred_daemon.core.stopping import Stopping
from homebred_protocol import requests
from homebred_protocol.digests import digest_of
from homebred_protocol.limits import MAX_GIVEN
from homebred_protocol.schemas import AFTER, CURRENT
from homebred_protocol.topics import STOP
from homebred_protocol.v1 import fleet_pb2 as wire

OWN_TOPICS = "hb/1/default/d/dev-1"
WORDS = FleetWire("dev-1")
BOOT = "ab" * 16
BODY = b"escalation = false\n"


def document(**changes: object) -> wire.Document:
    values = {"digest": digest_of(BODY), "length": len(BODY)} | changes
    return wire.Document(**values)  # type: ignore[arg-type]  # wrong ones are the point


def desired(**changes: object) -> bytes:
    values = {"schema": CURRENT, "device_id": "dev-1", "version": 3} | changes
    return wire.Desired(**values).SerializeToString()  # type: ignore[arg-type]  # wrong ones are the point


def test_a_desired_state_names_its_documents() -> None:
    said = WORDS.read(f"{OWN_TOPICS}/desired", desired(policy=document(), labels={"role": "kiosk"}))
    policy = Document(digest=digest_of(BODY), length=len(BODY))
    assert said == Desired(device_id="dev-1", version=3, policy=policy, gazetteer=OWN, labels={"role": "kiosk"})


def test_bytes_that_an_older_controller_sends_along_are_not_read() -> None:
    inline = document().SerializeToString() + b"\x1a\x05bytes"  # field 3, as it was once
    own = wire.Desired(schema=CURRENT, device_id="dev-1", version=3).SerializeToString()
    said = WORDS.read(f"{OWN_TOPICS}/desired", own + b"\x2a" + bytes([len(inline)]) + inline)
    assert isinstance(said, Desired)
    assert said.policy == Document(digest=digest_of(BODY), length=len(BODY))


@pytest.mark.parametrize(
    "payload",
    [
        desired(policy=document(length=0)),
        desired(policy=document(length=2**20 + 1)),
        desired(policy=document(digest="sha256:ABC")),
        desired(policy=document(digest="../../etc/passwd")),
        desired(version=0),
        desired(version=MAX_GIVEN + 1),
        desired(labels={"Role": "kiosk"}),
        desired(labels={f"k{n}": "v" for n in range(65)}),
        b"\xff",
    ],
)
def test_a_desired_state_that_is_not_in_order_says_nothing(payload: bytes) -> None:
    assert WORDS.read(f"{OWN_TOPICS}/desired", payload) == Unreadable(kind="desired", cause="malformed")


def test_an_answer_a_stop_order_and_a_command_are_read() -> None:
    ack = wire.TelemetryAck(schema=CURRENT, boot_id=BOOT, stream=wire.STREAM_ROUTE, up_to_seq=5, refused_up_to_seq=4)
    assert WORDS.read(f"{OWN_TOPICS}/tm-ack", ack.SerializeToString()) == TelemetryAck(
        boot_id=BOOT, stream="route", up_to_seq=5, refused_up_to_seq=4
    )
    order = signed_stop(2, stopped=True, reason_code="incident")
    assert WORDS.read(STOP, stop_bytes(order)) == order
    command = wire.Command(schema=CURRENT, id="c" * 32, op="ping", deadline_s=9, issued_by="ada")
    assert WORDS.read(f"{OWN_TOPICS}/cmd/ping", command.SerializeToString()) == Command(
        id="c" * 32, op="ping", deadline_s=9, issued_by="ada"
    )
    assert isinstance(WORDS.read(f"{OWN_TOPICS}/cmd/drain", command.SerializeToString()), Unreadable)


@pytest.mark.parametrize("field", [{"key_id": "k" * 65}, {"signature": b"s" * 65}])
def test_a_signature_longer_than_any_says_nothing(field: dict[str, Any]) -> None:
    order = wire.StopOrder(schema=CURRENT, epoch=1, stopped=True, **field)
    assert WORDS.read(STOP, order.SerializeToString()) == Unreadable(kind="stop", cause="malformed")


def test_an_empty_message_says_that_there_is_no_stop_order() -> None:
    assert WORDS.read(STOP, b"") == NoStopOrder()


@pytest.mark.parametrize("epoch", [0, MAX_GIVEN + 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_an_epoch_above_which_none_could_follow_says_nothing(epoch: int) -> None:
    order = wire.StopOrder(schema=CURRENT, epoch=epoch, stopped=False)
    assert WORDS.read(STOP, order.SerializeToString()) == Unreadable(kind="stop", cause="malformed")


def test_the_highest_numbers_are_read_and_kept(tmp_path: Path) -> None:
    order = WORDS.read(STOP, wire.StopOrder(schema=CURRENT, epoch=MAX_GIVEN, stopped=True).SerializeToString())
    newest = WORDS.read(f"{OWN_TOPICS}/desired", desired(version=MAX_GIVEN))
    assert isinstance(order, StopOrder)
    assert isinstance(newest, Desired)
    memory = SqliteFleetMemory(tmp_path / "fleet.db", "dev-1")
    memory.keep_stop(Stopping().heard(order, frozenset()))
    memory.keep_desired(newest)
    assert (memory.stopping().epoch, memory.desired().highest_version) == (MAX_GIVEN, MAX_GIVEN)
    memory.close()


@pytest.mark.parametrize("schema", [0, CURRENT + AFTER + 1])
def test_a_schema_that_is_not_understood_is_passed_over(schema: int) -> None:
    said = WORDS.read(f"{OWN_TOPICS}/desired", desired(schema=schema))
    assert said == Unreadable(kind="desired", cause="schema")


def test_the_next_schema_is_understood() -> None:
    assert isinstance(WORDS.read(f"{OWN_TOPICS}/desired", desired(schema=CURRENT + AFTER)), Desired)


@pytest.mark.parametrize(
    "topic", ["hb/1/default/d/dev-2/desired", f"{OWN_TOPICS}/reported", f"{OWN_TOPICS}/rs/x", "x", f"{OWN_TOPICS}/cmd/"]
)
def test_what_is_no_topic_of_this_devices_says_nothing(topic: str) -> None:
    assert WORDS.read(topic, desired()) == Unreadable(kind="", cause="topic")


def test_what_is_too_large_is_not_even_looked_at() -> None:
    assert WORDS.read(f"{OWN_TOPICS}/desired", b"\0" * (MAX_MESSAGE_BYTES + 1)) == Unreadable(
        kind="desired", cause="too_large"
    )


@given(
    st.sampled_from([STOP, *(f"{OWN_TOPICS}/{kind}" for kind in ("desired", "tm-ack", "cmd/ping", "rs"))]), st.binary()
)
def test_nothing_that_comes_fails(topic: str, payload: bytes) -> None:
    WORDS.read(topic, payload)


def test_what_the_device_says_is_what_is_read_again() -> None:
    presence = Presence(online=True, boot_id=BOOT, boot_number=3, connection=2, since_s=9, reason="birth")
    said = WORDS.message(presence)
    assert (said.topic, said.retain) == (f"{OWN_TOPICS}/state", True)
    state = wire.DeviceState.FromString(said.payload)
    assert (state.schema, state.online, state.boot_number, state.connection) == (CURRENT, True, 3, 2)
    reported = Reported(
        boot_id=BOOT,
        boot_number=3,
        revision=4,
        at_s=5,
        desired_version=6,
        highest_version=7,
        parts=(PartReport(name="policy", digest="sha256:x", state=PartState.REFUSED, problem_code="c", problem="p"),),
        facts=Facts(software_version="1", certificate_ends_at_s=8, architecture="x86_64"),
        stop_epoch=2,
        stopped=True,
        stop_order=signed_stop(2, stopped=True),
        labels={"role": "kiosk"},
    )
    said = WORDS.message(reported)
    assert (said.topic, said.retain) == (f"{OWN_TOPICS}/reported", True)
    read = wire.Reported.FromString(said.payload)
    assert (read.highest_version, read.parts[0].state, read.stopped) == (7, "refused", True)
    assert dict(read.labels) == {"role": "kiosk"}
    assert order_in(read.stop_order.SerializeToString()) == reported.stop_order
    floor = FloorReport(boot_id=BOOT, boot_number=3, stream="gap", acknowledged_seq=5, acknowledged_events=4)
    said = WORDS.message(floor)
    assert (said.topic, said.retain) == (f"{OWN_TOPICS}/rq/telemetry-floor", False)
    assert wire.TelemetryFloor.FromString(said.payload).stream == wire.STREAM_GAP
    assert WORDS.telemetry_topic("route") == f"{OWN_TOPICS}/tm/route"


def test_a_request_goes_to_its_operation_with_its_head() -> None:
    said = WORDS.message(Request(operation="blocks", correlation=b"c" * 16, body=b"which"))
    assert (said.topic, said.retain) == (f"{OWN_TOPICS}/rq/blocks", False)
    assert requests.read_request(said.payload) == requests.Request(b"c" * 16, b"which")


def test_an_answer_may_be_longer_than_any_other_message_and_what_is_none_is_said_to_be() -> None:
    body = b"x" * requests.MAX_ANSWERED_BYTES
    payload = requests.answer_bytes(requests.Answer(b"c" * 16, requests.Outcome.GIVEN, body))
    said = WORDS.read(f"{OWN_TOPICS}/rs", payload)
    assert said == Answered(correlation=b"c" * 16, outcome=requests.Outcome.GIVEN, body=body)
    assert WORDS.read(f"{OWN_TOPICS}/rs", payload + b"x") == Unreadable(kind="rs", cause="too_large")
    assert WORDS.read(f"{OWN_TOPICS}/rs", b"c" * 16 + b"\xff") == Unreadable(kind="rs", cause="malformed")
    assert WORDS.read(OWN_TOPICS.replace("dev-1", "dev-2") + "/rs", payload) == Unreadable(kind="", cause="topic")
