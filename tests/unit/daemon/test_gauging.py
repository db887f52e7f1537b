"""How the daemon stands when somebody reads its figures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from tests.support.answering_stage import Actor, Stage, review_desk
from tests.support.fake_reviews import FakeReviewStore
from tests.support.fake_workers import STATS, Fleet
from tests.support.manual_clock import ManualClock
from tests.support.metrics_reader import Figures, figure, figures
from tests.support.worker_pools import pool_of, prompt

from homebred_daemon.core.exposition import exposition
from homebred_daemon.core.link import Link
from homebred_daemon.core.measures import Given
from homebred_daemon.ports.measures import ProcessFigures
from homebred_daemon.ports.outbox import OutboxDepth
from homebred_daemon.services.gauging import Gauging, no_outbox
from homebred_daemon.services.tallying import Tally

PROCESS = ProcessFigures(resident_bytes=65_000_000, cpu_s=1.5, open_files=20, most_files=1024, started_at_s=1.0e9)


def outbox_with(depth: OutboxDepth) -> Callable[[], Awaitable[OutboxDepth]]:
    async def asked() -> OutboxDepth:
        return depth

    return asked


async def read(
    fleet: Fleet, *, used: bool = False, stats: dict[str, int] | None = None, outbox: OutboxDepth | None = None
) -> Figures:
    """The figures of a device with one specialist, which was used or not."""
    stage, desk, tally = Stage({"a": Actor()}), review_desk(FakeReviewStore(), ManualClock()), Tally()
    async with stage.answering() as answering, desk.running(), pool_of(fleet) as pool:
        if used:
            (served,) = answering.standing.specialists.values()
            assert [event async for event in pool.generate(served.model, prompt())]
            fleet.workers[0].stats = replace(STATS, engine=replace(STATS.engine, slots=4), **(stats or {}))
        gauging = Gauging(
            answering,
            pool,
            desk,
            links=lambda: {"cloud/default": Link.METERED},
            process=lambda: PROCESS,
            version="1.2.3",
            outbox=no_outbox if outbox is None else outbox_with(outbox),
        )
        tally.know(Given.ALIAS, lambda: ["cloud/default"])
        tally.know(Given.VERSION, lambda: ["1.2.3"])
        return figures(exposition(tally.series(await gauging.readings())))


async def test_a_device_at_rest() -> None:
    found = await read(Fleet.free())
    assert figure(found, "homebred_build_info", version="1.2.3") == 1
    assert figure(found, "homebred_tasks_running") == 0
    assert figure(found, "homebred_models_resident") == 0
    assert figure(found, "homebred_engine_slots") == 0
    assert figure(found, "homebred_reviews_open", state="waiting") == 0
    assert figure(found, "homebred_reviews_ended_total", state="expired") == 0
    assert figure(found, "process_resident_memory_bytes") == 65_000_000
    assert figure(found, "process_cpu_seconds_total") == 1.5


async def test_the_workers_are_added_up() -> None:
    stats = {"queued": 2, "running": 3, "queue_limit": 64, "resident_bytes": 1000}
    found = await read(Fleet.free(), used=True, stats=stats)
    assert figure(found, "homebred_models_resident") == 1
    assert figure(found, "homebred_engine_queued") == 2
    assert figure(found, "homebred_engine_running") == 3
    assert figure(found, "homebred_engine_slots") == 4
    assert figure(found, "homebred_engine_queue_limit") == 64
    assert figure(found, "homebred_engine_memory_bytes") == 1000
    assert figure(found, "homebred_engines_silent") == 0


async def test_a_link_is_in_one_state_of_all() -> None:
    found = await read(Fleet.free())
    states = {link: figure(found, "homebred_link", alias="cloud/default", state=link) for link in Link}
    assert states == {Link.UP: 0, Link.METERED: 1, Link.DOWN: 0, Link.PORTAL: 0}


async def test_an_outbox_is_read_as_it_stands_and_a_device_alone_has_an_empty_one() -> None:
    depth = OutboxDepth(events=7, size_bytes=900, lost_events=2, cut_events=30, acknowledged_events=25)
    for outbox, expected in ((None, (0, 0, 0, 0, 0)), (depth, (7, 900, 2, 30, 25))):
        found = await read(Fleet.free(), outbox=outbox)
        names = ("events", "bytes", "lost_events_total", "cut_events_total", "acknowledged_events_total")
        assert tuple(figure(found, f"homebred_outbox_{name}") for name in names) == expected
