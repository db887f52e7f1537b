"""What the fleet hears of how a device stands."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.answering_stage import Actor, Stage, review_desk
from tests.support.fake_reviews import FakeReviewStore
from tests.support.fake_workers import Fleet
from tests.support.manual_clock import ManualClock
from tests.support.worker_pools import pool_of, prompt

from homebred_daemon.core.telemetry import HealthFact
from homebred_daemon.ports.measures import ProcessFigures
from homebred_daemon.ports.outbox import OutboxDepth
from homebred_daemon.services.health import Health

PROCESS = ProcessFigures(resident_bytes=65_000_000, cpu_s=1.5, open_files=20, most_files=1024, started_at_s=1.0e9)
DEPTH = OutboxDepth(events=7, size_bytes=900, lost_events=2)


@pytest.mark.parametrize("used", [False, True])
async def test_the_parts_of_a_device_are_read_as_they_stand(*, used: bool) -> None:
    stage, clock, fleet = Stage({"a": Actor()}), ManualClock(), Fleet.free()
    desk = review_desk(FakeReviewStore(), clock)
    async with stage.answering() as answering, desk.running(), pool_of(fleet) as pool:
        if used:
            (served,) = answering.standing.specialists.values()
            assert [event async for event in pool.generate(served.model, prompt())]
        clock.pass_s(90.7)
        health = Health(
            answering=answering,
            pool=pool,
            reviews=desk,
            clock=clock,
            started_s=0.5,
            process=lambda: PROCESS,
            free_disk_bytes=lambda: 123,
        )
        expected = HealthFact(
            uptime_s=90,
            resident_bytes=65_000_000,
            free_disk_bytes=123,
            outbox_events=7,
            outbox_bytes=900,
            loaded_models=0,
            worker_failures=0,
            reviews_waiting=0,
        )
        assert health.fact(DEPTH) == replace(expected, loaded_models=int(used))
