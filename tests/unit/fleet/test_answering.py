"""What devices ask over the broker is answered, whatever the library does; who floods holds up nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.controller_stage import Device, Stage, play

from homebred_fleet.core.request_turns import SHARE
from homebred_fleet.errors import StateError, StoreBusyError
from homebred_fleet.services.answering import ANSWERS_AT_ONCE, TAKEN_WITHIN_S, TOLD_EVERY_S
from homebred_protocol.requests import Answer, Outcome, Request, read_answer, request_bytes
from homebred_protocol.topics import DeviceTopic, Up

WHOLE = b"what there is"


def correlation(number: int) -> bytes:
    return number.to_bytes(16, "big")


def ask(
    device: Device, number: int, body: bytes = b"known", *, operation: str = "blocks", retain: bool = False
) -> None:
    topic = DeviceTopic(device.name, Up.REQUEST, operation).text
    device.connection.publish(topic, request_bytes(Request(correlation(number), body)), token=1, retain=retain)


def answers(device: Device) -> list[Answer]:
    return [read_answer(payload) for payload in device.payloads("rs")]


async def started(stage: Stage) -> tuple[Device, Device]:
    stage.library.bodies = {(operation, b"known"): WHOLE for operation in ("blocks", "trust")}
    await stage.started()
    for device in stage.devices.values():
        device.connect()
    first, second = stage.devices.values()
    return first, second


@pytest.mark.parametrize("operation", ["blocks", "trust"])
def test_a_request_is_answered_to_whoever_asked_and_to_nobody_else(tmp_path: Path, operation: str) -> None:
    async def scene(stage: Stage) -> None:
        device, other = await started(stage)
        ask(device, 7, operation=operation)
        await stage.until(lambda: bool(answers(device)))
        assert answers(device) == [Answer(correlation(7), Outcome.GIVEN, WHOLE)]
        assert stage.library.asked == [(device.name, operation, b"known")]
        assert answers(other) == []
        assert (stage.figures.answers, stage.figures.answered_bytes) == ({"given": 1}, len(WHOLE))
        assert f"hb/1/default/d/{device.name}/rs" not in stage.broker.retained

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("failure", "event"),
    [
        (StoreBusyError(), "answer_fails"),
        (StateError(), "answer_fails"),
        (OSError(5, "I/O"), "answer_fails"),
        (ZeroDivisionError(), "answer_defect"),
    ],
)
def test_what_cannot_be_told_at_present_is_answered_so_and_the_next_one_as_ever(
    tmp_path: Path, failure: Exception, event: str
) -> None:
    async def scene(stage: Stage) -> None:
        device, _ = await started(stage)
        stage.library.failures = [failure]
        ask(device, 1)
        await stage.until(lambda: len(answers(device)) == 1)
        ask(device, 2)
        await stage.until(lambda: len(answers(device)) == 2)
        assert [one.outcome for one in answers(device)] == [Outcome.LATER, Outcome.GIVEN]
        assert stage.journal.names.count(event) == 1

    play(tmp_path, scene)


def test_what_means_nothing_here_is_refused_and_what_is_no_request_gets_no_answer(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        device, _ = await started(stage)
        topic = DeviceTopic(device.name, Up.REQUEST, "blocks").text
        for payload in (b"", b"short", b"x" * 5000):
            device.connection.publish(topic, payload, token=1)
        ask(device, 3, b"unknown")
        await stage.until(lambda: bool(answers(device)))
        await stage.settle()
        assert answers(device) == [Answer(correlation(3), Outcome.REFUSED)]
        assert stage.figures.requests_dropped == {"malformed": 3}

    play(tmp_path, scene)


def test_a_request_that_the_broker_keeps_is_not_answered_at_every_connection(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        device, _ = await started(stage)
        ask(device, 4, retain=True)
        await stage.until(lambda: len(answers(device)) == 1)
        stage.broker.cut("homebred-fleet")
        await stage.later(lambda: stage.figures.connections == 2 and stage.reconciling.is_in_step)
        assert len(answers(device)) == 1
        assert stage.figures.requests_dropped == {"retained": 1}

    play(tmp_path, scene)


def test_one_that_floods_loses_what_is_too_much_and_holds_up_nobody(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        device, other = await started(stage)
        gate = threading.Event()
        stage.library.before = held_by(gate)
        for number in range(500):
            ask(device, number)
        ask(other, 1)
        await stage.until(lambda: stage.figures.requests_dropped.get("too_many", 0) > 400)
        gate.set()
        await stage.until(lambda: bool(answers(other)))
        assert len(answers(device)) <= 4, "the other one's turn came at once"
        await stage.until(lambda: len(answers(device)) + stage.figures.requests_dropped["too_many"] == 500)
        assert len(answers(device)) <= SHARE + 2
        assert stage.journal.names.count("requests_dropped") == 1
        await stage.pass_s(TOLD_EVERY_S)
        for number in range(100):
            ask(device, number)
        await stage.until(lambda: stage.journal.names.count("requests_dropped") == 2)

    play(tmp_path, scene)


def test_no_more_than_a_few_answers_wait_for_a_broker_that_takes_none(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await started(stage)
        published: list[int] = []
        stage.answering._hub = Deaf(published)  # type: ignore[assignment]  # nothing else of a hub is needed
        for number in range(30):
            stage.answering.offer(f"d-{number}", "blocks", correlation(number) + b"known", is_retained=False)
        await stage.until(lambda: len(published) == ANSWERS_AT_ONCE)
        await stage.settle()
        assert len(published) == ANSWERS_AT_ONCE
        await stage.pass_s(TAKEN_WITHIN_S + 1)
        await stage.until(lambda: len(published) == 2 * ANSWERS_AT_ONCE)
        stage.answering.disconnected()
        await stage.settle()
        assert len(published) == 2 * ANSWERS_AT_ONCE, "what waited was for a connection that is gone"

    play(tmp_path, scene)


def held_by(gate: threading.Event) -> Callable[[], None]:
    """Answers that wait for a gate."""

    def before() -> None:
        assert gate.wait(10)

    return before


class Deaf:
    """A hub on a broker that acknowledges nothing."""

    def __init__(self, published: list[int]) -> None:
        self._published = published

    def tell_answer(self, device: str, answer: Answer, *, expiry_s: int, token: int) -> None:
        self._published.append(token)


def test_a_lost_connection_leaves_no_request_behind_and_the_next_is_answered(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        device, _ = await started(stage)
        gate = threading.Event()
        stage.library.before = held_by(gate)
        for number in range(10):
            ask(device, number)
        await stage.until(lambda: bool(stage.library.asked))
        stage.broker.cut("homebred-fleet")
        await asyncio.sleep(0)
        gate.set()
        await stage.later(lambda: stage.figures.connections == 2 and stage.reconciling.is_in_step)
        known = len(stage.library.asked)
        assert known <= 2
        ask(device, 99)
        await stage.until(lambda: correlation(99) in {one.correlation for one in answers(device)})

    play(tmp_path, scene)
