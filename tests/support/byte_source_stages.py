"""Sources of bytes behind one stage, so that one suite holds the fake and the real ones alike."""

from __future__ import annotations

import errno
import os
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
from tests.support.answering_controller import BlockController
from tests.support.linked_device import LinkedDevice
from tests.support.made_files import Made
from tests.support.memory_block_line import MemoryBlockLine
from tests.support.plain_broker import PlainBroker, mosquitto
from tests.support.range_server import Script, range_server
from tests.support.scripted_source import ScriptedSource

from homebred_daemon.adapters.blobs_https import HttpsBlobs, Place, below
from homebred_daemon.adapters.blobs_mqtt import MqttBlobs
from homebred_daemon.adapters.carried_blobs import CarriedBlobs
from homebred_daemon.ports.transfer import ByteSource


class Stage(Protocol):
    """A source, and the hand of whoever is behind it."""

    @property
    def source(self) -> ByteSource: ...

    def cut_after(self, length: int) -> None:
        """Streams break off after so many bytes from now on."""
        ...

    def fall_silent(self) -> None:
        """Streams give next to nothing from now on, and do not end."""
        ...


@dataclass
class InMemory:
    """The fake."""

    source: ScriptedSource

    def cut_after(self, length: int) -> None:
        self.source.cuts = [length] * 10

    def fall_silent(self) -> None:
        self.source.is_silent = True


@dataclass
class InBlocks:
    """Blocks over a link in memory."""

    source: MqttBlobs
    line: MemoryBlockLine

    def cut_after(self, length: int) -> None:
        self.line.gives_up_to = length

    def fall_silent(self) -> None:
        self.line.is_silent = True


@dataclass
class OverBroker:
    """Blocks over a real broker."""

    source: MqttBlobs
    controller: BlockController

    def cut_after(self, length: int) -> None:
        self.controller.gives_up_to = length

    def fall_silent(self) -> None:
        self.controller.is_silent = True


@dataclass
class OverHttp:
    """A static server."""

    source: HttpsBlobs
    script: Script = field(default_factory=Script)

    def cut_after(self, length: int) -> None:
        self.script.cut_after = length

    def fall_silent(self) -> None:
        self.script.stalls_after = 10


@dataclass
class FromFolder:
    """A folder that was carried, on a disk that may fail or hang."""

    source: CarriedBlobs
    disk: FailingDisk

    def cut_after(self, length: int) -> None:
        self.disk.gives_up_to = length

    def fall_silent(self) -> None:
        self.disk.goes_on.clear()


@dataclass
class FailingDisk:
    """Reads as `os.pread` does, up to a byte, or hangs."""

    gives_up_to: int = 2**60
    goes_on: threading.Event = field(default_factory=threading.Event)

    def read(self, descriptor: int, length: int, at: int) -> bytes:
        self.goes_on.wait()
        if at >= self.gives_up_to:
            raise OSError(errno.EIO, "the disk is gone")
        return os.pread(descriptor, min(length, self.gives_up_to - at), at)


def plain_tls() -> ssl.SSLContext:
    """Nobody in these tests is asked over TLS."""
    return ssl.create_default_context()


def script_of(*files: Made) -> Script:
    """A server with these files."""
    return Script({f"/store/{one.file.digest.replace(':', '/')}": one.body for one in files})


@contextmanager
def http_source(script: Script, *, tags_are_digests: bool = False) -> Iterator[HttpsBlobs]:
    """The real source, on a server that follows the script."""
    with range_server(script) as url:
        place = Place(
            name="the store", url_of=below(f"{url}/store/"), context=plain_tls, tags_are_digests=tags_are_digests
        )
        source = HttpsBlobs(place)
        try:
            yield source
        finally:
            source.close()


@contextmanager
def in_memory(folder: Path, *files: Made) -> Iterator[Stage]:
    """The fake."""
    yield InMemory(ScriptedSource({one.file.digest: one.body for one in files}))


@contextmanager
def over_http(folder: Path, *files: Made) -> Iterator[Stage]:
    """HTTP on loopback."""
    script = script_of(*files)
    with http_source(script) as source:
        yield OverHttp(source, script)


@contextmanager
def in_blocks(folder: Path, *files: Made) -> Iterator[Stage]:
    """The fake link."""
    line = MemoryBlockLine({one.file.digest: one.body for one in files})
    yield InBlocks(MqttBlobs(line), line)


@asynccontextmanager
async def over_broker(folder: Path, *files: Made) -> AsyncIterator[Stage]:
    """mosquitto on loopback, and a device's own link."""
    if mosquitto() is None:
        pytest.skip("mosquitto is not installed: packaging/tools/test_tools.sh does it")
    broker = PlainBroker(folder).start()
    try:
        controller = BlockController(broker.port, "dev-1", {one.file.digest: one.body for one in files})
        try:
            async with LinkedDevice("dev-1", broker.port).linked() as link:
                yield OverBroker(MqttBlobs(link.requests), controller)
        finally:
            controller.close()
    finally:
        broker.stop()


STAGES = {"memory": in_memory, "http": over_http, "blocks": in_blocks}
"""Those that need no loop; beside them there is `over_broker`."""
