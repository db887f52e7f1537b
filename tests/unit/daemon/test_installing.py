"""Releases on their way to serving and back, on a device that is restarted, stopped, or short of room."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from tests.support.install_stage import SPECIALIST, Device, release, specialist
from tests.support.manual_clock import run_with

from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import State
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.errors import EngineUnavailableError, FleetError, StateError
from homebred_daemon.services.releases.installing import LONGEST_PAUSE_S, LOOK_AGAIN_S


def on(device: Device, story: Coroutine[Any, Any, None]) -> None:
    run_with(device.clock, story)


def test_a_release_goes_through_the_table_serves_and_settles() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await device.want(1)
            await device.until(State.PROBATION, 1)
            assert device.serves == 1
            assert not device.store.in_force(SPECIALIST).current.is_good  # type: ignore[union-attr]
            device.clock.pass_s(3601)
            await device.outcomes(1, good=49, bad=1, through="1")
            await device.until(State.SETTLED, 1)
            await device.settle_down()

    on(device, story())
    assert device.store.in_force(SPECIALIST).current.is_good  # type: ignore[union-attr]
    assert device.receipts.told == [(1, "gate_passed", ""), (1, "activated", ""), (1, "settled", "")]
    assert device.files.discarded == [1]
    assert device.serving.serves == [1]


def test_receipts_wait_for_somebody_who_takes_them_and_no_install_waits_for_that() -> None:
    device = Device()
    device.receipts.is_away = True

    async def story() -> None:
        async with device.running():
            await device.want(1)
            await device.until(State.PROBATION, 1)
            await device.settle_down()
            assert device.receipts.told == []
            device.receipts.is_away = False
            device.installing.news()
            await device.settle_down()

    on(device, story())
    assert device.receipts.told == [(1, "gate_passed", ""), (1, "activated", "")]


def test_a_release_that_its_gate_refuses_never_serves_and_is_not_tried_again() -> None:
    device = Device()
    device.gate.scores_ppm = {2: 790_000}

    async def story() -> None:
        async with device.running():
            await device.want(1)
            await device.until(State.PROBATION, 1)
            await device.want(2)
            refused = await device.until(State.REFUSED, 2)
            assert refused.code == "gate_quality"
            planned = await device.installing.want(release(2))
            assert (planned.begins, planned.code) == (False, "tried")
            await device.settle_down()

    on(device, story())
    assert device.serving.serves == [1]
    assert (2, "refused", "gate_quality") in device.receipts.told
    assert device.store.released() == {SPECIALIST: [1]}
    assert "install_refused" in device.journal.names


def test_one_that_does_worse_in_use_is_rolled_back_and_what_was_good_serves_again_without_a_download() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await device.want(1)
            await device.until(State.PROBATION, 1)
            device.clock.pass_s(3601)
            await device.outcomes(1, good=95, bad=5, through="1")
            await device.until(State.SETTLED, 1)
            await device.want(2)
            watched = await device.until(State.PROBATION, 2)
            assert (watched.reference.good, watched.reference.seen) == (95, 100)
            fetched = list(device.files.fetched)
            await device.outcomes(2, good=5, bad=25, through="2")
            back = await device.until(State.ROLLED_BACK, 2)
            assert back.code == "degraded"
            assert "5 of 30 outcomes were good" in back.reason
            assert device.files.fetched == fetched
            await device.settle_down()

    on(device, story())
    assert device.serves == 1
    assert device.serving.serves == [1, 2, 1]
    assert device.store.released() == {SPECIALIST: [1]}


def test_outcomes_of_the_old_release_do_not_count_for_the_new_one_nor_twice() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await device.want(1)
            await device.until(State.PROBATION, 1)
            device.clock.pass_s(3601)
            await device.outcomes(1, good=60, bad=0, through="1")
            await device.until(State.SETTLED, 1)
            await device.want(2)
            await device.until(State.PROBATION, 2)
            await device.outcomes(1, good=0, bad=50, through="2")
            await device.outcomes(2, good=3, bad=1, through="3")
            await device.outcomes(2, good=3, bad=1, through="3")
            counted = device.install(2)
            assert counted is not None
            assert (counted.counted.good, counted.counted.seen) == (3, 4)

    on(device, story())
    assert device.serves == 2


def test_a_first_release_that_does_badly_leaves_nothing_serving_and_what_came_by_hand_serves_again() -> None:
    for by_hand in (False, True):
        device = Device()
        if by_hand:
            device.store.slots[SPECIALIST, 0] = specialist(0)

        async def story(device: Device = device) -> None:
            async with device.running():
                await device.want(1)
                await device.until(State.PROBATION, 1)
                await device.outcomes(1, good=0, bad=30, through="1")
                await device.until(State.ROLLED_BACK, 1)

        on(device, story())
        assert device.serves == (0 if by_hand else None)


def test_a_newer_release_takes_the_place_of_one_on_its_way_whose_download_is_broken_off() -> None:
    device = Device()

    async def story() -> None:
        device.files.flowing = asyncio.Event()
        async with device.running():
            await device.want(1)
            await device.settle_down()
            assert device.files.fetched == [1]
            await device.want(2)
            given_up = await device.until(State.SUPERSEDED, 1)
            assert "release 2" in given_up.reason
            device.files.flowing.set()
            await device.until(State.PROBATION, 2)
            planned = await device.installing.want(release(1))
            assert (planned.begins, planned.code) == (False, "older")

    on(device, story())
    assert device.serving.serves == [2]


def test_one_in_probation_is_watched_until_a_newer_one_takes_its_place_and_is_nothing_to_go_back_to() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await device.want(1)
            await device.until(State.PROBATION, 1)
            device.clock.pass_s(3601)
            await device.outcomes(1, good=60, bad=0, through="1")
            await device.until(State.SETTLED, 1)
            await device.want(2)
            await device.until(State.PROBATION, 2)
            device.gate.is_open = asyncio.Event()
            await device.want(3)
            await device.until(State.GATING, 3)
            assert device.install(2).state is State.PROBATION  # type: ignore[union-attr]
            device.gate.is_open.set()
            await device.until(State.PROBATION, 3)
            assert device.install(2).state is State.SUPERSEDED  # type: ignore[union-attr]
            await device.outcomes(3, good=0, bad=30, through="2")
            await device.until(State.ROLLED_BACK, 3)
            await device.settle_down()

    on(device, story())
    assert device.serving.serves == [1, 2, 3, 1]
    assert device.store.released() == {SPECIALIST: [1]}


def test_nothing_is_activated_without_a_lease_nor_after_a_stop_and_a_lease_of_before_does_not_help() -> None:
    device = Device()

    async def story() -> None:
        device.orders.gives_leases = False
        async with device.running():
            await device.want(1)
            await device.until(State.ACTIVATING, 1)
            await device.settle_down()
            assert device.install(1).code == "no_lease"  # type: ignore[union-attr]
            device.orders.stop, device.orders.gives_leases = Stopping(epoch=4, stopped=True), True
            device.installing.news()
            await device.settle_down()
            assert device.install(1).code == "stopped"  # type: ignore[union-attr]
            device.orders.stop = Stopping(epoch=4, stopped=False)
            device.installing.news()
            await device.settle_down()
            assert device.install(1).code == "stopped"  # type: ignore[union-attr]
            assert device.serving.serves == []
            device.orders.lease_epoch = 4
            device.installing.news()
            await device.until(State.PROBATION, 1)

    on(device, story())
    assert device.serves == 1


def test_a_stop_order_breaks_off_what_is_on_its_way_and_it_goes_on_where_it_was_once_resumed() -> None:
    device = Device()

    async def story() -> None:
        device.gate.is_open = asyncio.Event()
        async with device.running():
            await device.want(1)
            await device.until(State.GATING, 1)
            await device.settle_down()
            device.orders.stop = Stopping(epoch=1, stopped=True)
            device.installing.news()
            await device.settle_down()
            device.gate.is_open.set()
            device.clock.pass_s(LOOK_AGAIN_S)
            await device.settle_down()
            assert device.install(1).state is State.GATING  # type: ignore[union-attr]
            assert device.gate.tried == [1]
            device.orders.stop, device.orders.lease_epoch = Stopping(epoch=2), 2
            device.installing.news()
            await device.until(State.PROBATION, 1)

    on(device, story())
    assert device.files.fetched == [1, 1]  # once to have them, once to take them; not again after the stop


def test_what_serves_on_probation_is_still_rolled_back_while_a_stop_holds() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await device.want(1)
            await device.until(State.PROBATION, 1)
            device.orders.stop = Stopping(epoch=1, stopped=True)
            await device.outcomes(1, good=0, bad=30, through="1")
            await device.until(State.ROLLED_BACK, 1)

    on(device, story())
    assert device.serves is None


def test_a_withdrawn_release_is_given_up_on_its_way_and_rolled_back_on_probation() -> None:
    device = Device()

    async def story() -> None:
        device.gate.is_open = asyncio.Event()
        async with device.running():
            await device.want(1)
            await device.until(State.GATING, 1)
            assert await device.installing.withdraw(SPECIALIST, release(1).digest)
            await device.until(State.WITHDRAWN, 1)
            device.gate.is_open.set()
            await device.want(1)
            await device.until(State.PROBATION, 1)
            assert await device.installing.withdraw(SPECIALIST, release(1).digest)
            back = await device.until(State.ROLLED_BACK, 1)
            assert back.code == "withdrawn"
            assert not await device.installing.withdraw(SPECIALIST, release(1).digest)

    on(device, story())
    assert device.serves is None


def test_an_engine_that_fails_at_the_gate_is_tried_again_and_refuses_the_release_only_for_now() -> None:
    device = Device()
    device.gate.failures = [EngineUnavailableError("it crashed")] * 3

    async def story() -> None:
        async with device.running():
            await device.want(1)
            for _ in range(3):
                await device.settle_down()
                device.clock.pass_s(LONGEST_PAUSE_S)
            refused = await device.until(State.REFUSED, 1)
            assert refused.code == "engine_failed"
            await device.want(1)
            await device.until(State.PROBATION, 1)

    on(device, story())
    assert device.gate.tried == [1, 1, 1, 1]


def test_a_download_that_cannot_go_on_is_tried_again_without_end_and_says_why() -> None:
    device = Device()
    device.files.failure = FleetError("the controller is away")

    async def story() -> None:
        async with device.running():
            await device.want(1)
            for _ in range(6):
                await device.settle_down()
                assert device.install(1).state is State.DOWNLOADING  # type: ignore[union-attr]
                device.clock.pass_s(LONGEST_PAUSE_S)
            device.files.failure = None
            device.clock.pass_s(LONGEST_PAUSE_S)
            await device.until(State.PROBATION, 1)

    on(device, story())
    assert "install_held_up" in device.journal.names


def test_bytes_that_are_not_the_signed_ones_are_fetched_again_three_times_at_most() -> None:
    device = Device()
    damage = Refusal(code="damaged", sentence="model.json is not what was signed")

    async def story() -> None:
        async with device.running():
            device.store.offers[release(1).digest] = damage
            await device.installing.want(release(1))
            refused = await device.until(State.REFUSED, 1)
            assert (refused.code, refused.reason) == ("too_often_damaged", damage.sentence)

    on(device, story())
    assert device.serves is None
    assert device.files.discarded == [1]


def test_a_release_that_does_not_fit_the_device_is_refused_before_a_byte_is_fetched() -> None:
    device = Device()
    device.gate.device = Device().gate.device.__class__(
        engines=("llamacpp",), engine_version="1", architecture="aarch64", gpu_architecture="", memory_bytes=1
    )

    async def story() -> None:
        async with device.running():
            await device.want(1)
            refused = await device.until(State.REFUSED, 1)
            assert refused.code == "engine_missing"

    on(device, story())
    assert device.files.fetched == []


def test_a_full_disk_leaves_what_serves_and_does_not_keep_a_bad_release_from_being_rolled_back() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            await device.want(1)
            await device.until(State.PROBATION, 1)
            await device.outcomes(1, good=0, bad=3, through="1")
            device.store.slots[SPECIALIST, 0] = specialist(0)
            install = device.install(1)
            assert install is not None
            device.memory.count([], through="2")
            device.store.is_full = True
            await device.outcomes(1, good=0, bad=30, through="3")
            device.memory.is_full = True
            await device.settle_down()
            assert device.serves == 0
            device.memory.is_full = device.store.is_full = False
            device.clock.pass_s(LONGEST_PAUSE_S)
            await device.until(State.ROLLED_BACK, 1)

    on(device, story())


def test_a_restart_goes_on_from_every_state() -> None:
    device = Device()

    async def story() -> None:
        device.files.flowing = asyncio.Event()
        async with device.running():
            await device.want(1)
            await device.settle_down()
        device.files.flowing.set()
        device.gate.is_open = asyncio.Event()
        async with device.running():
            await device.until(State.GATING, 1)
        device.gate.is_open.set()
        device.orders.gives_leases = False
        async with device.running():
            await device.until(State.ACTIVATING, 1)
        device.orders.gives_leases = True
        async with device.running():
            await device.until(State.PROBATION, 1)
            await device.outcomes(1, good=10, bad=0, through="1")
        device.clock.pass_s(3601)
        async with device.running():
            await device.outcomes(1, good=45, bad=0, through="2")
            await device.until(State.SETTLED, 1)

    on(device, story())
    assert device.serves == 1


def test_what_serves_and_is_damaged_gives_way_at_a_start_to_what_was_good_before() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            for number in (1, 2):
                await device.want(number)
                await device.until(State.PROBATION, number)
                device.clock.pass_s(3601)
                await device.outcomes(number, good=60, bad=0, through=str(number))
                await device.until(State.SETTLED, number)
        device.store.damaged.add((SPECIALIST, 2))
        async with device.running():
            await device.settle_down()
            assert device.serves == 1
            await device.want(2)  # wanted still: it is installed anew
            await device.until(State.PROBATION, 2)

    on(device, story())
    assert "install_healed" in device.journal.names


def test_a_release_that_answers_still_run_on_stays_until_they_have_ended() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            for number in (1, 2, 3):
                device.serving.used = {"sha256:base 1"}
                await device.want(number)
                await device.until(State.PROBATION, number)
                device.clock.pass_s(3601)
                await device.outcomes(number, good=60, bad=0, through=str(number))
                await device.until(State.SETTLED, number)
                await device.settle_down()
            assert device.store.released() == {SPECIALIST: [1, 2, 3]}
            device.serving.used = set()
            await device.installing.collect()
            assert device.store.released() == {SPECIALIST: [2, 3]}

    on(device, story())


def test_receipts_that_could_not_be_marked_as_told_are_told_again_rather_than_lost() -> None:
    device = Device()

    async def story() -> None:
        device.orders.gives_leases = False
        async with device.running():
            await device.want(1)
            await device.until(State.ACTIVATING, 1)
            await device.settle_down()
        device.receipts.told.clear()
        untold = device.memory.steps(device.install(1))[-1]  # type: ignore[arg-type]
        device.memory._untold.append(untold.seq)
        async with device.running():
            await device.settle_down()

    on(device, story())
    assert (1, "gate_passed", "") in device.receipts.told


def test_a_store_that_cannot_be_written_does_not_take_a_release_and_says_so() -> None:
    device = Device()

    async def story() -> None:
        async with device.running():
            device.memory.is_full = True
            try:
                await device.installing.want(release(1))
            except StateError:
                return
            raise AssertionError

    on(device, story())


def test_a_release_that_serves_already_is_rolled_back_when_it_is_withdrawn_before_that_was_kept() -> None:
    device = Device()
    device.serving.failure = StateError("the ledger is full")

    async def story() -> None:
        async with device.running():
            await device.want(1)
            await device.until(State.ACTIVATING, 1)
            await device.settle_down()
            assert device.serves == 1
            assert await device.installing.withdraw(SPECIALIST, release(1).digest)
            device.serving.failure = None
            device.clock.pass_s(LONGEST_PAUSE_S)
            await device.until(State.ROLLED_BACK, 1)

    on(device, story())
    assert device.serves is None
