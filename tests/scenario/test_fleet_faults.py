"""Seeded worlds in which everything goes wrong, over the cores of device and controller: nothing is lost uncounted.

A breach names its seed; `World(Faults(seed=N)).run()` replays it, and `.log` tells its story. The planted faults say
that the invariants would notice.
"""

from __future__ import annotations

import pytest
from tests.support.fleet_world import Faults, World

SEEDS = 200
THOROUGH_SEEDS = 5_000
CHUNK = 100

MUTANTS = {
    "acknowledges before its commit": ("controller killed before its commit", "device killed"),
    "takes over holes": ("chaos", "controller killed before its commit", "partition"),
    "takes twice": ("chaos", "partition"),
    "believes every will": ("chaos", "partition"),
    "hears no floors": ("controller restored", "device killed"),
    "forgets at PUBACK": ("controller killed", "device killed"),
    "floor not kept": ("desired", "device killed", "old desired replayed"),
    "takes another's desired": ("another's desired",),
    "believes any order": ("stop order", "forged stop order"),
    "runs on in doubt": ("stop order", "trust unreadable", "desired"),
    "epochs outlive their key": ("stop order", "director's key stolen"),
    "any key begins epochs anew": ("stop order", "old stop order replayed"),
    "stop order not kept": ("stop order", "desired", "device killed", "broker away"),
}
"""What one of the two does wrong, and the faults that bring it to light."""


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_whatever_goes_wrong_every_event_is_a_row_or_counted_and_all_is_right_at_rest(first: int) -> None:
    broken = {seed: found for seed in range(first, first + CHUNK) if (found := World(Faults(seed=seed)).run())}
    assert broken == {}


@pytest.mark.thorough("five thousand larger worlds take minutes")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("first", range(SEEDS, THOROUGH_SEEDS, SEEDS))
def test_the_same_for_many_more_and_larger_worlds(first: int) -> None:
    worlds = (Faults(seed=seed, rounds=16, events=80) for seed in range(first, first + SEEDS))
    broken = {faults.seed: found for faults in worlds if (found := World(faults).run())}
    assert broken == {}


def test_a_seed_is_one_world() -> None:
    first, second = World(Faults(seed=7)), World(Faults(seed=7))
    first.run()
    second.run()
    assert first.log == second.log
    assert first.controller.database == second.controller.database


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_invariants_notice_a_planted_fault(mutant: str) -> None:
    kinds = MUTANTS[mutant]
    assert World(Faults(seed=0, kinds=kinds)).run() == [], "the faults alone break nothing"
    assert any(World(Faults(seed=seed, mutant=mutant, kinds=kinds)).run() for seed in range(60))
