from __future__ import annotations

import asyncio

import pytest
from tests.support.manual_clock import ManualClock, run_with

from homebred_daemon.errors import DrainingError
from homebred_daemon.services.admission import Admission


async def test_tasks_are_counted_while_they_are_inside() -> None:
    admission = Admission()
    with admission.admitted(), admission.admitted():
        assert admission.streams == 2
    assert admission.streams == 0


async def test_a_closed_door_says_when_to_come_again_and_lets_those_inside_finish() -> None:
    admission = Admission()
    with admission.admitted():
        admission.is_draining = True
        with pytest.raises(DrainingError) as refusal, admission.admitted():
            pass
        assert refusal.value.retry_after_s > 0
        assert admission.streams == 1
    admission.is_draining = False
    with admission.admitted():
        assert admission.streams == 1


def test_it_is_idle_when_the_last_one_leaves_or_the_wait_is_over() -> None:
    clock, admission = ManualClock(), Admission()

    async def lived() -> None:
        assert await admission.idle_within(5)
        with admission.admitted():
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(admission.idle_within(5))
                await asyncio.sleep(0)
                clock.pass_s(5.1)
            assert waiting.result() is False
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(admission.idle_within(5))
                group.create_task(leave(admission))
            assert waiting.result() is False, "one of two is still inside"
        assert await admission.idle_within(5)

    async def leave(admission: Admission) -> None:
        with admission.admitted():
            await asyncio.sleep(0)
        clock.pass_s(5.1)

    run_with(clock, lived())
