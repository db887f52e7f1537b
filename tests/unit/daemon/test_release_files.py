from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.manual_clock import ManualClock
from tests.support.release_files_stage import MANIFEST, RELEASE, Stage
from tests.support.scripted_source import ScriptedSource

from homebred_daemon.errors import FleetError, TransferError
from homebred_protocol.documents.release import canonical_bytes


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, ManualClock())


async def test_a_release_is_fetched_and_put_together_under_the_names_of_its_manifest(stage: Stage) -> None:
    await stage.files.keep(RELEASE.digest, canonical_bytes(MANIFEST))
    folder = await stage.files.fetch(RELEASE)
    assert isinstance(folder, Path)
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == set(stage.bodies)
    assert all((folder / path).read_bytes() == body for path, body in stage.bodies.items())


async def test_what_the_store_holds_already_is_taken_from_there(stage: Stage) -> None:
    stage.shelve("model.gguf")
    await stage.files.keep(RELEASE.digest, canonical_bytes(MANIFEST))
    folder = await stage.files.fetch(RELEASE)
    assert isinstance(folder, Path)
    assert (folder / "model.gguf").read_bytes() == stage.bodies["model.gguf"]
    assert "model.gguf" not in stage.asked


async def test_without_its_manifest_nothing_is_fetched_and_that_is_said(stage: Stage) -> None:
    with pytest.raises(FleetError, match="manifest"):
        await stage.files.fetch(RELEASE)
    assert not await stage.files.has_manifest(RELEASE.digest)
    await stage.files.discard(RELEASE)


async def test_what_is_needed_no_more_goes_and_what_was_just_kept_stays(stage: Stage) -> None:
    await stage.files.keep(RELEASE.digest, canonical_bytes(MANIFEST))
    await stage.files.keep_only([])  # it is about to be wanted
    assert await stage.files.has_manifest(RELEASE.digest)
    await stage.files.fetch(RELEASE)
    await stage.files.discard(RELEASE)
    await stage.files.discard(RELEASE)
    await stage.files.keep_only([])
    assert not await stage.files.has_manifest(RELEASE.digest)
    assert stage.left() == []


async def test_a_second_fetch_needs_nobody(stage: Stage) -> None:
    await stage.files.keep(RELEASE.digest, canonical_bytes(MANIFEST))
    await stage.files.fetch(RELEASE)
    stage.source.asked.clear()
    folder = await stage.files.fetch(RELEASE)
    assert isinstance(folder, Path)
    assert stage.asked == []
    assert await asyncio.to_thread((folder / "specialist.toml").read_bytes) == stage.bodies["specialist.toml"]


async def test_a_transfer_that_waits_for_nobody_goes_on_with_a_folder_that_is_carried_here(stage: Stage) -> None:
    await stage.files.keep(RELEASE.digest, canonical_bytes(MANIFEST))
    stage.source.is_silent = True
    stick = ScriptedSource(dict(stage.source.bodies))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        fetching = group.create_task(stage.files.fetch(RELEASE))
        while not stage.source.asked:
            await asyncio.to_thread(lambda: None)
        stage.sources.carry(stick, lambda: None)
        folder = await fetching
    assert isinstance(folder, Path)
    assert {path for path, _, _ in stick.asked} == set(stage.bodies)


async def test_what_nobody_gives_is_said_and_given_by_whoever_comes(stage: Stage) -> None:
    await stage.files.keep(RELEASE.digest, canonical_bytes(MANIFEST))
    stick = ScriptedSource(dict(stage.source.bodies))
    stage.source.bodies = {}
    with pytest.raises(TransferError):
        await stage.files.fetch(RELEASE)
    stage.sources.carry(stick, lambda: None)
    assert isinstance(await stage.files.fetch(RELEASE), Path)
