"""Whatever comes, in whatever order, over restarts: what serves has passed, had leave, and what is needed stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.install_stage import SPECIALIST, Device, FakeGate, FakeShadow, release, specialist
from tests.support.manual_clock import run_with
from tests.support.memory_installs import MemoryReleaseStore
from typing_extensions import override

from homebred_daemon.core.activation import InForce
from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import ON_ITS_WAY, Event, State, Tally
from homebred_daemon.core.gate import Trial
from homebred_daemon.core.pairs import Pair
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.errors import BuildError, HomebredError
from homebred_daemon.ports.installs import Counted
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.release_values import Shadow

NUMBERS = st.integers(1, 6)
BAD = frozenset({2, 5})
"""Releases that the gate refuses."""
SHADOWED = frozenset({4, 6})
"""Releases that ask to be compared with what serves."""
BUILT = frozenset({3})
"""Releases whose adapters are built on the device."""
DEMAND = Shadow(outcomes=5, longest_s=3000)
STEPS = st.one_of(
    st.tuples(st.just("want"), NUMBERS),
    st.tuples(st.just("withdraw"), NUMBERS),
    st.tuples(st.just("do well"), NUMBERS),
    st.tuples(st.just("do badly"), NUMBERS),
    st.tuples(st.sampled_from(["stop", "resume", "full", "room", "restart", "no lease", "lease", "pass"]), st.just(0)),
    st.tuples(st.just("damage"), NUMBERS),
    st.tuples(st.just("change"), st.sampled_from(sorted(BUILT))),
    st.tuples(st.sampled_from(["builds alike", "builds otherwise", "builds fail"]), st.just(0)),
    st.tuples(st.just("use"), NUMBERS),
)


@dataclass(slots=True)
class SlowShadow(FakeShadow):
    """A device with a task now and then, which a newcomer answers well."""

    @override
    async def next(self) -> Pair:
        for _ in range(15):
            await asyncio.sleep(0)
        return Pair(serving_is_good=True, newcomer_is_good=True)


@dataclass
class WatchedStore(MemoryReleaseStore):
    """Complains the moment something goes into force that must not, or leaves that is needed."""

    may_activate: Callable[[int], bool] = field(default=lambda _: True)
    measured: set[str] = field(default_factory=set)
    """Digests of what was built and went through a gate."""
    is_in_use: Callable[[int], bool] = field(default=lambda _: False)

    def __post_init__(self) -> None:
        super().__init__()

    @override
    def activate(self, specialist_id: str, after: InForce) -> None:
        assert after.current is not None
        assert self.may_activate(after.current.number), f"{after.current.number} was activated"
        assert self.stored(specialist_id, after.current.number) is not None
        assert after.last_good is None or after.last_good.is_good
        slot = self.slots[specialist_id, after.current.number]
        assert after.current.built == slot.built, "another form than was measured was activated"
        assert not slot.built or slot.built in self.measured
        super().activate(specialist_id, after)

    @override
    def remove_release(self, specialist_id: str, number: int) -> int:
        assert not self.is_in_use(number), f"{number} was removed under an answer"
        return super().remove_release(specialist_id, number)


@dataclass(slots=True)
class WatchedGate(FakeGate):
    """Writes down what was built and is measured."""

    measured: set[str] = field(default_factory=set)

    @override
    async def try_out(self, found: StoredSpecialist, golden: Mapping[str, Path]) -> Trial | Refusal:
        self.measured.add(found.built)
        return await FakeGate.try_out(self, found, golden)


class World:
    """A device and what is done to it."""

    def __init__(self) -> None:
        self.store = WatchedStore()
        self.device = Device(store=self.store)
        self.device.shadow = SlowShadow()
        self.device.gate = WatchedGate(measured=self.store.measured)
        self.device.gate.scores_ppm = dict.fromkeys(BAD, 100_000)
        self.store.may_activate = self._may_activate
        self.store.is_in_use = lambda number: specialist(number).base_digest in self.device.serving.used
        self.through = 0
        self.epoch = 0

    def _may_activate(self, number: int) -> bool:
        orders = self.device.orders
        return (
            number not in BAD and orders.gives_leases and not orders.stop.stopped and orders.lease_epoch >= self.epoch
        )

    def serves(self, number: int) -> bool:
        return number in self.store.in_force(SPECIALIST).needed

    async def does(self, step: str, number: int) -> None:  # noqa: C901, PLR0912 - one case a step
        device = self.device
        match step:
            case "want":
                if number in BUILT:
                    await device.want_built(number)
                else:
                    await device.want(number, shadow=DEMAND if number in SHADOWED else None)
            case "withdraw":
                await device.installing.withdraw(SPECIALIST, release(number).digest)
            case "do well" | "do badly":
                self.through += 1
                good, bad = (60, 0) if step == "do well" else (0, 30)
                if (found := self.store.stored(SPECIALIST, number)) is not None:
                    tally = Tally(good=good, seen=good + bad)
                    counted = Counted(specialist=SPECIALIST, version=found.version, tally=tally)
                    await device.installing.observe([counted], through=str(self.through))
            case "stop" | "resume":
                self.epoch += 1
                device.orders.stop = Stopping(epoch=self.epoch, stopped=step == "stop")
            case "full" | "room":
                device.memory.is_full = device.store.is_full = step == "full"
            case "lease" | "no lease":
                device.orders.gives_leases, device.orders.lease_epoch = step == "lease", self.epoch
            case "pass":
                device.clock.pass_s(4000)
            case "damage":
                if self.store.in_force(SPECIALIST).needed - {number}:
                    device.store.damaged.add((SPECIALIST, number))
            case "change":
                if (found := self.store.slots.get((SPECIALIST, number))) is not None and not self.serves(number):
                    other = digest_of(b"changed")
                    self.store.slots[SPECIALIST, number] = replace(found, built=other, adapter_digest=other)
            case "builds alike" | "builds otherwise":
                device.builder.says = step
            case "builds fail":
                device.builder.failures = [BuildError("it broke off")]
            case "use":
                device.serving.used = {specialist(number).base_digest}
        device.installing.news()


async def story(world: World, steps: list[tuple[str, int]]) -> None:
    device, left = world.device, list(steps)
    while left:
        async with device.running():
            while left:
                step, number = left.pop(0)
                if step == "restart":
                    break
                try:
                    await world.does(step, number)
                except HomebredError:
                    assert device.memory.is_full
                for _ in range(25):
                    await asyncio.sleep(0)
                assert not (device.orders.stop.stopped and device.shadow.at_work), "a stop ends it"
            assert device.shadow.at_work <= 1
        assert not device.shadow.at_work
    device.memory.is_full = device.store.is_full = False
    async with device.running():  # in the end there is room, and time
        for _ in range(6):
            await device.settle_down()
            device.clock.pass_s(4000)


@settings(max_examples=40)  # each runs a device over its whole story; the power cuts go through thousands more
@given(st.lists(STEPS, min_size=3, max_size=20))
def test_what_serves_has_passed_its_gate_and_had_leave_and_nothing_needed_is_removed(
    steps: list[tuple[str, int]],
) -> None:
    world = World()
    run_with(world.device.clock, story(world, steps))
    device = world.device
    in_force = device.store.in_force(SPECIALIST)
    for needed in in_force.needed:
        assert (SPECIALIST, needed) in device.store.slots
    if in_force.current is not None:
        history = device.installs.history()
        gone_through = {
            event
            for each in history
            if each.release.number == in_force.current.number
            for event in [step.event for step in device.installs.steps(each)]
        }
        is_shadowed = in_force.current.number in SHADOWED
        passed = {Event.PASSED_TO_SHADOW, Event.COMPARED} if is_shadowed else {Event.PASSED}
        assert passed | {Event.ACTIVATED} <= gone_through
    watched = [each for each in device.installs.unfinished() if each.state is State.PROBATION]
    assert all(in_force.serves(each.release.number) for each in watched)
    assert len(watched) <= 1
    assert sum(each.state in ON_ITS_WAY for each in device.installs.unfinished()) <= 1
    if in_force.current is not None and not in_force.current.is_good:
        assert watched, "what serves and was not proven good is watched"
