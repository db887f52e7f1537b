"""Devices under load while controller and broker are killed: every task that ended is a row, or counted as lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.fleet_chaos import Rhythm, run


@pytest.mark.thorough("half a minute of kills; test_fleet_link and test_fleet_controller kill each once in `make test`")
def test_kills_of_controller_and_broker_lose_nothing_uncounted_and_double_nothing(tmp_path: Path) -> None:
    rhythm = Rhythm(seconds=24, controller_every_s=5, broker_every_s=11, pause_s=0.02, away_s=8)
    report = run(tmp_path, rhythm, number=2)
    assert report.agrees, "\n".join(report.lines())
    assert report.killings.controllers >= 2
    assert report.killings.brokers >= 2


@pytest.mark.thorough("ten minutes of it, and more kills")
@pytest.mark.timeout(1200)
def test_ten_minutes_of_kills_lose_nothing_uncounted_and_double_nothing(tmp_path: Path) -> None:
    report = run(tmp_path, Rhythm(seconds=600, pause_s=0.03), number=4)
    print("\n".join(report.lines()))
    assert report.agrees
    assert report.lost, "the smaller outboxes never overflowed, so no gap was counted"
