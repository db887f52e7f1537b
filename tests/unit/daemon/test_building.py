"""Releases that a device builds, by their recipes: from their inputs to what alone is measured, told and served."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.install_stage import FACTS, SPECIALIST, Device, recipe_release, release, specialist
from tests.support.manual_clock import run_with

from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import Event, Install, State, Tally
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.errors import BuildError, UnwritableError
from homebred_daemon.ports.installs import Counted
from homebred_daemon.services.releases.building import Building, NoBuilder, WasBuilt
from homebred_daemon.services.releases.installing import LONGEST_PAUSE_S
from homebred_protocol.digests import digest_of


def on(device: Device, story: Coroutine[Any, Any, None]) -> None:
    run_with(device.clock, story)


def made(number: int, says: str = "built") -> str:
    return digest_of(f"{says} {number}".encode())


def event_facts(device: Device, install: Install, event: Event) -> list[dict[str, int]]:
    return [dict(step.facts) for step in device.installs.steps(install) if step.event is event]


def test_a_release_is_built_measured_told_and_served_by_the_digest_of_what_came_out() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await device.want_built(1)
            await device.until(State.PROBATION, 1)
            await device.settle_down()

    on(device, story())
    install = device.install(1)
    assert install is not None
    assert install.built.digest == made(1)
    steps = {step.event: step for step in device.installs.steps(install)}
    assert [step.state for step in device.installs.steps(install)][3:6] == [
        State.BUILDING,
        State.GATING,
        State.ACTIVATING,
    ]
    assert steps[Event.FITS_TO_BUILD].built == ""
    assert steps[Event.PASSED].built == steps[Event.ACTIVATED].built == made(1)
    assert steps[Event.BUILT].facts == {"build_ms": 7, "built_bytes": 0}
    current = device.store.in_force(SPECIALIST).current
    assert current is not None
    assert current.built == made(1)
    assert device.builder.built == [1]
    assert device.builder.discarded


@pytest.mark.parametrize("code", ["recipe_missing", "recipe_unfit"])
def test_one_whose_recipe_cannot_be_followed_is_refused_before_a_byte_of_it_is_fetched(code: str) -> None:
    device = Device()
    device.builder.refusal = Refusal(code=code, sentence="not here")

    async def story() -> None:
        async with device.running():
            await device.want_built(1)
            assert (await device.until(State.REFUSED, 1)).code == code
            await device.settle_down()

    on(device, story())
    assert device.files.fetched == []
    assert (1, "refused", code) in device.receipts.told


def test_an_engine_that_is_not_as_new_as_demanded_builds_nothing() -> None:
    device = Device()

    async def story() -> None:
        device.builder.is_open = asyncio.Event()
        async with device.running():
            await device.want_built(1)
            await device.until(State.BUILDING, 1)
            await device.settle_down()
        device.gate.device = replace(FACTS, engines=())  # another interpreter, after a restart
        async with device.running():
            assert (await device.until(State.REFUSED, 1)).code == "engine_missing"

    on(device, story())
    assert device.builder.built == [1]


def test_a_build_that_fails_is_tried_three_times_and_its_release_not_again() -> None:
    device = Device()
    device.builder.failures = [BuildError("llm_build ended with status 1")] * 3

    async def story() -> None:
        async with device.running():
            await device.want_built(1)
            for _ in range(3):
                await device.settle_down()
                device.clock.pass_s(LONGEST_PAUSE_S)
            refused = await device.until(State.REFUSED, 1)
            assert (refused.code, refused.reason) == ("build_failed", "llm_build ended with status 1")
            planned = await device.installing.want(recipe_release(1))
            assert (planned.begins, planned.code) == (False, "tried")

    on(device, story())
    assert device.builder.built == [1, 1, 1]


def test_one_that_there_is_no_room_for_may_be_tried_again_and_one_that_takes_too_long_not() -> None:
    for code, is_tried_again in (("no_room", True), ("build_too_long", False)):
        device = Device()
        device.builder.failures = [Refusal(code=code, sentence="too large")]

        async def story(device: Device = device, code: str = code, *, again: bool = is_tried_again) -> None:
            async with device.running():
                await device.want_built(1)
                assert (await device.until(State.REFUSED, 1)).code == code
                assert (await device.installing.want(recipe_release(1))).begins is again

        on(device, story())


def test_a_full_disk_is_waited_for_however_often_the_build_meets_it() -> None:
    device = Device()
    device.builder.failures = [UnwritableError("the disk is full")] * 5

    async def story() -> None:
        async with device.running():
            await device.want_built(1)
            for _ in range(6):
                await device.settle_down()
                device.clock.pass_s(LONGEST_PAUSE_S)
            await device.until(State.PROBATION, 1)

    on(device, story())
    assert len(device.builder.built) == 6


def test_a_stop_order_ends_a_build_which_begins_anew_once_the_fleet_goes_on() -> None:
    device = Device()

    async def story() -> None:
        device.builder.is_open = asyncio.Event()
        async with device.running():
            await device.want_built(1)
            await device.until(State.BUILDING, 1)
            await device.settle_down()
            device.orders.stop = Stopping(epoch=1, stopped=True)
            device.installing.news()
            await device.settle_down()
            assert device.builder.broken_off == [1]
            assert device.install(1).state is State.BUILDING  # type: ignore[union-attr]
            device.orders.stop, device.orders.lease_epoch = Stopping(epoch=2), 2
            device.builder.is_open.set()
            device.clock.pass_s(LONGEST_PAUSE_S)
            device.installing.news()
            await device.until(State.PROBATION, 1)

    on(device, story())
    assert device.builder.built == [1, 1]


def test_a_build_that_stop_orders_end_has_not_failed() -> None:
    device = Device()

    async def story() -> None:
        device.builder.is_open = asyncio.Event()
        async with device.running():
            await device.want_built(1)
            for epoch in range(1, 9, 2):
                await device.until(State.BUILDING, 1)
                await device.settle_down()
                device.orders.stop = Stopping(epoch=epoch, stopped=True)
                device.installing.news()
                await device.settle_down()
                install = device.install(1)
                assert install is not None
                assert (install.state, install.code, install.attempts) == (State.BUILDING, "stopped", 0)
                device.orders.stop = Stopping(epoch=epoch + 1)
                device.installing.news()
            device.orders.lease_epoch = 8
            await device.settle_down()
            device.builder.failures = [BuildError("it was killed")]
            device.builder.is_open.set()
            await device.settle_down()
            assert device.install(1).attempts == 1  # type: ignore[union-attr]
            device.clock.pass_s(LONGEST_PAUSE_S)
            await device.until(State.PROBATION, 1)

    on(device, story())
    assert device.builder.broken_off == [1] * 4


def test_a_withdrawal_ends_a_build_and_a_newer_release_takes_its_place() -> None:
    device = Device()

    async def story() -> None:
        device.builder.is_open = asyncio.Event()
        async with device.running():
            await device.want_built(1)
            await device.until(State.BUILDING, 1)
            await device.settle_down()
            assert await device.installing.withdraw(SPECIALIST, recipe_release(1).digest)
            await device.until(State.WITHDRAWN, 1)
            await device.settle_down()
            assert device.builder.broken_off == [1]
            await device.want_built(2)
            await device.until(State.BUILDING, 2)
            await device.settle_down()
            await device.want_built(3)
            await device.until(State.SUPERSEDED, 2)
            await device.settle_down()
            device.builder.is_open.set()
            await device.until(State.PROBATION, 3)

    on(device, story())
    assert device.builder.broken_off == [1, 2]


def test_what_was_changed_after_it_was_measured_is_not_served_but_built_again() -> None:
    device = Device()
    device.orders.gives_leases = False

    async def story() -> None:
        async with device.running():
            await device.want_built(1)
            await device.until(State.ACTIVATING, 1)
            await device.settle_down()
            slot = (SPECIALIST, 1)
            device.store.slots[slot] = replace(device.store.slots[slot], built=made(9), adapter_digest=made(9))
            device.orders.gives_leases = True
            device.installing.news()
            await device.until(State.PROBATION, 1)

    on(device, story())
    install = device.install(1)
    assert install is not None
    assert device.builder.built == [1, 1]
    assert device.gate.tried == [1, 1]
    assert device.serving.serves == [1]
    assert event_facts(device, install, Event.BUILT)[-1]["same_bytes"] == 1


def test_a_build_that_comes_out_otherwise_is_noted_measured_anew_and_told_by_its_own_digest() -> None:
    device = Device()
    device.orders.gives_leases = False

    async def story() -> None:
        async with device.running():
            await device.want_built(1)
            await device.until(State.ACTIVATING, 1)
            await device.settle_down()
            device.store.damaged.add((SPECIALIST, 1))
            device.builder.says, device.orders.gives_leases = "built otherwise", True
            device.installing.news()
            await device.until(State.PROBATION, 1)

    on(device, story())
    install = device.install(1)
    assert install is not None
    assert install.built.digest == made(1, "built otherwise")
    assert event_facts(device, install, Event.BUILT)[-1]["same_bytes"] == 0
    passed = [step.built for step in device.installs.steps(install) if step.event is Event.PASSED]
    assert passed == [made(1), made(1, "built otherwise")]
    assert device.store.in_force(SPECIALIST).current.built == install.built.digest  # type: ignore[union-attr]


def test_a_rollback_to_what_was_built_builds_nothing() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await device.want_built(1)
            await device.until(State.PROBATION, 1)
            device.clock.pass_s(3601)
            await counts(device, 1, good=60, bad=0)
            await device.until(State.SETTLED, 1)
            await device.want_built(2)
            await device.until(State.PROBATION, 2)
            await counts(device, 2, good=2, bad=28)
            await device.until(State.ROLLED_BACK, 2)

    on(device, story())
    assert device.serves == 1
    assert device.store.in_force(SPECIALIST).current.built == made(1)  # type: ignore[union-attr]
    assert device.builder.built == [1, 2]


async def counts(device: Device, number: int, *, good: int, bad: int) -> None:
    """Outcomes of what was built: its version tells its bytes."""
    stored = device.store.stored(SPECIALIST, number)
    assert stored is not None
    counted = Counted(specialist=SPECIALIST, version=stored.version, tally=Tally(good=good, seen=good + bad))
    await device.installing.observe([counted], through=str(number))


def test_what_is_damaged_at_a_start_with_nothing_good_before_serves_no_more_and_is_built_again() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await device.want_built(1)
            await device.until(State.PROBATION, 1)
            device.clock.pass_s(3601)
            await counts(device, 1, good=60, bad=0)
            await device.until(State.SETTLED, 1)
            await device.settle_down()
        device.store.damaged.add((SPECIALIST, 1))
        async with device.running():
            await device.settle_down()
            assert device.serves is None
            assert "install_healed" in device.journal.names
            await device.want_built(1)
            await device.until(State.PROBATION, 1)

    on(device, story())
    assert device.serves == 1
    assert device.builder.built == [1, 1]


@pytest.mark.parametrize("has_good_one", [False, True])
def test_what_is_damaged_on_probation_is_rolled_back_and_built_again(*, has_good_one: bool) -> None:
    device, newest = Device(), 2 if has_good_one else 1

    async def story() -> None:
        async with device.running():
            if has_good_one:
                await device.want_built(1)
                await device.until(State.PROBATION, 1)
                device.clock.pass_s(3601)
                await counts(device, 1, good=60, bad=0)
                await device.until(State.SETTLED, 1)
            await device.want_built(newest)
            await device.until(State.PROBATION, newest)
            await device.settle_down()
        device.store.damaged.add((SPECIALIST, newest))
        async with device.running():
            assert (await device.until(State.ROLLED_BACK, newest)).code == "damaged"
            assert device.serves == (1 if has_good_one else None)
            await device.want_built(newest)
            await device.until(State.PROBATION, newest)

    on(device, story())
    assert device.serves == newest
    assert device.builder.built == [*range(1, newest + 1), newest]


def test_what_is_damaged_with_the_last_good_one_is_built_again() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            for number in (1, 2):
                await device.want_built(number)
                await device.until(State.PROBATION, number)
                device.clock.pass_s(3601)
                await counts(device, number, good=60, bad=0)
                await device.until(State.SETTLED, number)
            await device.settle_down()
        device.store.damaged |= {(SPECIALIST, 1), (SPECIALIST, 2)}
        async with device.running():
            await device.settle_down()
            assert device.serves is None
            await device.want_built(2)
            await device.until(State.PROBATION, 2)

    on(device, story())
    assert device.serves == 2
    assert device.builder.built == [1, 2, 2]


# -- the act alone


async def test_what_was_built_before_a_kill_is_not_built_again() -> None:
    device = Device()
    device.store.offers[release(1).digest] = specialist(1)
    building = Building(device.builder, device.store)
    install = device.installs.begin(recipe_release(1), now_s=1)
    assert not await building.has_what_it_takes(install.release)
    assert device.store.take(Path("aside"), install.release) is None
    assert await building.has_what_it_takes(install.release)
    first = await building.built(install)
    assert isinstance(first, WasBuilt)
    again = await building.built(install)
    assert again == WasBuilt(built=first.built, facts={})
    assert device.builder.built == [1]


async def test_of_inputs_that_are_gone_nothing_is_built() -> None:
    device = Device()
    found = await Building(device.builder, device.store).built(device.installs.begin(recipe_release(1), now_s=1))
    assert isinstance(found, Refusal)
    assert found.code == "damaged"
    assert device.builder.built == []


async def test_a_device_that_builds_nothing_refuses_every_recipe() -> None:
    building = Building(NoBuilder(), Device().store)
    refusal = await building.refusal_of(recipe_release(1))
    assert refusal is not None
    assert refusal.code == "recipe_missing"
    assert await building.refusal_of(release(1)) is None
    await building.keep_only([])
    await NoBuilder().discard(release(1))
    with pytest.raises(AssertionError):
        await NoBuilder().build(recipe_release(1), [])
