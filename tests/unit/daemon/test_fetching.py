"""A transfer gets through whatever its sources, its disk and the time of day do, and asks for nothing twice."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.made_files import Made, described, made
from tests.support.manual_clock import ManualClock, run_with
from tests.support.memory_staging import MemoryPart, MemoryStaging
from tests.support.scripted_source import ScriptedSource
from typing_extensions import override

from homebred_daemon.core.transfer import FRAME_BYTES, WantedFile
from homebred_daemon.core.transfer_pace import read_windows
from homebred_daemon.errors import SourceAwayError, SourceRefusesError, SourceWrongError, TransferError
from homebred_daemon.ports.transfer import Progress
from homebred_daemon.services.releases.fetching import DISK_AGAIN_S, PROGRESS_BYTES, Fetching, Surroundings, Terms

HOUR_S = 3600
SMALL = made(1000, path="specialist.toml")
LARGE = made(3 * FRAME_BYTES + 17, path="model.gguf")


@dataclass
class Stage:
    """A device with a disk in memory, on which time passes where it is waited for."""

    sources: list[ScriptedSource]
    staging: MemoryStaging = field(default_factory=MemoryStaging)
    terms: Terms = field(default_factory=Terms)
    clock: ManualClock = field(default_factory=ManualClock)
    on_shelf: set[str] = field(default_factory=set)
    told: list[Progress] = field(default_factory=list)
    second_of_day: float = 12.0 * HOUR_S
    waits: list[float] = field(default_factory=list)

    def has(self, file: WantedFile) -> bool:
        return file.digest in self.on_shelf

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        assert len(self.waits) < 10_000, "it waits for ever"
        self.clock.pass_s(seconds)
        await asyncio.sleep(0)

    def fetching(self) -> Fetching:
        around = Surroundings(
            staging=self.staging,
            shelf=self,
            clock=self.clock,
            second_of_day=lambda: (self.second_of_day + self.clock.monotonic_s()) % (24 * HOUR_S),
            chance=lambda: 0.5,
            sleep=self.sleep,
        )
        return Fetching(around, self.terms)

    async def fetch(self, *files: Made) -> None:
        await self.fetching().fetch([each.file for each in files], self.sources, self.told.append)
        for each in files:
            assert self.has(each.file) or self.staging.finished[each.file.digest] == each.body
        assert self.told[-1].held_bytes == self.told[-1].total_bytes

    @property
    def waited_for(self) -> set[str]:
        return {each.waits_for for each in self.told} - {""}


def source(*files: Made, name: str = "controller") -> ScriptedSource:
    return ScriptedSource({each.file.digest: each.body for each in files}, name)


async def test_all_files_come_the_small_ones_first_each_in_one_request() -> None:
    stage = Stage([source(SMALL, LARGE)])
    await stage.fetch(LARGE, SMALL)
    assert stage.sources[0].asked == [("specialist.toml", 0, 1000), ("model.gguf", 0, LARGE.file.length)]
    assert stage.waits == []


async def test_what_is_on_the_shelf_is_not_asked_for() -> None:
    stage = Stage([source(SMALL)], on_shelf={LARGE.file.digest})
    await stage.fetch(LARGE, SMALL)
    assert [path for path, _, _ in stage.sources[0].asked] == ["specialist.toml"]


async def test_an_empty_file_is_made_of_nothing() -> None:
    empty = made(0)
    stage = Stage([source()])
    await stage.fetch(empty)
    assert stage.sources[0].asked == []


async def test_a_broken_stream_is_gone_on_with_where_it_ended_within_a_frame() -> None:
    stage = Stage([source(LARGE)])
    stage.sources[0].cuts = [FRAME_BYTES + 5, 7]
    await stage.fetch(LARGE)
    begins = [begin for _, begin, _ in stage.sources[0].asked]
    assert begins == [0, FRAME_BYTES + 5, FRAME_BYTES + 12]
    assert stage.told[-1].fetched_bytes == LARGE.file.length


async def test_a_process_that_ended_left_what_it_kept_to_the_next() -> None:
    stage = Stage([source(LARGE)])
    stage.sources[0].cuts = [2 * FRAME_BYTES + 100]
    stage.sources[0].refusals = []

    def end(progress: Progress) -> None:
        if progress.held_bytes == 2 * FRAME_BYTES:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await stage.fetching().fetch([LARGE.file], stage.sources, end)
    stage.sources[0].asked.clear()
    await stage.fetch(LARGE)
    assert stage.sources[0].asked == [("model.gguf", 2 * FRAME_BYTES, LARGE.file.length)]


async def test_only_what_is_missing_between_held_frames_is_asked_for() -> None:
    stage = Stage([source(LARGE)])
    stage.staging.frames[LARGE.file.digest] = {1: LARGE.body[FRAME_BYTES : 2 * FRAME_BYTES]}
    await stage.fetch(LARGE)
    assert [(begin, end) for _, begin, end in stage.sources[0].asked] == [
        (0, FRAME_BYTES),
        (2 * FRAME_BYTES, LARGE.file.length),
    ]


async def test_cuts_that_let_something_through_are_not_waited_after() -> None:
    stage = Stage([source(LARGE)])
    stage.sources[0].cuts = [PROGRESS_BYTES] * (LARGE.file.length // PROGRESS_BYTES)
    await stage.fetch(LARGE)
    assert stage.waits == []


async def test_a_thousand_cuts_cost_no_byte() -> None:
    stage, random = Stage([source(LARGE)]), Random(5)
    stage.sources[0].cuts = [random.randrange(1, 2 * LARGE.file.length // 1000) for _ in range(1000)]
    await stage.fetch(LARGE)
    assert stage.told[-1].fetched_bytes == LARGE.file.length
    assert stage.sources[0].given == LARGE.file.length


async def test_a_damaged_frame_is_not_kept_and_comes_again() -> None:
    stage = Stage([source(LARGE)])
    stage.sources[0].damages = 1
    await stage.fetch(LARGE)
    assert stage.told[-1].fetched_bytes == LARGE.file.length + FRAME_BYTES


async def test_a_source_that_lies_is_left_for_the_next() -> None:
    bad = source(LARGE, name="mirror")
    bad.damages = 10**6
    stage = Stage([bad, source(LARGE)])
    await stage.fetch(LARGE)
    assert bad.given <= 3 * FRAME_BYTES


async def test_what_two_sources_sent_is_never_put_together_in_one_frame() -> None:
    first, second = source(LARGE, name="mirror"), source(LARGE)
    first.cuts, first.damages = [100], 1
    first.refusals = []
    stage = Stage([first, second])

    def gone() -> None:
        if first.given == 100:
            first.refusals = [SourceAwayError(retry_after_s=60)] * 2

    first.on_read = gone
    await stage.fetch(LARGE)
    assert ("model.gguf", 0, LARGE.file.length) in second.asked, "begun anew: what the mirror sent may be anything"


async def test_sources_that_are_away_are_waited_for_and_it_is_said() -> None:
    stage = Stage([source(SMALL)])
    stage.sources[0].refusals = [SourceAwayError() for _ in range(6)]
    await stage.fetch(SMALL)
    assert stage.waited_for == {"source"}
    assert stage.waits == sorted(stage.waits)
    sentences = {each.sentence for each in stage.told if each.waits_for}
    assert sentences == {"no source answers (A source of bytes does not answer, or broke off.)"}


async def test_a_source_that_asks_for_time_gets_it() -> None:
    stage = Stage([source(SMALL)])
    stage.sources[0].refusals = [SourceAwayError(retry_after_s=77)]
    await stage.fetch(SMALL)
    assert stage.waits == [77]


async def test_the_next_source_is_asked_where_one_refuses() -> None:
    stage = Stage([source(name="controller"), source(SMALL, name="store")])
    await stage.fetch(SMALL)
    assert len(stage.sources[0].asked) == len(stage.sources[1].asked) == 1


async def test_what_nobody_gives_is_given_up_with_the_reasons_and_the_rest_is_kept() -> None:
    stage = Stage([source(SMALL, name="controller")])
    with pytest.raises(TransferError, match=r"model.gguf .* controller does not have it") as caught:
        await stage.fetch(SMALL, LARGE)
    assert caught.value.hint
    assert SMALL.file.digest in stage.staging.finished


async def test_a_server_that_answers_wrongly_three_times_is_given_up() -> None:
    stage = Stage([source(SMALL)])
    stage.sources[0].refusals = [SourceWrongError("gzip") for _ in range(9)]
    with pytest.raises(TransferError, match="sent something else"):
        await stage.fetch(SMALL)
    assert len(stage.sources[0].asked) == 3


async def test_files_that_cannot_be_verified_are_refused_before_anybody_is_asked() -> None:
    stage = Stage([source(SMALL)])
    with pytest.raises(TransferError, match="cannot be transferred"):
        await stage.fetching().fetch([replace(SMALL.file, frames=())], stage.sources)
    assert stage.sources[0].asked == []


async def test_a_manifest_that_contradicts_itself_is_told_and_not_fetched_for_ever() -> None:
    other = replace(SMALL.file, digest="sha256:" + "0" * 64)
    stage = Stage([ScriptedSource({other.digest: SMALL.body})])
    with pytest.raises(TransferError, match="the whole is not"):
        await stage.fetching().fetch([other], stage.sources)


async def test_frames_that_the_disk_damaged_come_again() -> None:
    stage = Stage([source(LARGE)])
    stage.staging.damages = {1}
    await stage.fetch(LARGE)
    assert stage.sources[0].asked[1:] == [("model.gguf", FRAME_BYTES, 2 * FRAME_BYTES)]


async def test_outside_of_its_windows_nothing_is_asked_for() -> None:
    stage = Stage([source(SMALL)], terms=Terms(windows=read_windows("22:00-05:00")))
    await stage.fetch(SMALL)
    assert sum(stage.waits) == pytest.approx(10 * HOUR_S)
    assert stage.waited_for == {"window"}


async def test_a_window_that_closes_meanwhile_ends_the_stream_after_its_frame() -> None:
    stage = Stage([source(LARGE)], terms=Terms(windows=read_windows("12:00-12:01")))
    stage.sources[0].on_read = lambda: stage.clock.pass_s(30)
    await stage.fetch(LARGE)
    assert len(stage.sources[0].asked) == 4, "a frame a day: of each four slices are read in two minutes"
    assert stage.waited_for == {"window"}


async def test_the_reserve_of_the_disk_is_kept_and_room_is_enough_to_go_on() -> None:
    stage = Stage([source(LARGE)], terms=Terms(reserve_bytes=1000))
    stage.staging.free_bytes = LARGE.file.length + 999

    async def sleep(seconds: float) -> None:
        stage.waits.append(seconds)
        assert stage.sources[0].asked == []
        if len(stage.waits) == 3:
            stage.staging.free_bytes += 1

    stage.sleep = sleep  # type: ignore[method-assign]
    await stage.fetch(LARGE)
    assert stage.waits == [DISK_AGAIN_S] * 3
    assert stage.waited_for == {"disk"}


async def test_a_disk_that_fills_meanwhile_ends_the_stream_after_its_frame() -> None:
    stage = Stage([source(LARGE)], terms=Terms(reserve_bytes=1000))

    def used(progress: Progress) -> None:
        stage.told.append(progress)
        if progress.waits_for:
            stage.staging.free_bytes = 1 << 40
        elif progress.held_bytes == FRAME_BYTES and not stage.waits:
            stage.staging.free_bytes = 999

    await stage.fetching().fetch([LARGE.file], stage.sources, used)
    assert [begin for _, begin, _ in stage.sources[0].asked] == [0, FRAME_BYTES]


async def test_a_write_without_room_is_tried_again_with_the_frame_that_is_in_memory() -> None:
    stage = Stage([source(LARGE)])
    stage.staging.fails = 5
    await stage.fetch(LARGE)
    assert stage.told[-1].fetched_bytes == LARGE.file.length
    assert stage.waits == [DISK_AGAIN_S] * 5
    assert len(stage.sources[0].asked) == 2


async def test_the_rate_is_kept_over_all_files_of_a_transfer() -> None:
    stage = Stage([source(SMALL, LARGE)], terms=Terms(bytes_per_s=1_000_000))
    await stage.fetch(SMALL, LARGE)
    assert stage.clock.monotonic_s() == pytest.approx((LARGE.file.length + 1000) / 1e6, rel=0.02)


def test_a_source_that_drips_is_left_for_the_next() -> None:
    clock = ManualClock()
    slow = source(SMALL, name="mirror")
    slow.is_silent, slow.on_read = True, lambda: clock.pass_s(10_000)
    stage = Stage([slow, source(SMALL)], clock=clock)
    run_with(clock, stage.fetch(SMALL))
    assert len(stage.sources[1].asked) == 1


async def test_cancelled_while_a_frame_is_written_it_closes_the_file_only_afterwards() -> None:
    stage, seen = Stage([source(LARGE)]), list[str]()
    writing, release = threading.Event(), threading.Event()

    class Watched(MemoryPart):
        @override
        def keep(self, number: int, body: memoryview) -> bool:
            writing.set()
            release.wait(30)
            seen.append("written")
            return super().keep(number, body)

        @override
        def close(self) -> None:
            seen.append("closed")

    stage.staging.open = lambda file: Watched(stage.staging, file)  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stage.fetch(LARGE))
        await asyncio.to_thread(writing.wait, 30)
        task.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert seen == []
        release.set()
    assert task.cancelled()
    assert seen == ["written", "closed"]


async def test_one_transfer_at_a_time_holds_a_frame() -> None:
    stage = Stage([source(SMALL, LARGE)])
    fetching = stage.fetching()
    async with asyncio.TaskGroup() as group:
        group.create_task(fetching.fetch([LARGE.file], stage.sources))
        group.create_task(fetching.fetch([SMALL.file], stage.sources))
    assert [path for path, _, _ in stage.sources[0].asked] == ["model.gguf", "specialist.toml"]


@given(st.data())
@settings(max_examples=25)
def test_whatever_the_sources_do_what_is_brought_is_what_was_wanted(data: st.DataObject) -> None:
    files = [made(data.draw(st.integers(0, 2 * FRAME_BYTES)), seed=seed, path=f"{seed}") for seed in range(2)]
    faults = st.sampled_from([SourceAwayError(), SourceRefusesError(), SourceWrongError()])
    sources = [source(*files, name=f"{number}") for number in range(2)]
    for each in sources:
        each.refusals = data.draw(st.lists(faults, max_size=4))
        each.cuts = data.draw(st.lists(st.integers(0, 2 * FRAME_BYTES), max_size=6))
        each.damages = data.draw(st.integers(0, 2))
    stage = Stage(sources)
    stage.staging.fails = data.draw(st.integers(0, 2))
    try:
        asyncio.run(stage.fetch(*files))
    except TransferError as error:
        assert "cannot be fetched" in error.message  # noqa: PT017  # or else all of it was brought
    for one in files:
        assert stage.staging.finished.get(one.file.digest, one.body) == one.body


def test_a_description_is_of_the_bytes() -> None:
    assert described(LARGE.body) == LARGE.file
