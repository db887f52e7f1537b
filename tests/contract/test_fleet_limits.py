"""The longest that a device and its controller may say to each other is taken by the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from tests.support.stop_orders import as_signed, stop_bytes

from homebred_daemon.adapters.fleet_wire import FleetWire
from homebred_daemon.core.commands import CommandResult, State
from homebred_daemon.core.fleet_messages import Desired, Facts, PartReport, PartState, Reported, StopOrder
from homebred_fleet.adapters.http_api.administration.assigning_routes import StopBody
from homebred_fleet.adapters.wire.messages import desired_bytes, read_report, read_result, read_stop
from homebred_fleet.ports.intents import DesiredState
from homebred_protocol.limits import MAX_GIVEN, MAX_LABELS, MAX_SENTENCE
from homebred_protocol.stop_orders import LATEST_S, MAX_KEY_ID, MAX_REASON, SIGNATURE_BYTES
from homebred_protocol.topics import STOP

DEVICE = "clinic-1"
WORDS = FleetWire(DEVICE)
LABELS = {f"{'k' * 60}{number:03}": "v" * 63 for number in range(MAX_LABELS)}
LONG = "ü" * (MAX_SENTENCE + 500)
LONGEST_ORDER = StopOrder(
    epoch=MAX_GIVEN,
    stopped=True,
    reason_code="ü" * MAX_REASON,
    issued_at_s=LATEST_S,
    key_id="k" * MAX_KEY_ID,
    signature=bytes(SIGNATURE_BYTES),
)
REPORT = Reported(
    boot_id="a" * 32,
    boot_number=1,
    revision=1,
    at_s=5,
    desired_version=1,
    highest_version=1,
    parts=(),
    facts=Facts(),
    stop_epoch=0,
    stopped=False,
)


def test_a_device_reports_all_its_labels_and_a_long_problem() -> None:
    part = PartReport(name="policy", digest="", state=PartState.REFUSED, problem_code="invalid", problem=LONG)
    report = Reported(
        boot_id="a" * 32,
        boot_number=1,
        revision=1,
        at_s=5,
        desired_version=1,
        highest_version=1,
        parts=(part,),
        facts=Facts(software_version="1", certificate_ends_at_s=8, architecture="x86_64"),
        stop_epoch=0,
        stopped=False,
        labels=LABELS,
    )
    read = read_report(WORDS.message(report).payload)
    assert read.body["labels"] == LABELS
    assert read.body["parts"][0]["problem"] == LONG[:MAX_SENTENCE]


def test_a_device_says_at_length_why_a_command_failed() -> None:
    result = CommandResult(id="b" * 32, op="ping", state=State.FAILED, problem_code="x", problem=LONG, at_s=5)
    assert read_result(WORDS.message(result).payload).body["problem"] == LONG[:MAX_SENTENCE]


def test_a_device_is_told_all_its_labels() -> None:
    state = DesiredState(device=DEVICE, version=1, issued_at_s=5, policy=None, gazetteer=None, labels=LABELS)
    said = WORDS.read(f"hb/1/default/d/{DEVICE}/desired", desired_bytes(state))
    assert isinstance(said, Desired)
    assert said.labels == LABELS


def test_the_longest_stop_order_is_taken_by_a_device_and_its_report_by_the_controller() -> None:
    assert read_stop(stop_bytes(LONGEST_ORDER)) == as_signed(LONGEST_ORDER)
    assert WORDS.read(STOP, stop_bytes(LONGEST_ORDER)) == LONGEST_ORDER
    read = read_report(WORDS.message(replace(REPORT, stop_order=LONGEST_ORDER)).payload)
    assert read.body["stop_order"]["reason_code"] == LONGEST_ORDER.reason_code
    assert StopBody(stopped=True, reason_code=LONGEST_ORDER.reason_code).reason_code == LONGEST_ORDER.reason_code


@pytest.mark.parametrize(
    "beyond", [{"reason_code": "r" * (MAX_REASON + 1)}, {"reason_code": "a\0"}, {"issued_at_s": LATEST_S + 1}]
)
def test_an_order_that_one_side_does_not_take_the_other_does_not_either_and_a_report_is_heard_without_it(
    beyond: dict[str, Any],
) -> None:
    """Else one order of a thief who holds the online key made the controller deaf to every report."""
    order = replace(LONGEST_ORDER, **beyond)
    assert not isinstance(WORDS.read(STOP, stop_bytes(order)), StopOrder)
    assert read_stop(stop_bytes(order)) is None
    assert "stop_order" not in read_report(WORDS.message(replace(REPORT, stop_order=order)).payload).body


@pytest.mark.parametrize("reason_code", ["r" * (MAX_REASON + 1), "a\0"])
def test_nobody_gives_a_stop_order_that_devices_would_not_take(reason_code: str) -> None:
    with pytest.raises(ValidationError):
        StopBody(stopped=True, reason_code=reason_code)
