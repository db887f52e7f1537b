"""Brings a release's files to this device, frame by frame, over whatever sources there are, through whatever happens.

What is asked for next, how fast, and when somebody is asked again is `core.transfer`'s to say. What came is kept by the
staging folder before anything else is asked for, so nothing here needs to outlive a kill. It holds one frame in memory.
It neither installs nor activates anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Final

from homebred_daemon.core.transfer import (
    FRAME_BYTES,
    Span,
    WantedFile,
    in_order,
    missing_bytes,
    next_span,
    short_by,
    what_is_wrong,
)
from homebred_daemon.core.transfer_pace import TokenBucket, Window, opens_in_s
from homebred_daemon.core.transfer_tries import Ask, GiveUp, Problem, Tries, Wait
from homebred_daemon.errors import (
    SourceAwayError,
    SourceRefusesError,
    SourceWrongError,
    TransferError,
    UnwritableError,
)
from homebred_daemon.on_threads import unbroken
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.transfer import ByteSource, ByteStream, PartialFile, Progress, Shelf, Staging, Watch

DISK_AGAIN_S: Final = 30.0
LONGEST_LOOK_S: Final = 900.0
"""A window's opening is waited for in such pieces: the clock may be set meanwhile."""
SILENCE_S: Final = 30.0
SLOWEST_BYTES_PER_S: Final = 4096
"""A source that gives less is broken off, so that another may be asked: slow retrieval is an attack too."""
PROGRESS_BYTES: Final = 65_536
"""A stream that gave so many did not fail for nothing: it may be asked again at once."""
MIB: Final = 1024 * 1024

PROBLEMS: Final = {
    SourceAwayError: Problem.AWAY,
    SourceRefusesError: Problem.REFUSES,
    SourceWrongError: Problem.WRONG,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a device's administrator allows a transfer."""

    bytes_per_s: int = 0
    """0: as fast as they come."""
    windows: tuple[Window, ...] = ()
    """Of the local day; none: at any time."""
    reserve_bytes: int = 512 * MIB
    """What a transfer leaves free on its disk (I9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the fetching service is given of the world."""

    staging: Staging
    shelf: Shelf
    clock: Clock
    second_of_day: Callable[[], float]
    """Seconds since local midnight."""
    chance: Callable[[], float]
    """Evenly from [0, 1)."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Fetching:
    """One device's transfers; one at a time."""

    def __init__(self, around: Surroundings, terms: Terms) -> None:
        self._around = around
        self._terms = terms
        self._bucket = TokenBucket(terms.bytes_per_s, around.clock.monotonic_s())
        self._one = asyncio.Lock()

    async def fetch(
        self, files: Sequence[WantedFile], sources: Sequence[ByteSource], watch: Watch = lambda _: None
    ) -> dict[str, Path]:
        """Has every file on this device, whole; where each stands that was not here before, by digest.

        It waits for windows, room and sources as long as it takes. Cancelled or killed, it goes on where it ended when
        it is called again, by this process or the next.

        Raises:
            TransferError: the files cannot be transferred as they are described, or no source gives one of them.
            StateError: the staging folder cannot be used.
        """
        wrong = what_is_wrong(files)
        if wrong:
            raise TransferError(f"the release cannot be transferred: {wrong}", hint="build the release again")
        async with self._one:
            return await _Transfer(self._around, self._terms, self._bucket, sources, watch).run(in_order(files))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Obstacle:
    """Why the next frame may not be asked for."""

    reason: str
    again_s: float
    sentence: str


@dataclass(slots=True)
class _Frame:
    """The one frame in memory: what a broken stream leaves of it is gone on with, a whole one outlives a full disk."""

    room: memoryview
    filled: int = 0
    of: tuple[str, int, int] | None = None
    """File, frame and source that it is of."""

    def begin(self, digest: str, number: int, source: int) -> None:
        """Is of this frame from now on; what came of the very same stays."""
        if self.of != (digest, number, source):
            self.drop()
        self.of = (digest, number, source)

    def drop(self) -> None:
        """Forgets what came of it."""
        self.filled, self.of = 0, None


def _room(length: int) -> memoryview:
    """Memory of its own pages: only such can be written to a disk past the kernel's cache."""
    return memoryview(mmap(-1, max(length, 1)))[:length]


class _Transfer:
    """One call of `fetch`."""

    def __init__(
        self,
        around: Surroundings,
        terms: Terms,
        bucket: TokenBucket,
        sources: Sequence[ByteSource],
        watch: Watch,
    ) -> None:
        self._around = around
        self._terms = terms
        self._bucket = bucket
        self._sources = sources
        self._watch = watch
        self._tries = Tries([source.name for source in sources])
        self._frame = _Frame(memoryview(b""))
        self._held_bytes = self._total_bytes = self._fetched_bytes = 0
        self._streamed_bytes = 0
        """Of the stream that is open."""
        self._said: dict[int, str] = {}
        """Why each source failed last."""

    async def run(self, files: Sequence[WantedFile]) -> dict[str, Path]:
        """Brings all of them."""
        self._total_bytes = sum(file.length for file in files)
        self._frame.room = _room(min(FRAME_BYTES, max((file.length for file in files), default=0)))
        missing = [file for file in files if not await asyncio.to_thread(self._around.shelf.has, file)]
        kept = [await asyncio.to_thread(self._around.staging.held_bytes, file) for file in missing]
        self._held_bytes = self._total_bytes - sum(file.length for file in missing) + sum(kept)
        self._tell()
        return {
            file.digest: await self._bring(file, self._held_bytes - before)
            for file, before in zip(missing, kept, strict=True)
        }

    async def _bring(self, file: WantedFile, others: int) -> Path:
        """One file, whole; `others` are held bytes of the others. A full disk is waited for at whatever write."""
        while True:
            try:
                path = await asyncio.to_thread(self._around.staging.whole, file) or await self._fill(file, others)
            except UnwritableError as error:
                await self._wait(_Obstacle(reason="disk", again_s=DISK_AGAIN_S, sentence=error.message))
            else:
                if path is not None:
                    self._held_bytes = others + file.length
                    self._tell()
                    return path

    async def _fill(self, file: WantedFile, others: int) -> Path | None:
        """Asks until no frame is missing; None: some were found damaged on the disk, and have to come again."""
        part = await unbroken(lambda: self._around.staging.open(file), undo=lambda opened: opened.close())
        try:
            while True:
                self._held_bytes = others + file.length - missing_bytes(file, part.held)
                self._tell()
                span = next_span(file, part.held)
                if span is None:
                    return await unbroken(part.finish)
                if (obstacle := await self._obstacle()) is not None:
                    await self._wait(obstacle)
                else:
                    await self._ask(file, part, span)
        finally:
            await unbroken(part.close)

    async def _obstacle(self) -> _Obstacle | None:
        """What stands in the way of the next frame: the time of day, or the disk."""
        wait_s = opens_in_s(self._terms.windows, self._around.second_of_day())
        if wait_s > 0:
            sentence = "transfers are not allowed at this time of day"
            return _Obstacle(reason="window", again_s=min(wait_s, LONGEST_LOOK_S), sentence=sentence)
        room = await asyncio.to_thread(self._around.staging.room)
        short = short_by(room, self._total_bytes - self._held_bytes, self._terms.reserve_bytes)
        if short:
            sentence = f"the disk lacks {short // MIB + 1} MiB for the release and the reserve that stays free"
            return _Obstacle(reason="disk", again_s=DISK_AGAIN_S, sentence=sentence)
        return None

    async def _ask(self, file: WantedFile, part: PartialFile, span: Span) -> None:
        """Asks whoever is next for what is missing; returns when that has come, or why not was noted."""
        now_s = self._around.clock.monotonic_s()
        match self._tries.next(file.digest, now_s):
            case GiveUp(why):
                raise TransferError(f"{file.path} ({file.digest}) cannot be fetched: {why}{self._reasons()}")
            case Wait(wait_s):
                await self._wait(
                    _Obstacle(reason="source", again_s=wait_s, sentence=f"no source answers{self._reasons()}")
                )
            case Ask(number):
                try:
                    await self._run_with(number, file, part, span)
                except (SourceAwayError, SourceRefusesError, SourceWrongError) as error:
                    self._note(number, file, error)

    def _reasons(self) -> str:
        """What the sources said last, as the rest of a sentence."""
        said = dict.fromkeys(self._said.values())
        return f" ({'; '.join(said)})" if said else ""

    def _note(self, number: int, file: WantedFile, error: TransferError) -> None:
        self._said[number] = error.message
        asked_for_s = error.retry_after_s if isinstance(error, SourceAwayError) else 0.0
        now_s, chance = self._around.clock.monotonic_s(), self._around.chance()
        self._tries.failed(number, file.digest, PROBLEMS[type(error)], now_s, chance, asked_for_s=asked_for_s)

    async def _run_with(self, source: int, file: WantedFile, part: PartialFile, span: Span) -> None:
        """Takes frames from a source, as far as it gives them and as long as it may."""
        self._frame.begin(file.digest, span.first, source)
        begin = span.first * FRAME_BYTES + self._frame.filled
        if self._frame.filled == file.frame_length(span.first):  # there was no room for it
            await self._keep(source, file, part, span.first)
            return
        self._streamed_bytes = 0
        async with self._sources[source].open(file, begin, min(span.end * FRAME_BYTES, file.length)) as stream:
            for number in range(span.first, span.end):
                self._frame.begin(file.digest, number, source)
                await self._read_frame(source, stream, file.frame_length(number))
                await self._keep(source, file, part, number)
                if await self._obstacle() is not None:
                    return

    async def _keep(self, source: int, file: WantedFile, part: PartialFile, number: int) -> None:
        body = self._frame.room[: file.frame_length(number)]
        is_right = await unbroken(lambda: part.keep(number, body))
        self._frame.drop()
        if not is_right:
            raise SourceWrongError(f"{self._sources[source].name} sent another frame {number} of {file.path}")
        self._tries.came(source)
        self._held_bytes += len(body)
        self._tell()

    async def _read_frame(self, source: int, stream: ByteStream, length: int) -> None:
        whole = self._frame.room[:length]
        while self._frame.filled < length:
            wanted = whole[self._frame.filled :][: self._bucket.slice_bytes]
            try:
                async with asyncio.timeout(SILENCE_S + len(wanted) / SLOWEST_BYTES_PER_S):
                    read = await stream.read_into(wanted)
            except TimeoutError:
                raise SourceAwayError("a source gives less than can be waited for") from None
            if not read:
                raise SourceAwayError("a source ended before it had given what it was asked for")
            self._frame.filled += read
            self._fetched_bytes += read
            self._streamed_bytes += read
            if self._streamed_bytes >= PROGRESS_BYTES:
                self._tries.came(source)
            wait_s = self._bucket.wait_s(read, self._around.clock.monotonic_s())
            if wait_s > 0:
                await self._around.sleep(wait_s)

    async def _wait(self, obstacle: _Obstacle) -> None:
        self._tell(obstacle)
        await self._around.sleep(obstacle.again_s)

    def _tell(self, obstacle: _Obstacle | None = None) -> None:
        progress = Progress(
            held_bytes=self._held_bytes,
            total_bytes=self._total_bytes,
            fetched_bytes=self._fetched_bytes,
            waits_for=obstacle.reason if obstacle else "",
            wait_s=obstacle.again_s if obstacle else 0.0,
            sentence=obstacle.sentence if obstacle else "",
        )
        self._watch(progress)
