"""The longest that a device and its controller may say to each other is taken by the other."""

from __future__ import annotations

from homebred_daemon.adapters.fleet_wire import FleetWire
from homebred_daemon.core.commands import CommandResult, State
from homebred_daemon.core.fleet_messages import Desired, Facts, PartReport, PartState, Reported
from homebred_fleet.adapters.wire.messages import desired_bytes, read_report, read_result
from homebred_fleet.ports.intents import DesiredState
from homebred_protocol.limits import MAX_LABELS, MAX_SENTENCE

DEVICE = "clinic-1"
WORDS = FleetWire(DEVICE)
LABELS = {f"{'k' * 60}{number:03}": "v" * 63 for number in range(MAX_LABELS)}
LONG = "ü" * (MAX_SENTENCE + 500)


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
