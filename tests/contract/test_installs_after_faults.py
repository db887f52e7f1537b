"""A device on which releases are being installed, after power cuts, failing disks and kills: one valid model serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from tests.contract.test_power_cuts import ADAPTERS, Mutant, planted
from tests.support import install_scenarios
from tests.support.failing_disks import FailingDisks
from tests.support.power_cuts import REPOSITORY, Tally, prove, recorded, scratch_folder
from tests.support.store_scenarios import INSTALLS, SCENARIOS, Promised

SEED = 20261130
LEAST_FAULT_POINTS, LEAST_KILLS = 2000, 200


def test_a_power_cut_at_one_operation_in_nine_of_a_rollback_leaves_one_valid_model(tmp_path: Path) -> None:
    scenario = "install rolled back"
    tally = prove(scenario, recorded(scenario, tmp_path), seed=SEED, choices=0, every=9)
    assert tally.different >= 30


@pytest.mark.thorough("thousands of devices are run to their end; make test does so for one operation in nine")
@pytest.mark.timeout(1500)
def test_a_power_cut_at_any_operation_leaves_one_valid_model(tmp_path: Path) -> None:
    tallies: dict[str, Tally] = {}
    for scenario in sorted(INSTALLS):
        tallies[scenario] = prove(scenario, recorded(scenario, tmp_path / scenario), seed=SEED, choices=2)
    print(f"fault points: {tallies}")  # noqa: T201 - with `pytest -s`: what was gone through
    assert sum(tally.cuts for tally in tallies.values()) >= LEAST_FAULT_POINTS


@pytest.mark.thorough("each call of a scenario is made to fail once; make test does so for a few")
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("when", ["once", "on"])
@pytest.mark.parametrize("scenario", sorted(INSTALLS))
def test_a_disk_that_is_full_at_any_call_leaves_what_serves(
    failing_disks: FailingDisks, scenario: str, when: Literal["once", "on"]
) -> None:
    tally = failing_disks.prove(scenario, "ENOSPC", when, sample=0, seed=SEED)
    print(f"{scenario}, full {when}: {dict(tally)}")  # noqa: T201 - with `pytest -s`: what was gone through
    assert tally["whole" if when == "once" else "refused"]


def test_a_power_cut_at_one_operation_in_fifteen_of_a_comparison_loses_nothing_that_was_counted(tmp_path: Path) -> None:
    scenario = "install shadowed"
    tally = prove(scenario, recorded(scenario, tmp_path), seed=SEED, choices=0, every=15)
    assert tally.different >= 10


def test_a_power_cut_at_one_operation_in_thirty_of_a_build_leaves_one_valid_model(tmp_path: Path) -> None:
    scenario = "install built"
    tally = prove(scenario, recorded(scenario, tmp_path), seed=SEED, choices=0, every=30)
    assert tally.different >= 10


def test_a_disk_that_is_full_at_some_calls_of_a_build_leaves_what_serves(failing_disks: FailingDisks) -> None:
    tally = failing_disks.prove("install built", "ENOSPC", "on", sample=4, seed=SEED)
    assert tally["refused"]


def test_a_kill_at_one_step_in_sixty_of_a_build_leaves_one_valid_model(tmp_path: Path) -> None:
    assert killed("install built", tmp_path / "built", every=60) >= 3


def test_a_disk_that_is_full_at_some_calls_leaves_what_serves(failing_disks: FailingDisks) -> None:
    tally = failing_disks.prove("install rolled back", "ENOSPC", "on", sample=6, seed=SEED)
    assert tally["refused"]


@pytest.mark.thorough("hundreds of processes are killed; make test kills one in twelve")
@pytest.mark.timeout(1500)
def test_a_kill_at_any_step_leaves_one_valid_model(tmp_path: Path) -> None:
    kills = {
        scenario: killed(scenario, tmp_path / scenario.replace(" ", "-"), every=1) for scenario in sorted(INSTALLS)
    }
    print(f"kills: {kills}")  # noqa: T201 - with `pytest -s`: what was gone through
    assert sum(kills.values()) >= LEAST_KILLS


def test_a_kill_at_one_step_in_twelve_leaves_one_valid_model(tmp_path: Path) -> None:
    assert killed("install refused", tmp_path / "refused", every=12) >= 5


def test_a_kill_at_one_step_in_thirty_of_a_comparison_loses_nothing_that_was_counted(tmp_path: Path) -> None:
    assert killed("install shadowed", tmp_path / "shadowed", every=30) >= 3


def killed(scenario: str, folder: Path, *, every: int) -> int:
    """Kills of processes by SIGKILL, after each of which the device was checked and run to its end."""
    folder.mkdir()
    with scratch_folder() as scratch:
        command = [sys.executable, "-m", "tests.support.killed_installs", scenario, str(scratch), str(every)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == 0, done.stderr
        steps = done.stdout.splitlines()
        for step in steps:
            number = step.partition(" ")[0]
            told = (scratch / f"{number}.told").read_text().splitlines()
            try:
                SCENARIOS[scenario].check(scratch / number, Promised(told=tuple(told)))
            except Exception as error:
                raise AssertionError(f"{scenario}: killed before step {step}: {error}") from error
        assert steps[-1].endswith("survived")
    return len(steps) - 1


# -- that these proofs would find a fault

STORE = ADAPTERS + "store/installs.py"
RECORDS = ADAPTERS + "activation_files.py"

# fmt: off
MUTANTS = [
    Mutant("install rolled back", STORE, 'synchronous="FULL"', 'synchronous="NORMAL"'),
    Mutant("install shadowed", STORE, 'synchronous="FULL"', 'synchronous="NORMAL"'),
    Mutant("install built", STORE, 'synchronous="FULL"', 'synchronous="NORMAL"'),
    Mutant("install rolled back", RECORDS, "flush_folder(self._folder)\n\n    def _write", "pass\n\n    def _write"),
]
# fmt: on


@pytest.mark.thorough("each takes a recording and up to a minute of checks")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.scenario}:{mutant.sound.strip()[:40]}")
def test_a_planted_fault_is_found(mutant: Mutant, tmp_path: Path) -> None:
    packages = planted(mutant, tmp_path / "packages")
    journal = recorded(mutant.scenario, tmp_path / "recorded", packages)
    with pytest.raises(AssertionError, match="the power went after operation"):
        prove(mutant.scenario, journal, seed=SEED, choices=2)


def test_every_scenario_of_installs_tells_what_became_of_the_release(tmp_path: Path) -> None:
    install_scenarios.prepare(tmp_path)
    told: list[str] = []
    install_scenarios.act_refused(tmp_path, told.append)
    install_scenarios.act_shadowed(tmp_path, told.append)
    assert told == ["refused 3", "compared 1", "compared 2", "active 5", "settled 5"]
    assert install_scenarios.serving_of(tmp_path) == 5


def test_the_scenario_of_a_build_tells_that_it_serves(tmp_path: Path) -> None:
    install_scenarios.prepare_built(tmp_path)
    told: list[str] = []
    install_scenarios.act_built(tmp_path, told.append)
    assert told == ["active 6", "settled 6"]
    assert install_scenarios.serving_of(tmp_path) == 6
