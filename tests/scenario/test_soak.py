"""Many streams with callers that vanish, freeze and never read: memory flat, the others unharmed, everything freed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from tests.support.soak import BAD, STATUS_WITHIN_S, soak

SECONDS, SECONDS_WHEN_THOROUGH = 14.0, 300.0
# A short run still sees arenas fill and pools grow; a leak of one stream's buffers would show as hundreds of megabytes.
GROWTH_MB, GROWTH_WHEN_THOROUGH_MB = 12.0, 6.0
SPARE = 4
"""Descriptors, threads and tasks more than before that are still called flat."""


@pytest.mark.alone("it keeps both cores busy, and asks what that costs others")
@pytest.mark.timeout(900)
def test_bad_callers_cost_the_others_nothing_and_leave_nothing(thorough: bool) -> None:  # noqa: FBT001 - a fixture
    with tempfile.TemporaryDirectory(prefix="hb") as name:  # short: a socket's path is bounded
        report = soak(Path(name), seconds=SECONDS_WHEN_THOROUGH if thorough else SECONDS, kinds=BAD)
    print(f"\n{report.table()}")  # noqa: T201 - with `pytest -s`: the figures
    assert set(report.beside.ended) == {"answer"}
    assert all(begun for begun, _ in report.bad.values())
    daemon_mb, workers_mb = report.growth_mb
    bound_mb = GROWTH_WHEN_THOROUGH_MB if thorough else GROWTH_MB
    assert daemon_mb <= bound_mb
    assert workers_mb <= bound_mb
    for name, before in report.idle_before.items():
        assert report.idle_after[name] <= before + SPARE, name
    assert max(sample.status_ms for sample in report.samples) < STATUS_WITHIN_S * 1000
    begun, dropped = report.bad["unread"]
    assert dropped >= begun * 0.7, "who does not read is dropped; those at the end have not yet been"
