"""What the bench of transfers runs in processes of their own, so that memory and processor time are theirs alone.

`python -m tests.bench.transfer_side apply BYTES FOLDER` hands made bytes over to the staging folder, frame by frame;
`… fetch BYTES FOLDER URL` fetches them from a server; `… plain BYTES FOLDER` writes and digests them with nothing but
the standard library; `… serve BYTES` serves them on a port of loopback, which it prints, until its standard input ends.
Each but the last prints a line of JSON: seconds, processor seconds, the most memory, the most disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import resource
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from typing_extensions import override

from homebred_daemon.adapters.blob_shelf import BlobShelf
from homebred_daemon.adapters.blob_store import BlobStore
from homebred_daemon.adapters.blobs_https import HttpsBlobs, at_static_server, trusting
from homebred_daemon.adapters.staging_folder import StagingFolder
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.core.transfer import FRAME_BYTES, WantedFile
from homebred_daemon.ports.transfer import ByteSource, ByteStream
from homebred_daemon.services.releases.fetching import Fetching, Surroundings, Terms

SEED = bytes(range(256)) * (FRAME_BYTES // 256)


def frame(number: int) -> bytearray:
    """A frame of the made file, unlike every other."""
    body = bytearray(SEED)
    body[:8] = number.to_bytes(8, "big")
    return body


def described(length: int) -> WantedFile:
    """The made file; its length is a multiple of a frame's."""
    whole, frames = hashlib.sha256(), []
    for number in range(length // FRAME_BYTES):
        body = frame(number)
        whole.update(body)
        frames.append(hashlib.sha256(body).hexdigest())
    return WantedFile(path="bundle", length=length, digest=f"sha256:{whole.hexdigest()}", frames=tuple(frames))


class FromMemory:
    """A source that costs next to nothing: what is measured is what follows it."""

    name = "memory"

    @asynccontextmanager
    async def open(self, file: WantedFile, begin: int, end: int) -> AsyncIterator[ByteStream]:
        yield _Stream(begin)


class _Stream:
    def __init__(self, begin: int) -> None:
        self._at = begin
        self._frame = memoryview(bytearray(SEED))

    async def read_into(self, room: memoryview) -> int:
        number, offset = divmod(self._at, FRAME_BYTES)
        self._frame[:8] = number.to_bytes(8, "big")
        read = min(len(room), FRAME_BYTES - offset)
        room[:read] = self._frame[offset : offset + read]
        self._at += read
        return read


async def brought(file: WantedFile, folder: Path, source: ByteSource, seen: Callable[[], None]) -> None:
    """Fetches the file, and gives it its place by its name alone."""
    around = Surroundings(
        staging=StagingFolder(folder / "staging"),
        shelf=BlobShelf(BlobStore(folder / "blobs")),
        clock=SystemClock(),
        second_of_day=lambda: 0.0,
        chance=lambda: 0.5,
    )
    paths = await Fetching(around, Terms(reserve_bytes=0)).fetch([file], [source], lambda _: seen())
    seen()
    paths[file.digest].rename(folder / "in-place")
    seen()


def plain(length: int, folder: Path) -> None:
    """What there is to do at least: each byte written and digested once, the file flushed."""
    digest = hashlib.sha256()
    with (folder / "plain").open("wb", buffering=0) as file:
        body = memoryview(bytearray(SEED))
        for number in range(length // FRAME_BYTES):
            body[:8] = number.to_bytes(8, "big")
            digest.update(body)
            file.write(body)
        os.fsync(file.fileno())


def measured(length: int, folder: Path, run: Callable[[Callable[[], None]], object]) -> dict[str, float]:
    """Runs it; `run` gets what is to be called whenever the disk may hold the most."""
    folder.mkdir(parents=True)
    most_blocks = 0

    def seen() -> None:
        nonlocal most_blocks
        most_blocks = max(most_blocks, sum(path.stat().st_blocks for path in folder.rglob("*")))

    before, begun_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    run(seen)
    after, wall_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - begun_s
    seen()
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak_mb = after.ru_maxrss * 1024 / 1e6
    return {"wall_s": wall_s, "cpu_s": cpu_s, "peak_mb": peak_mb, "disk_ratio": most_blocks * 512 / length}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    length = 0

    def do_GET(self) -> None:  # http.server's
        asked = self.headers.get("Range", "")
        begin = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{self.length - 1}/{self.length}")
        self.send_header("Content-Length", str(self.length - begin))
        self.end_headers()
        for body in _from(begin, self.length):
            self.wfile.write(body)

    @override
    def log_message(self, format: str, *arguments: object) -> None:
        pass


def _from(begin: int, length: int) -> Iterator[memoryview]:
    for number in range(begin // FRAME_BYTES, length // FRAME_BYTES):
        yield memoryview(frame(number))[max(0, begin - number * FRAME_BYTES) :]


def serve(length: int) -> None:
    """Serves the file under whatever name until standard input ends."""
    _Handler.length = length
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


def main() -> None:
    mode, length = sys.argv[1], int(sys.argv[2])
    if mode == "serve":
        serve(length)
        return
    folder = Path(sys.argv[3])
    if mode == "plain":
        print(json.dumps(measured(length, folder, lambda _: plain(length, folder))))
        return
    ssl.create_default_context()  # its authorities are read once, whatever is fetched
    file = described(length)
    source: ByteSource = (
        FromMemory() if mode == "apply" else HttpsBlobs(at_static_server(sys.argv[4], context=trusting(None)))
    )
    print(json.dumps(measured(length, folder, lambda seen: asyncio.run(brought(file, folder, source, seen)))))


if __name__ == "__main__":
    main()
