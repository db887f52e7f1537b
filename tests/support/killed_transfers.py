"""Fetches a file in children that are killed, one after another, the way `kill -9` and the OOM killer do.

`python -m tests.support.killed_transfers URL LENGTH SEED FOLDER KILLS` forks a child that fetches the file made of
LENGTH and SEED into FOLDER, kills it after a seeded number of bytes, and goes on so until KILLS were killed and one has
ended by itself. For each it prints a line of JSON: bytes that all of them have read so far, bytes that are held, how it
ended, and the most memory that it took. What they read is counted in memory that they share: it outlives each of them.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import resource
import signal
import ssl
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.support.made_files import made
from typing_extensions import override

from homebred_daemon.adapters.blob_shelf import BlobShelf
from homebred_daemon.adapters.blob_store import BlobStore
from homebred_daemon.adapters.blobs_https import HttpsBlobs, Place, below
from homebred_daemon.adapters.staging_folder import StagingFolder
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.core.transfer import FRAME_BYTES, WantedFile
from homebred_daemon.ports.transfer import ByteSource, ByteStream
from homebred_daemon.services.releases.fetching import Fetching, Surroundings, Terms

LONGEST_LIFE_S = 120
"""Of a child whose parent was ended, and that nobody kills any more."""


class HastyClock(SystemClock):
    """Time that passes at once where it is waited for: the product's waits are tested elsewhere."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    @override
    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._ahead_s

    async def sleep(self, seconds: float) -> None:
        self._ahead_s += seconds
        await asyncio.sleep(0)


@dataclass
class Counter:
    """Bytes that were read from sources, in memory that a fork shares."""

    shared: mmap.mmap

    @property
    def value(self) -> int:
        return int(struct.unpack_from("Q", self.shared)[0])

    def add(self, read: int) -> None:
        struct.pack_into("Q", self.shared, 0, self.value + read)


@dataclass
class CountedSource:
    """A source, and who counts what it gives."""

    source: ByteSource
    counter: Counter

    @property
    def name(self) -> str:
        return self.source.name

    @asynccontextmanager
    async def open(self, file: WantedFile, begin: int, end: int) -> AsyncIterator[ByteStream]:
        async with self.source.open(file, begin, end) as stream:
            yield CountedStream(stream, self.counter)


@dataclass
class CountedStream:
    stream: ByteStream
    counter: Counter

    async def read_into(self, room: memoryview) -> int:
        read = await self.stream.read_into(room)
        self.counter.add(read)
        return read


def transfer(url: str, file: WantedFile, folder: Path, counter: Counter) -> None:
    """One process's try."""
    clock = HastyClock()
    around = Surroundings(
        staging=StagingFolder(folder),
        shelf=BlobShelf(BlobStore(folder / "none")),
        clock=clock,
        second_of_day=lambda: 0.0,
        chance=lambda: 0.5,
        sleep=clock.sleep,
    )
    source = HttpsBlobs(Place(name="the server", url_of=below(url), context=ssl.create_default_context))
    asyncio.run(_fetch(Fetching(around, Terms(reserve_bytes=0)), file, CountedSource(source, counter)))


async def _fetch(fetching: Fetching, file: WantedFile, source: ByteSource) -> None:
    await fetching.fetch([file], [source])


def killed_after(child: int, counter: Counter, read: int, wait_s: float) -> bool:
    """Kills a child once so much was read, and a moment later; whether it had not ended by then."""
    while counter.value < read:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return False
        time.sleep(0.0005)
    time.sleep(wait_s)
    os.kill(child, signal.SIGKILL)
    return True


def kill_after(random: Random) -> int:
    """Mostly within the first frame that a child fetches, so that there can be many kills, else within three."""
    return random.randrange(FRAME_BYTES * 9 // 10 if random.random() < 0.85 else 3 * FRAME_BYTES)


def main() -> None:
    url, folder = sys.argv[1], Path(sys.argv[4])
    length, seed, kills = int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[5])
    file = made(length, seed=seed).file
    counter, random, killed, status = Counter(mmap.mmap(-1, 8)), Random(seed), 0, -1
    staging = StagingFolder(folder)
    while status:
        child = os.fork()
        if not child:
            signal.alarm(LONGEST_LIFE_S)
            transfer(url, file, folder, counter)
            os._exit(0)
        if killed < kills:
            killed += killed_after(child, counter, counter.value + kill_after(random), random.random() / 1000)
        _, ended, _ = os.wait4(child, 0)
        status = os.waitstatus_to_exitcode(ended)
        peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        line = {"read": counter.value, "held": staging.held_bytes(file), "status": status, "peak_kib": peak_kib}
        sys.stdout.write(json.dumps(line) + "\n")
        if status not in {0, -signal.SIGKILL}:
            sys.exit(1)


if __name__ == "__main__":
    main()
