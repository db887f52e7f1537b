"""Whoever answers over the broker may say anything, or nothing: it costs a device a bounded time, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.answering_controller import AnsweringController, Says
from tests.support.linked_device import LinkedDevice
from tests.support.made_files import made
from tests.support.plain_broker import PlainBroker, mosquitto

from homebred_daemon.adapters.blobs_mqtt import BLOCK_BYTES, MqttBlobs
from homebred_daemon.adapters.trust.sources import Limits, MqttSource
from homebred_daemon.core import requesting
from homebred_daemon.core.trust_refusals import Reason
from homebred_daemon.errors import SourceAwayError, SourceRefusesError, SourceWrongError, TransferError, UntrustedError
from homebred_protocol.requests import MAX_ANSWER_BYTES, Answer, Outcome, Request, answer_bytes
from homebred_protocol.trusted_files import Page, answer_of, image_metadata

DEVICE = "kiosk-1"
ONE = made(100_000)
LATE_S = 0.2
BOUND_S = 15.0
"""Of all that one question costs, on a busy machine."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[PlainBroker]:
    if mosquitto() is None:
        pytest.skip("mosquitto is not installed: packaging/tools/test_tools.sh does it")
    running = PlainBroker(tmp_path).start()
    yield running
    running.stop()


@pytest.fixture
def hostile(broker: PlainBroker) -> Iterator[AnsweringController]:
    answering = AnsweringController(broker.port, DEVICE, lambda _: [])
    yield answering
    answering.close()


def given(request: Request, body: bytes) -> bytes:
    return answer_bytes(Answer(request.correlation, Outcome.GIVEN, body))


def block_of(length: int) -> Callable[[Request], bytes]:
    return lambda request: given(request, answer_of(Page(length=ONE.file.length, body=b"x" * length)))


NOTHING: dict[str, Says] = {
    "never": lambda _: [],
    "to another": lambda request: [given(Request(b"?" * 16, b""), answer_of(Page(length=1, body=b"x")))],
    "to an earlier start": lambda request: [given(Request(b"?" * 8 + request.correlation[8:], b""), b"x")],
    "too long": lambda request: [request.correlation + b"\0" * (MAX_ANSWER_BYTES - 15)],
    "no outcome": lambda request: [request.correlation],
    "an outcome of another time": lambda request: [request.correlation + b"\xff"],
    "noise": lambda request: [b"", b"\0", b"\xff" * 300, request.correlation[:5]] * 50,
    "noise without end": lambda request: [b"n" * 1000] * 500,
}
WRONG: dict[str, tuple[Says, type[TransferError]]] = {
    "no page": (lambda request: [given(request, b"<html>")], SourceWrongError),
    "empty": (lambda request: [given(request, b"")], SourceWrongError),
    "a byte too few": (lambda request: [block_of(BLOCK_BYTES - 1)(request)], SourceWrongError),
    "a byte too many": (lambda request: [block_of(BLOCK_BYTES + 1)(request)], SourceWrongError),
    "far too many": (lambda request: [block_of(500_000)(request)], SourceWrongError),
    "later": (lambda request: [answer_bytes(Answer(request.correlation, Outcome.LATER))], SourceAwayError),
    "refused": (lambda request: [answer_bytes(Answer(request.correlation, Outcome.REFUSED))], SourceRefusesError),
}


async def read(device: LinkedDevice) -> bytes:
    async with device.linked() as link, MqttBlobs(link.requests).open(ONE.file, 0, ONE.file.length) as stream:
        room = memoryview(bytearray(ONE.file.length))
        return bytes(room[: await stream.read_into(room)])


@pytest.mark.parametrize("says", NOTHING.values(), ids=NOTHING.keys())
async def test_what_is_no_answer_is_as_if_nobody_had_answered(
    broker: PlainBroker, hostile: AnsweringController, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requesting, "ANSWER_WITHIN_S", LATE_S)
    hostile.says, device = says, LinkedDevice(DEVICE, broker.port)
    began_s = time.monotonic()
    with pytest.raises(SourceAwayError, match="no answer came"):
        await read(device)
    assert time.monotonic() - began_s < BOUND_S
    assert hostile.asked <= 6, "two blocks, twice, and what was asked before they were given up"


@pytest.mark.parametrize(("says", "error"), WRONG.values(), ids=WRONG.keys())
async def test_a_block_that_is_not_what_was_asked_for_is_given_to_nobody(
    broker: PlainBroker, hostile: AnsweringController, says: Says, error: type[TransferError]
) -> None:
    hostile.says = says
    async with asyncio.timeout(BOUND_S):
        with pytest.raises(error):
            await read(LinkedDevice(DEVICE, broker.port))


async def test_an_answer_that_comes_twice_and_among_noise_counts_once(
    broker: PlainBroker, hostile: AnsweringController
) -> None:
    def says(request: Request) -> list[bytes]:
        right = given(request, answer_of(Page(length=5, body=b"whole")))
        return [b"noise", right, given(request, answer_of(Page(length=5, body=b"wrong"))), right]

    hostile.says = says
    async with LinkedDevice(DEVICE, broker.port).linked() as link:
        source = MqttSource(link.requests)
        for _ in range(20):
            assert await source.fetch(image_metadata() + "timestamp.json", 100) == b"whole"


async def test_a_look_without_an_answer_ends_by_its_own_limit(
    broker: PlainBroker, hostile: AnsweringController
) -> None:
    async with LinkedDevice(DEVICE, broker.port).linked() as link:
        source = MqttSource(link.requests, limits=Limits(grace_s=0.5))
        with pytest.raises(UntrustedError) as refused:
            await source.fetch(image_metadata() + "timestamp.json", 100)
    assert refused.value.reason == Reason.TOO_SLOW


async def test_where_nobody_hears_requests_they_fail_at_once(broker: PlainBroker) -> None:
    async with LinkedDevice(DEVICE, broker.port).linked() as link, asyncio.timeout(BOUND_S):
        with pytest.raises(UntrustedError, match="the controller is away"):
            await MqttSource(link.requests).fetch(image_metadata() + "timestamp.json", 100)
        with pytest.raises(SourceAwayError, match="the controller is away"):
            await link.requests.ask(ONE.file.digest, 0, 10)
