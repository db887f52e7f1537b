"""A release that asks to be compared beside what serves, on its way: what holds it, ends it, and what is told of it."""

from __future__ import annotations

from tests.support.install_stage import SPECIALIST, TERMS, Device, release
from tests.support.manual_clock import run_with

from homebred_daemon.core.deployment import Event, Install, State
from homebred_daemon.core.pairs import Pair
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.errors import EngineUnavailableError
from homebred_daemon.services.releases.installing import LONGEST_PAUSE_S
from homebred_protocol.documents.release_values import Shadow

DEMAND = Shadow(outcomes=20, longest_s=3600)
WELL = Pair(serving_is_good=True, newcomer_is_good=True)
LOST = Pair(serving_is_good=True, newcomer_is_good=False)


async def serves_first(device: Device) -> None:
    await device.want(1)
    await device.until(State.PROBATION, 1)
    device.clock.pass_s(TERMS.soak_s)
    await device.outcomes(1, good=60, bad=0, through="1")
    await device.until(State.SETTLED, 1)
    await device.settle_down()
    device.receipts.told.clear()


async def seen(device: Device, count: int) -> Install:
    await device.settle_down()
    found = device.install(2)
    assert found is not None
    assert (found.state, found.pairs.seen) == (State.SHADOWING, count)
    return found


def test_one_that_does_as_well_is_activated_and_the_fleet_is_told() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await serves_first(device)
            device.shadow.pairs = [WELL] * 20
            await device.want(2, shadow=DEMAND)
            await device.until(State.PROBATION, 2)
            await device.settle_down()

    run_with(device.clock, story())
    assert device.serves == 2
    assert device.shadow.begun == [(2, 1)]
    assert [word for _, word, _ in device.receipts.told] == ["gate_passed", "shadow_passed", "activated"]
    steps = device.installs.steps(device.install(2))  # type: ignore[arg-type]
    assert [step.facts["shadow_seen"] for step in steps if step.event is Event.COMPARED] == [20]


def test_one_that_does_worse_is_refused_and_not_tried_again() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await serves_first(device)
            device.shadow.pairs = [LOST] * 20
            await device.want(2, shadow=DEMAND)
            assert (await device.until(State.REFUSED, 2)).code == "shadow_worse"
            assert (await device.installing.want(release(2, shadow=DEMAND))).code == "tried"

    run_with(device.clock, story())
    assert device.serves == 1
    assert device.serving.serves == [1]


def test_one_that_asks_for_none_goes_its_way_without() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await serves_first(device)
            await device.want(2)
            await device.until(State.PROBATION, 2)

    run_with(device.clock, story())
    assert device.shadow.begun == []


def test_the_first_release_of_a_specialist_has_nothing_to_be_compared_with() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await device.want(1, shadow=DEMAND)
            await device.until(State.PROBATION, 1)
            await device.settle_down()

    run_with(device.clock, story())
    assert (1, "shadow_passed", "shadow_alone") in device.receipts.told


def test_a_restart_goes_on_with_what_was_counted() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await serves_first(device)
            device.shadow.pairs = [WELL] * 12
            await device.want(2, shadow=DEMAND)
            await seen(device, 12)
        assert device.shadow.at_work == 0
        device.shadow.pairs = [WELL] * 8
        async with device.running():
            await device.until(State.PROBATION, 2)

    run_with(device.clock, story())
    assert device.shadow.pairs == []


def test_a_stop_order_ends_it_and_it_goes_on_when_that_is_lifted() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await serves_first(device)
            device.shadow.pairs = [WELL] * 5
            await device.want(2, shadow=DEMAND)
            await seen(device, 5)
            assert device.shadow.at_work == 1
            device.orders.stop = Stopping(epoch=1, stopped=True)
            device.installing.news()
            await device.settle_down()
            assert device.shadow.at_work == 0
            device.shadow.pairs = [WELL] * 15
            device.clock.pass_s(LONGEST_PAUSE_S)
            assert (await seen(device, 5)).code == "stopped"
            device.orders.stop, device.orders.lease_epoch = Stopping(epoch=2), 2
            device.installing.news()
            await device.until(State.PROBATION, 2)

    run_with(device.clock, story())


def test_one_that_is_withdrawn_or_superseded_ends_at_once() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await serves_first(device)
            await device.want(2, shadow=DEMAND)
            await seen(device, 0)
            await device.want(3, shadow=DEMAND)
            await device.until(State.SUPERSEDED, 2)
            await device.until(State.SHADOWING, 3)
            await device.settle_down()
            assert device.shadow.at_work == 1
            await device.installing.withdraw(SPECIALIST, release(3).digest)
            await device.until(State.WITHDRAWN, 3)
            await device.settle_down()
            assert device.shadow.at_work == 0

    run_with(device.clock, story())
    assert device.serves == 1


def test_an_engine_that_does_not_run_beside_is_tried_again_and_given_up_after_the_third_time() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await serves_first(device)
            device.shadow.failures = [EngineUnavailableError("it does not start")] * 3
            await device.want(2, shadow=DEMAND)
            for _ in range(3):
                await device.settle_down()
                device.clock.pass_s(LONGEST_PAUSE_S)
            assert (await device.until(State.REFUSED, 2)).code == "engine_failed"
            device.shadow.pairs = [WELL] * 20
            await device.want(2, shadow=DEMAND)  # of the moment, not of the release
            await device.until(State.PROBATION, 2)

    run_with(device.clock, story())


def test_one_whose_files_were_lost_meanwhile_is_fetched_again() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await serves_first(device)
            await device.want(2, shadow=DEMAND)
            await seen(device, 0)
        device.store.damaged.add((SPECIALIST, 2))
        async with device.running():
            await device.settle_down()

    run_with(device.clock, story())
    events = [step.event for step in device.installs.steps(device.install(2))]  # type: ignore[arg-type]
    assert Event.DAMAGED in events


def test_while_another_gate_measures_no_newcomer_answers() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await device.want(1)
            await device.until(State.PROBATION, 1)

    run_with(device.clock, story())
    assert device.shadow.rests == 1
