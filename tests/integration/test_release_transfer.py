"""A release's files from a real controller to a device's model store, over mTLS."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from tests.support.broker import context_of
from tests.support.controller import Controller, Device, running_controller
from tests.support.cutting_proxy import CuttingProxy
from tests.support.made_files import described, made
from tests.support.resident import resident_mb

from homebred_daemon.adapters.blob_shelf import BlobShelf
from homebred_daemon.adapters.blob_store import Blob, BlobStore, Form
from homebred_daemon.adapters.blobs_https import HttpsBlobs, at_controller
from homebred_daemon.adapters.staging_folder import StagingFolder
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.core.transfer import FRAME_BYTES
from homebred_daemon.errors import TransferError
from homebred_daemon.ports.identity import CertificateFacts, Identity, Membership
from homebred_daemon.ports.transfer import Progress
from homebred_daemon.services.releases.fetching import Fetching, Surroundings, Terms
from homebred_fleet.adapters.blob_folder import BlobFolder

LARGE = made(5 * FRAME_BYTES + 12_345)
SMALL = made(3000, path="specialist.toml")
STALLED_BYTES = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    with running_controller(tmp_path_factory.mktemp("fleet") / "fleet") as running:
        blobs = BlobFolder(running.folder.path / "state" / "blobs")
        for one in (LARGE, SMALL):
            blobs.keep(one.body)
        yield running


@pytest.fixture(scope="module")
def device(controller: Controller) -> Device:
    return controller.enrol()


def identity_of(controller: Controller, device: Device) -> Identity:
    """What an enrolment would have left on the device."""
    membership = Membership(
        device_id=device.id, site="clinic", controller_url=controller.url, broker_host="localhost", broker_port=1
    )
    facts = CertificateFacts(serial="1", begins_s=0, ends_s=0, digest="sha256:0")
    return Identity(generation="1", membership=membership, certificate=facts, credentials=device.credentials)


def fetching(folder: Path) -> tuple[Fetching, BlobStore]:
    blobs = BlobStore(folder / "blobs")
    around = Surroundings(
        staging=StagingFolder(folder / "staging"),
        shelf=BlobShelf(blobs),
        clock=SystemClock(),
        second_of_day=lambda: datetime.now(UTC).hour * 3600.0,
        chance=Random(3).random,
    )
    return Fetching(around, Terms(reserve_bytes=0)), blobs


async def test_the_files_of_a_release_come_and_are_taken_into_the_store_and_are_not_fetched_twice(
    controller: Controller, device: Device, tmp_path: Path
) -> None:
    source = HttpsBlobs(at_controller(lambda: identity_of(controller, device)))
    service, blobs = fetching(tmp_path)
    told: list[Progress] = []
    brought = await service.fetch([LARGE.file, SMALL.file], [source], told.append)
    assert told[-1].fetched_bytes == LARGE.file.length + SMALL.file.length
    for digest, path in brought.items():
        blobs.adopt(path, Blob(Form.FILE, digest), lambda *_: None)
        path.unlink()
    for one in (LARGE, SMALL):
        assert blobs.path(Blob(Form.FILE, one.file.digest)).read_bytes() == one.body
    told.clear()
    assert await service.fetch([LARGE.file, SMALL.file], [source], told.append) == {}
    assert (told[-1].fetched_bytes, told[-1].held_bytes) == (0, told[-1].total_bytes)
    source.close()


async def test_a_link_that_is_cut_within_tls_again_and_again_costs_no_byte(
    controller: Controller, device: Device, tmp_path: Path
) -> None:
    service, _ = fetching(tmp_path)
    told: list[Progress] = []
    cuts = 30
    with CuttingProxy(
        controller.port, cuts=cuts, seed=4, limit=lambda random: random.randrange(80_000, 500_000)
    ) as link:
        through = replace(controller, port=link.port)
        source = HttpsBlobs(at_controller(lambda: identity_of(through, device)))
        brought = await service.fetch([LARGE.file], [source], told.append)
        source.close()
        assert link.cuts == cuts
    assert brought[LARGE.file.digest].read_bytes() == LARGE.body
    assert told[-1].fetched_bytes == LARGE.file.length


async def test_what_the_controller_does_not_have_is_told_with_what_to_do(
    controller: Controller, device: Device, tmp_path: Path
) -> None:
    source = HttpsBlobs(at_controller(lambda: identity_of(controller, device)))
    service, _ = fetching(tmp_path)
    with pytest.raises(TransferError, match="the fleet's controller does not have it") as caught:
        await service.fetch([described(b"never published", "model.gguf")], [source])
    assert "assign it again" in caught.value.hint
    source.close()


def test_only_who_is_enrolled_is_given_a_file(controller: Controller, device: Device) -> None:
    path = f"/device/v1/blobs/{LARGE.file.digest.replace(':', '/')}"
    assert controller.ask("GET", path).error == "certificate_needed"
    assert controller.ask("GET", path, credentials=controller.broker.device("clinic-00000000")).status == 401
    whole = controller.ask("GET", path, credentials=device.credentials)
    assert (whole.status, hashlib.sha256(whole.body).hexdigest()) == (200, LARGE.file.digest.removeprefix("sha256:"))


@pytest.mark.parametrize(
    ("headers", "status", "given"),
    [
        ({"Range": "bytes=100-199"}, 206, (100, 200)),
        ({"Range": f"bytes={FRAME_BYTES}-"}, 206, (FRAME_BYTES, LARGE.file.length)),
        ({"Range": "bytes=-7"}, 206, (LARGE.file.length - 7, LARGE.file.length)),
        ({"Range": "bytes=0-0", "If-Range": f'"{LARGE.file.digest}"'}, 206, (0, 1)),
        ({"Range": "bytes=0-0", "If-Range": '"sha256:another"'}, 200, (0, LARGE.file.length)),
        ({"Range": "bytes=0-1,5-6"}, 200, (0, LARGE.file.length)),
        ({"Range": "bytes=0-" + "9" * 30}, 206, (0, LARGE.file.length)),
        ({}, 200, (0, LARGE.file.length)),
    ],
)
def test_a_range_is_answered_as_http_says(
    controller: Controller, device: Device, headers: dict[str, str], status: int, given: tuple[int, int]
) -> None:
    begin, end = given
    path = f"/device/v1/blobs/{LARGE.file.digest.replace(':', '/')}"
    reply = controller.ask("GET", path, credentials=device.credentials, headers=headers)
    assert (reply.status, reply.body == LARGE.body[begin:end]) == (status, True)
    assert reply.headers["etag"] == f'"{LARGE.file.digest}"'
    assert reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["content-length"] == str(end - begin)
    if status == 206:
        assert reply.headers["content-range"] == f"bytes {begin}-{end - 1}/{LARGE.file.length}"
    head = controller.ask("HEAD", path, credentials=device.credentials, headers=headers)
    assert (head.status, head.body, head.headers["content-length"]) == (status, b"", str(end - begin))


@pytest.mark.parametrize("asked", ["bytes=99999999999-", f"bytes={LARGE.file.length}-{LARGE.file.length + 5}"])
def test_a_range_beyond_the_end_is_refused(controller: Controller, device: Device, asked: str) -> None:
    path = f"/device/v1/blobs/{LARGE.file.digest.replace(':', '/')}"
    reply = controller.ask("GET", path, credentials=device.credentials, headers={"Range": asked})
    assert (reply.status, reply.headers["content-range"]) == (416, f"bytes */{LARGE.file.length}")


@pytest.mark.parametrize("name", ["0" * 64, "..%2f..%2ffleet.toml", "%00", "A" * 64, "", "0" * 63])
def test_what_is_no_digest_of_a_file_is_not_found(controller: Controller, device: Device, name: str) -> None:
    assert controller.ask("GET", f"/device/v1/blobs/sha256/{name}", credentials=device.credentials).status == 404


def test_a_device_that_does_not_read_costs_the_controller_no_memory(controller: Controller, device: Device) -> None:
    body = bytes(STALLED_BYTES)
    digest = BlobFolder(controller.folder.path / "state" / "blobs").keep(body)
    assert controller.process is not None
    before = resident_mb(controller.process.pid)
    stalled = [stalled_request(controller, device, digest) for _ in range(8)]
    try:
        time.sleep(1)
        assert resident_mb(controller.process.pid) - before < 40, "eight times 64 MB are on their way"
        assert controller.ask("GET", "/device/v1/enrolment", credentials=device.credentials).status == 200
    finally:
        for each in stalled:
            each.close()


def stalled_request(controller: Controller, device: Device, digest: str) -> ssl.SSLSocket:
    """A request whose answer nobody reads."""
    plain = socket.create_connection(("localhost", controller.port), timeout=10)
    connection = context_of(device.credentials).wrap_socket(plain, server_hostname="localhost")
    connection.sendall(f"GET /device/v1/blobs/{digest.replace(':', '/')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


async def test_a_device_that_the_controller_does_not_know_is_told_that_it_gets_nothing(
    controller: Controller, device: Device, tmp_path: Path
) -> None:
    unknown = replace(device, credentials=controller.broker.device("clinic-00000001"))
    source = HttpsBlobs(at_controller(lambda: identity_of(controller, unknown)))
    service, _ = fetching(tmp_path)
    with pytest.raises(TransferError, match="does not give it"):
        async with asyncio.timeout(30):
            await service.fetch([LARGE.file], [source])
    source.close()
