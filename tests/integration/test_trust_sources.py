"""Files of the signed repositories over each carrier: whole within limits, or refused with a reason; never a hang."""

from __future__ import annotations

import asyncio
import os
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.trust_server import Fault
from tests.support.trust_stage import PATIENT, Carrier, FakeRequests, HttpsCarrier, carried_by
from typing_extensions import override

from homebred_daemon.adapters.trust.folder_source import FolderSource
from homebred_daemon.adapters.trust.sources import HttpsSource, Limits, MqttSource
from homebred_daemon.core.trust_refusals import Reason
from homebred_daemon.errors import FleetError, UntrustedError
from homebred_daemon.ports.trust import TrustSource
from homebred_protocol.digests import digest_of
from homebred_protocol.trusted_files import (
    CARRIED,
    MAX_ANSWER_BYTES,
    MAX_FILE_BYTES,
    Page,
    answer_of,
    image_metadata,
    image_target,
    read_request,
)

NAME, BODY = image_metadata() + "timestamp.json", b"x" * 3000
LARGE = os.urandom(MAX_FILE_BYTES)
LARGE_NAME = image_target("models/qa/intake/7.json", digest_of(LARGE))
FILES = {NAME: BODY, LARGE_NAME: LARGE, image_metadata() + "1.root.json": b""}


@pytest.fixture(scope="module", params=["https", "folder", "mqtt"])
def carrier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carrier]:
    with carried_by(request.param, tmp_path_factory.mktemp("carrier")) as carrier:
        yield carrier


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsCarrier]:
    with carried_by("https", tmp_path_factory.mktemp("carrier")) as carrier:
        assert isinstance(carrier, HttpsCarrier)
        yield carrier


async def reason(source: TrustSource, name: str = NAME, at_most: int = MAX_FILE_BYTES) -> Reason:
    with pytest.raises(UntrustedError) as refused:
        await source.fetch(name, at_most)
    return Reason(refused.value.reason)


async def test_a_file_comes_whole_up_to_the_largest(carrier: Carrier) -> None:
    source = carrier.source(FILES)
    assert {name: await source.fetch(name, MAX_FILE_BYTES) for name in FILES} == FILES


async def test_a_file_may_be_as_long_as_is_asked_for_and_not_a_byte_longer(carrier: Carrier) -> None:
    source = carrier.source(FILES)
    assert await source.fetch(NAME, 3000) == BODY
    assert await reason(source, at_most=2999) is Reason.TOO_LONG


async def test_nothing_is_longer_than_the_largest_whatever_is_asked_for(carrier: Carrier) -> None:
    source = carrier.source({NAME: LARGE + b"x"})
    assert await reason(source, at_most=2**40) is Reason.TOO_LONG


async def test_a_file_that_is_not_there_is_said_to_be_absent(carrier: Carrier) -> None:
    assert await reason(carrier.source({})) is Reason.ABSENT


@pytest.mark.parametrize("name", ["/etc/passwd", "image/metadata/../../x.json", "image/x.json", ""])
async def test_no_other_name_is_asked_for(carrier: Carrier, name: str) -> None:
    assert await reason(carrier.source(FILES), name) is Reason.MALFORMED


@pytest.mark.parametrize(
    ("fault", "reasons"),
    [
        (Fault.ENDLESS, {Reason.TOO_LONG}),
        (Fault.SLOW, {Reason.TOO_SLOW, Reason.SOURCE_FAULT}),
        (Fault.SILENT, {Reason.TOO_SLOW, Reason.SOURCE_FAULT}),
        (Fault.BROKEN, {Reason.UNREACHABLE, Reason.SOURCE_FAULT}),
        (Fault.ODD, {Reason.UNREACHABLE, Reason.SOURCE_FAULT}),
    ],
)
async def test_what_misbehaves_is_given_up_and_named(carrier: Carrier, fault: Fault, reasons: set[Reason]) -> None:
    began_s = time.monotonic()
    assert await reason(carrier.source(FILES, {NAME: fault})) in reasons
    assert time.monotonic() - began_s < 20
    assert await carrier.source(FILES).fetch(NAME, MAX_FILE_BYTES) == BODY


@pytest.mark.parametrize("fault", [Fault.SHORT, Fault.ZIPPED, Fault.ALL_LOST])
async def test_a_server_that_does_not_keep_its_word_is_not_believed(https: HttpsCarrier, fault: Fault) -> None:
    assert await reason(https.source(FILES, {NAME: fault})) is Reason.UNREACHABLE


async def test_a_total_time_is_kept_though_the_rate_is(https: HttpsCarrier) -> None:
    https.source(FILES, {NAME: Fault.SLOW})
    limits = Limits(total_s=1.0, grace_s=30.0, bytes_per_s=1.0)
    assert await reason(HttpsSource(https._line, https.identity, limits=limits)) is Reason.TOO_SLOW


# -- a folder that somebody carried here


def carried(folder: Path, name: str = NAME) -> Path:
    path = folder / CARRIED / name
    path.parent.mkdir(parents=True)
    return path


def link_to_a_file(folder: Path) -> None:
    (folder / "secret").write_bytes(b"secret")
    carried(folder).symlink_to(folder / "secret")


def link_to_a_folder(folder: Path) -> None:
    elsewhere = carried(folder / "elsewhere")
    elsewhere.write_bytes(b"secret")
    (folder / CARRIED).mkdir()
    (folder / CARRIED / "image").symlink_to(folder / "elsewhere" / CARRIED / "image")


def link_in_place_of_all(folder: Path) -> None:
    carried(folder / "elsewhere").write_bytes(b"secret")
    (folder / CARRIED).symlink_to(folder / "elsewhere" / CARRIED)


def pipe(folder: Path) -> None:
    os.mkfifo(carried(folder))


def folder_in_its_place(folder: Path) -> None:
    carried(folder).mkdir()


def file_in_place_of_a_folder(folder: Path) -> None:
    (folder / CARRIED).mkdir()
    (folder / CARRIED / "image").write_bytes(b"x")


@pytest.mark.parametrize(
    "hostile",
    [link_to_a_file, link_to_a_folder, link_in_place_of_all, pipe, folder_in_its_place, file_in_place_of_a_folder],
    ids=lambda hostile: hostile.__name__,
)
async def test_of_a_folder_plain_files_alone_are_read_where_they_lie(tmp_path: Path, hostile: object) -> None:
    assert callable(hostile)
    hostile(tmp_path)
    async with asyncio.timeout(10):
        assert await reason(FolderSource(tmp_path)) is Reason.SOURCE_FAULT


async def test_a_giant_costs_no_more_than_its_bound(tmp_path: Path) -> None:
    path = carried(tmp_path)
    path.touch()
    os.truncate(path, 2**40)
    tracemalloc.start()
    try:
        assert await reason(FolderSource(tmp_path)) is Reason.TOO_LONG
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_FILE_BYTES
    finally:
        tracemalloc.stop()


# -- pages over MQTT


class Answers:
    """Fulfils `ports.trust.FleetRequests` with what a test has written."""

    def __init__(self, *answers: bytes | FleetError) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def request(self, name: str, body: bytes) -> bytes:
        assert name == "trust"
        self.asked.append(read_request(body))
        answer = self._answers.pop(0)
        if isinstance(answer, FleetError):
            raise answer
        return answer


async def test_a_large_file_comes_page_by_page() -> None:
    class Counting(FakeRequests):
        offsets: list[int] = []  # noqa: RUF012 - of this one test

        @override
        async def request(self, name: str, body: bytes) -> bytes:
            self.offsets.append(read_request(body)[1])
            answer = await super().request(name, body)
            assert len(answer) <= MAX_ANSWER_BYTES
            return answer

    requests = Counting(FILES, {})
    assert await MqttSource(requests, limits=PATIENT).fetch(LARGE_NAME, MAX_FILE_BYTES) == LARGE
    assert len(requests.offsets) == 3


@pytest.mark.parametrize(
    "answers",
    [
        [b""],
        [b"\n"],
        [b"x" * (MAX_ANSWER_BYTES + 1)],
        [answer_of(Page(length=4, body=b"xx")), answer_of(Page(length=5, body=b"xxx"))],
        [answer_of(Page(length=4, body=b"xx")), answer_of(Page(length=4, body=b"xxx"))],
        [answer_of(Page(length=4, body=b"xxxxx"))],
        [answer_of(Page(length=4, body=b""))],
    ],
)
async def test_pages_that_do_not_belong_together_are_no_file(answers: list[bytes]) -> None:
    assert await reason(MqttSource(Answers(*answers))) is Reason.SOURCE_FAULT


async def test_a_file_that_goes_while_it_is_fetched_is_absent() -> None:
    pages = [answer_of(Page(length=4, body=b"xx")), answer_of(Page(length=-1, body=b""))]
    assert await reason(MqttSource(Answers(*pages))) is Reason.ABSENT


async def test_a_length_beyond_the_bound_is_not_fetched() -> None:
    answers = Answers(answer_of(Page(length=5000, body=b"x" * 100)))
    assert await reason(MqttSource(answers), at_most=4999) is Reason.TOO_LONG
    assert answers.asked == [(NAME, 0)]


async def test_a_broker_that_is_away_is_said_to_be() -> None:
    with pytest.raises(UntrustedError, match="the broker is away") as refused:
        await MqttSource(Answers(FleetError("the broker is away"))).fetch(NAME, 10)
    assert refused.value.reason == Reason.UNREACHABLE
