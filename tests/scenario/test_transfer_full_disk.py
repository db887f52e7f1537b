"""A disk without room at every write of a transfer: nothing else is touched, and room is enough to go on."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.bounded_disks import fill, make_room, small_disk
from tests.support.made_files import Made, made
from tests.support.manual_clock import ManualClock
from tests.support.scripted_source import ScriptedSource

from homebred_daemon.adapters import staging_folder
from homebred_daemon.adapters.blob_shelf import BlobShelf
from homebred_daemon.adapters.blob_store import BlobStore
from homebred_daemon.adapters.staging_folder import StagingFolder
from homebred_daemon.core.transfer import FRAME_BYTES
from homebred_daemon.ports.transfer import Progress
from homebred_daemon.services.releases.fetching import Fetching, Surroundings, Terms

SMALL = made(50_000, path="specialist.toml")
LARGE = made(3 * FRAME_BYTES + 12_345)
WRITERS = ("pwrite", "fdatasync", "fsync", "ftruncate", "fchmod")
ERRORS = (errno.ENOSPC, errno.EDQUOT)


def source() -> ScriptedSource:
    return ScriptedSource({one.file.digest: one.body for one in (SMALL, LARGE)})


def brought(folder: Path, *, waited: Callable[[], object], reserve_bytes: int = 0) -> list[Progress]:
    """Fetches both files; `waited` is called in place of each wait."""
    clock, told = ManualClock(), list[Progress]()

    async def sleep(seconds: float) -> None:
        clock.pass_s(seconds)
        assert clock.monotonic_s() < 3600, "it waits for ever"
        waited()

    async def fetch() -> None:
        around = Surroundings(
            staging=StagingFolder(folder),
            shelf=BlobShelf(BlobStore(folder / "none")),
            clock=clock,
            second_of_day=lambda: 0.0,
            chance=lambda: 0.5,
            sleep=sleep,
        )
        terms = Terms(reserve_bytes=reserve_bytes)
        await Fetching(around, terms).fetch([SMALL.file, LARGE.file], [source()], told.append)

    asyncio.run(fetch())
    for one in (SMALL, LARGE):
        assert place(folder, one).read_bytes() == one.body
    return told


def place(folder: Path, one: Made) -> Path:
    return folder / one.file.digest.removeprefix("sha256:")


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, number: int, error: int) -> Iterator[list[str]]:
    """The n-th system call that may need room fails, once; yields the names of all that were made."""
    calls: list[str] = []

    def wrapped(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            if len(calls) == number:
                raise OSError(error, os.strerror(error))
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in WRITERS:
            patch.setattr(os, name, wrapped(name))
        yield calls


def test_every_call_that_finds_no_room_is_waited_for_and_costs_a_frame_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging_folder, "FRAMES_A_FLUSH", 2)
    with failing(monkeypatch, 0, 0) as calls:
        brought(tmp_path / "all", waited=lambda: None)
    assert calls.count("pwrite") > 2 * len(LARGE.file.frames)
    whole = SMALL.file.length + LARGE.file.length
    setting_up = next(number for number, name in enumerate(calls) if name == "pwrite")
    for number in range(setting_up + 1, len(calls) + 1):
        folder, waits = tmp_path / str(number), list[int]()
        with failing(monkeypatch, number, ERRORS[number % 2]) as made_calls:
            told = brought(folder, waited=lambda waits=waits: waits.append(1))  # type: ignore[misc]
        assert len(waits) == 1, made_calls[number - 1]
        assert told[-1].fetched_bytes <= whole + FRAME_BYTES, made_calls[number - 1]
        assert "there is no room" in next(each.sentence for each in told if each.waits_for == "disk")
        for path in folder.iterdir():
            path.unlink()


def test_files_that_may_grow_no_further_are_waited_for(tmp_path: Path) -> None:
    """As a quota has it, which no look at the disk's room shows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limits = iter(range(100_000, LARGE.file.length, FRAME_BYTES // 2))
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))

    def grow() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (next(limits, hard), hard))

    try:
        told = brought(tmp_path, waited=grow)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert told[-1].fetched_bytes == SMALL.file.length + LARGE.file.length, "what is in memory is not asked for again"


def test_a_disk_that_fills_meanwhile_keeps_its_reserve_and_what_is_beside_and_goes_on_with_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=64) as disk:
        ledger = disk / "ledger.sqlite"
        ledger.write_bytes(b"a ledger" * 1000)
        staging = disk / "staging"
        fill(disk)
        waits = list[int]()

        def waited() -> None:
            waits.append(os.statvfs(disk).f_bavail)
            if len(waits) == 3:
                make_room(disk)

        staging.mkdir(exist_ok=True)
        brought(staging, waited=waited, reserve_bytes=1024 * 1024)
        assert waits == [0, 0, 0]
        assert ledger.read_bytes() == b"a ledger" * 1000


def test_a_disk_that_somebody_else_fills_between_the_look_and_the_write(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=64) as disk:
        staging, waits = disk / "staging", list[int]()

        def filled(one: ScriptedSource) -> None:
            fill(disk)

        clock, told = ManualClock(), list[Progress]()
        giver = source()
        giver.on_read = lambda: filled(giver) if not waits and giver.given > 2 * FRAME_BYTES else None

        async def sleep(seconds: float) -> None:
            waits.append(1)
            if len(waits) == 2:
                make_room(disk)

        around = Surroundings(
            staging=StagingFolder(staging),
            shelf=BlobShelf(BlobStore(disk / "none")),
            clock=clock,
            second_of_day=lambda: 0.0,
            chance=lambda: 0.5,
            sleep=sleep,
        )
        asyncio.run(Fetching(around, Terms(reserve_bytes=0)).fetch([LARGE.file], [giver], told.append))
        assert place(staging, LARGE).read_bytes() == LARGE.body
        assert told[-1].fetched_bytes == LARGE.file.length
        assert len(waits) == 2
