"""The gate's measuring, on workers that are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.fake_workers import Fleet
from tests.support.install_stage import FACTS, WORKFLOW, specialist
from tests.support.manual_clock import ManualClock

from homebred_daemon.core.compatibility import DeviceFacts, Refusal
from homebred_daemon.core.gate import Trial
from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.errors import EngineUnavailableError, RequestError
from homebred_daemon.services.evaluating import Bench
from homebred_daemon.services.releases.gating import GateMeans, ReleaseGate
from homebred_protocol.documents.golden import GoldenRow, GoldenSet
from homebred_protocol.documents.specialist import SpecialistManifest

GOLDEN = GoldenSet(
    digest="sha256:golden",
    rows=tuple(GoldenRow(line=line, input="x", expected="x") for line in (1, 2, 3)),
)


class Kept:
    """What the gate kept."""

    def __init__(self) -> None:
        self.by_release: dict[int, Mapping[str, Measurement]] = {}

    def keep(self, stored: StoredSpecialist, measured: Mapping[str, Measurement]) -> None:
        self.by_release[stored.release] = measured


def read_golden(path: Path, manifest: SpecialistManifest, workflow: str) -> GoldenSet:
    if path.name == "none":
        raise RequestError("that is no golden set")
    return GOLDEN


async def told(_: str) -> DeviceFacts:
    return FACTS


def gate_on(fleet: Fleet, kept: Kept) -> ReleaseGate:
    bench = Bench(launcher=fleet, clock=ManualClock(), context_tokens=512)
    return ReleaseGate(GateMeans(bench=bench, read_golden=read_golden, keep=kept.keep, facts=told))


async def test_what_is_measured_is_kept_as_the_releases_fitness() -> None:
    kept, fleet = Kept(), Fleet.free()
    stored = replace(specialist(7), release=7)
    trial = await gate_on(fleet, kept).try_out(stored, {WORKFLOW: Path("golden")})
    assert isinstance(trial, Trial)
    assert trial.found[WORKFLOW].samples == 3
    assert trial.found[WORKFLOW].golden_digest == "sha256:golden"
    assert kept.by_release[7][WORKFLOW].base_digest == stored.base_digest
    assert fleet.serving() == []


async def test_a_model_that_its_engine_does_not_take_is_refused_and_one_that_kills_it_is_tried_again() -> None:
    stored = specialist(7)
    refusing = Fleet.free()
    refusing.refuses = frozenset({stored.base_path})
    refusal = await gate_on(refusing, Kept()).try_out(stored, {WORKFLOW: Path("golden")})
    assert isinstance(refusal, Refusal)
    assert refusal.code == "gate_unfit"
    dying = Fleet.free()
    dying.fails_to_load = frozenset({stored.base_path})
    with pytest.raises(EngineUnavailableError):
        await gate_on(dying, Kept()).try_out(stored, {WORKFLOW: Path("golden")})


async def test_a_golden_set_that_cannot_be_read_refuses_the_release_before_an_engine_is_started() -> None:
    fleet = Fleet.free()
    refusal = await gate_on(fleet, Kept()).try_out(specialist(7), {WORKFLOW: Path("none")})
    assert isinstance(refusal, Refusal)
    assert fleet.told == []


async def test_it_says_what_the_device_is() -> None:
    assert await gate_on(Fleet.free(), Kept()).facts("echo") == FACTS
