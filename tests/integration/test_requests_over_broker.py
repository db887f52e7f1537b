"""Where only the broker's port is open: devices look, take and fetch over a real broker from a real controller."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from tests.support.broker import HOST, now_s
from tests.support.controller import Device
from tests.support.cutting_proxy import CuttingProxy
from tests.support.linked_device import LinkedDevice, until
from tests.support.made_files import Made, made
from tests.support.release_fleet import ReleaseFleet, release_fleet
from tests.support.resident import resident_mb
from tests.support.slow_line import slow_line

from homebred_daemon.adapters.blob_shelf import BlobShelf
from homebred_daemon.adapters.blob_store import BlobStore
from homebred_daemon.adapters.blobs_mqtt import MqttBlobs
from homebred_daemon.adapters.staging_folder import StagingFolder
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.adapters.trust.checker import ChildChecker
from homebred_daemon.adapters.trust.files import TrustFiles
from homebred_daemon.adapters.trust.sources import MqttSource
from homebred_daemon.core.trust import Here
from homebred_daemon.core.trust_refusals import Reason
from homebred_daemon.errors import TransferError, UntrustedError
from homebred_daemon.ports.identity import Membership
from homebred_daemon.ports.transfer import Progress
from homebred_daemon.ports.trust import Roots
from homebred_daemon.services.fleet.fleet_sync import FleetSync
from homebred_daemon.services.releases.fetching import Fetching, Surroundings, Terms
from homebred_daemon.services.releases.trusting import Trusting
from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_protocol import blocks
from homebred_protocol.mqtt import Arrived, Connected, Delivered, Endpoint, Happening, SessionTerms
from homebred_protocol.mqtt_thread import MqttThread
from homebred_protocol.requests import Request, request_bytes
from homebred_protocol.topics import DeviceTopic, Down, Up
from homebred_protocol.trusted_files import MAX_FILE_BYTES, director_metadata, image_metadata

pytestmark = pytest.mark.xdist_group("requests over a broker")
LARGE = made(3_000_123)
PIECE = made(1_500_000, seed=9)
RELEASE = "models/qa/parrot/1.json"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReleaseFleet]:
    with release_fleet(tmp_path_factory.mktemp("fleet")) as running:
        blobs = BlobFolder(running.controller.folder.path / "state" / "blobs")
        for one in (LARGE, PIECE):
            blobs.keep(one.body)
        running.publish(1)
        yield running


def linked(fleet: ReleaseFleet, device: Device, port: int = 0) -> LinkedDevice:
    return LinkedDevice(device.id, port or fleet.controller.broker.port, device.credentials)


def trusting(fleet: ReleaseFleet, device: Device, folder: Path) -> Trusting:
    membership = Membership(
        device_id=device.id,
        site="clinic",
        controller_url=fleet.controller.url,
        broker_host=HOST,
        broker_port=1,
        enrolled_at_s=now_s(),
    )
    image, director = (
        (published / "metadata" / "1.root.json").read_bytes()
        for published in (fleet.signed.image_folder, fleet.signed.director_root.published)
    )
    files = TrustFiles(folder, membership)
    files.pin(Roots(image=image, director=director))
    return Trusting(files, ChildChecker(), SystemClock(), Here(device=device.id, site="clinic"))


def fetching(folder: Path) -> Fetching:
    around = Surroundings(
        staging=StagingFolder(folder / "staging"),
        shelf=BlobShelf(BlobStore(folder / "blobs")),
        clock=SystemClock(),
        second_of_day=lambda: 0.0,
        chance=Random(3).random,
    )
    return Fetching(around, Terms(reserve_bytes=0))


async def fetched(link: FleetSync, folder: Path, one: Made) -> Progress:
    """Has a file come over the link, and holds it to its bytes."""
    told: list[Progress] = []
    began_s = time.monotonic()
    brought = await fetching(folder).fetch([one.file], [MqttBlobs(link.requests)], told.append)
    rate = one.file.length / (time.monotonic() - began_s)
    print(f"{one.file.length} bytes over the broker at {rate / 1e6:.1f} MB/s, {told[-1].fetched_bytes} read")  # noqa: T201
    assert brought[one.file.digest].read_bytes() == one.body
    return told[-1]


async def test_a_device_looks_and_takes_what_is_signed_for_it_over_the_broker_alone(
    fleet: ReleaseFleet, tmp_path: Path
) -> None:
    device = fleet.controller.enrol()
    fleet.assign(RELEASE, device.id)
    async with linked(fleet, device).linked() as link:
        source = MqttSource(link.requests)
        trust = trusting(fleet, device, tmp_path)
        looked = await trust.look(source)
        (agreed,) = looked.agreed
        assert looked.refused == ()
        taken = await trust.take(agreed, source)
    assert json.loads(taken.body)["number"] == 1
    assert taken.lease.device == device.id


async def test_another_devices_metadata_is_as_if_it_were_not_there(fleet: ReleaseFleet) -> None:
    device, other = fleet.controller.enrol(), fleet.controller.enrol()
    async with linked(fleet, device).linked() as link:
        source = MqttSource(link.requests)
        assert await source.fetch(director_metadata(device.id) + "timestamp.json", MAX_FILE_BYTES)
        with pytest.raises(UntrustedError) as refused:
            await source.fetch(director_metadata(other.id) + "timestamp.json", MAX_FILE_BYTES)
        assert refused.value.reason == Reason.ABSENT


class Raw:
    """A device's connection that says what a test wants, and need not take what it is told."""

    def __init__(self, fleet: ReleaseFleet, device: Device, *, acknowledges: bool = True) -> None:
        self.device = device
        self.answers: list[bytes] = []
        self.refused = 0
        self.connected = threading.Event()
        self._acknowledges = acknowledges
        self._thread = MqttThread(Endpoint(HOST, fleet.controller.broker.port, device.credentials), self._hear)
        self._thread.connect(
            SessionTerms(device.id, clean_start=True, session_expiry_s=0, keepalive_s=60, receive_maximum=20)
        )

    def ask(self, block: blocks.Block, *, of: str = "") -> None:
        topic = DeviceTopic(of or self.device.id, Up.REQUEST, blocks.REQUEST).text
        self._thread.publish(topic, request_bytes(Request(b"c" * 16, blocks.request_of(block))), token=1)

    def close(self) -> None:
        self._thread.close()
        assert self._thread.join(20)

    def _hear(self, happening: Happening) -> None:
        match happening:
            case Connected():
                self._thread.subscribe((DeviceTopic(self.device.id, Down.RESPONSE).text,))
                self.connected.set()
            case Arrived(payload=payload, receipt=receipt):
                self.answers.append(payload)
                if self._acknowledges:
                    self._thread.acknowledge(receipt)
            case Delivered(ok=False):
                self.refused += 1


async def test_nobody_asks_or_hears_in_anothers_name(fleet: ReleaseFleet) -> None:
    device, other = Raw(fleet, fleet.controller.enrol()), Raw(fleet, fleet.controller.enrol())
    try:
        await until(lambda: device.connected.is_set() and other.connected.is_set())
        device.ask(blocks.Block(PIECE.file.digest, 0, 10), of=other.device.id)
        await until(lambda: device.refused == 1)
        device.ask(blocks.Block(PIECE.file.digest, 0, 10))
        await until(lambda: bool(device.answers))
        assert device.answers[0].endswith(PIECE.body[:10])
        assert other.answers == []
    finally:
        device.close()
        other.close()


async def test_a_file_comes_whole_though_connections_are_cut_and_the_broker_begins_anew(
    fleet: ReleaseFleet, tmp_path: Path
) -> None:
    device, broker, cuts = fleet.controller.enrol(), fleet.controller.broker, 3
    with CuttingProxy(broker.port, cuts=cuts, seed=4, limit=lambda random: random.randrange(200_000, 700_000)) as line:
        async with linked(fleet, device, line.port).linked() as link, asyncio.TaskGroup() as group:
            task = group.create_task(fetched(link, tmp_path, LARGE))
            await until(lambda: line.cuts == 1)
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
            progress = await task
            assert line.cuts == cuts
    assert progress.fetched_bytes == LARGE.file.length, "what was taken of a broken stream stays"


@pytest.mark.thorough("dozens of cuts and kills, each waited out; `make test` has three cuts and a kill")
@pytest.mark.timeout(900)
async def test_a_large_file_comes_whole_through_dozens_of_cuts_and_kills_of_broker_and_controller(
    fleet: ReleaseFleet, tmp_path: Path
) -> None:
    controller, one = fleet.controller, made(24_000_321, seed=11)
    BlobFolder(controller.folder.path / "state" / "blobs").keep(one.body)
    with CuttingProxy(
        controller.broker.port, cuts=24, seed=5, limit=lambda random: random.randrange(100_000, 1_300_000)
    ) as line:
        async with linked(fleet, controller.enrol(), line.port).linked() as link, asyncio.TaskGroup() as group:
            task = group.create_task(fetched(link, tmp_path, one))
            for killed in (controller.broker, controller, controller.broker, controller):
                already = line.cuts
                await until(lambda: line.cuts > already or task.done(), patience_s=120.0)  # noqa: B023
                await asyncio.to_thread(killed.kill)
                await asyncio.to_thread(killed.start)
            progress = await task
            assert line.cuts == 24
    assert progress.fetched_bytes == one.file.length, "no byte was read twice"


class CountingLine:
    """Fulfils `ports.transfer.BlockLine`, and counts what came."""

    def __init__(self, link: FleetSync) -> None:
        self.came = 0
        self._link = link

    async def ask(self, digest: str, begin: int, length: int) -> bytes:
        body = await self._link.requests.ask(digest, begin, length)
        self.came += len(body)
        return body


@pytest.mark.thorough("a slow line takes its time; `make test` proves the pace by itself (test_answer_pace)")
async def test_over_a_slow_line_nothing_else_waits_long_behind_the_blocks_of_a_release(
    fleet: ReleaseFleet, tmp_path: Path
) -> None:
    device, bytes_per_s = fleet.controller.enrol(), 60_000
    with slow_line(fleet.controller.broker.port, bytes_per_s=bytes_per_s) as port:
        async with linked(fleet, device, port).linked() as link, asyncio.TaskGroup() as group:
            line = CountingLine(link)
            transfer = group.create_task(fetching(tmp_path).fetch([PIECE.file], [MqttBlobs(line)]))
            await until(lambda: line.came > 200_000)
            stood_before = []
            for _ in range(6):
                before = line.came
                await MqttSource(link.requests).fetch(image_metadata() + "timestamp.json", MAX_FILE_BYTES)
                stood_before.append(line.came - before)
            transfer.cancel()
    print(f"{stood_before} bytes of a release came before an answer of a kilobyte")  # noqa: T201
    assert max(stood_before) < 4 * bytes_per_s, "what two seconds carry, a block, and what was read together"


async def test_what_the_controller_does_not_have_is_refused_at_once(fleet: ReleaseFleet, tmp_path: Path) -> None:
    async with linked(fleet, fleet.controller.enrol()).linked() as link:
        with pytest.raises(TransferError, match="does not have it"):
            async with asyncio.timeout(10):
                await fetching(tmp_path).fetch([made(99, seed=1).file], [MqttBlobs(link.requests)])


async def test_a_device_that_floods_and_takes_nothing_holds_up_nobody_and_costs_no_memory(
    fleet: ReleaseFleet, tmp_path: Path
) -> None:
    controller = fleet.controller
    hostile = Raw(fleet, controller.enrol(), acknowledges=False)
    assert controller.process is not None
    assert controller.broker.process is not None
    pids = controller.process.pid, controller.broker.process.pid
    before = [resident_mb(pid) for pid in pids]
    ending = threading.Event()

    def flood() -> None:
        while not ending.wait(0.02):
            for _ in range(50):
                hostile.ask(blocks.Block(LARGE.file.digest, 0, blocks.MAX_BLOCK_BYTES))

    flooding = threading.Thread(target=flood)
    try:
        await until(hostile.connected.is_set)
        flooding.start()
        await until(lambda: "requests_dropped" in {entry["event"] for entry in controller.log})
        async with linked(fleet, controller.enrol()).linked() as link, asyncio.timeout(30):
            await fetched(link, tmp_path, PIECE)
        grown = [resident_mb(pid) - mb for pid, mb in zip(pids, before, strict=True)]
    finally:
        ending.set()
        flooding.join()
        hostile.close()
    told = next(entry for entry in controller.log if entry["event"] == "requests_dropped")
    assert (told["device"], told["cause"]) == (hostile.device.id, "too_many")
    assert grown[0] < 64, "the controller"
    assert grown[1] < 96, "the broker: 32 MiB that wait, and what is on its way"
