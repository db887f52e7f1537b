"""What each store says and holds when the disk is full or broken, at any of its calls."""

from __future__ import annotations

from typing import Literal

import pytest
from tests.support.failing_disks import FailingDisks
from tests.support.store_scenarios import INSTALLS, SCENARIOS

SEED = 20261123
SAMPLE = 6
AT_LEISURE = {
    "enrolment": "its halves, `identity` and `trust`, are gone through every time",
    "upload": "test_blob_uploads has the disk fail every time",
}
BY_HAND = {"recover"}
"""Scenarios whose own calls stand for another process."""


@pytest.mark.parametrize("when", ["once", "on"])
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(name, marks=pytest.mark.thorough(AT_LEISURE[name])) if name in AT_LEISURE else name
        for name in sorted(SCENARIOS.keys() - BY_HAND - INSTALLS)
    ],
)
def test_a_failing_call_is_told_and_the_store_stays_sound(
    failing_disks: FailingDisks,
    scenario: str,
    error: str,
    when: Literal["once", "on"],
    thorough: bool,  # noqa: FBT001 - a fixture
) -> None:
    tally = failing_disks.prove(scenario, error, when, sample=0 if thorough else SAMPLE, seed=SEED)
    print(f"{scenario}, {error} {when}: {dict(tally)}")  # noqa: T201 - with `pytest -s`: what was gone through
    assert tally["refused"] or scenario == "ledger again"
