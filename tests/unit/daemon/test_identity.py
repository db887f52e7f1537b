"""The device's certificate kept valid, on a clock that tests move."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from tests.support.fake_device_identities import DAY_S, FakeController, FakeIdentities, facts_at
from tests.support.manual_clock import ManualClock, run_with, settled
from tests.support.recorded_journal import RecordedJournal

from homebred_daemon.core.renewal import Standing
from homebred_daemon.errors import ControllerUnreachableError, StateError
from homebred_daemon.ports.identity import Identity
from homebred_daemon.services.fleet.identity import IdentityKeeper


class Receipts:
    def __init__(self) -> None:
        self.told: list[tuple[str, str, str, str]] = []

    def receipt(
        self, kind: str, subject: str, result: str, problem_code: str, *, version: int = 0, signed: bytes = b""
    ) -> bool:
        self.told.append((kind, subject, result, problem_code))
        return True


class Device:
    """A device with a certificate of 90 days."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.identities = FakeIdentities(self.clock)
        self.controller = FakeController(self.clock)
        self.journal = RecordedJournal()
        self.receipts = Receipts()
        self.heard: list[Identity] = []
        self.make_keeper()

    def make_keeper(self) -> None:
        held = self.identities.held
        assert held is not None
        self.keeper = IdentityKeeper(
            held,
            self.identities,
            self.controller,
            self.clock,
            self.journal,
            chance=lambda: 1.0,
            receipts=self.receipts,
        )
        self.keeper.when_renewed(self.heard.append)

    async def after(self, *, days: float = 0.0, hours: float = 0.0) -> None:
        """Time passes, an hour at a time as the loop would see it."""
        left = int(days * 24 + hours)
        for _ in range(left):
            self.clock.pass_s(3600)
            await settled()

    def run(self, story: Callable[[Device], Coroutine[Any, Any, None]]) -> None:
        async def told() -> None:
            async with self.keeper.running():
                await settled()
                await story(self)

        run_with(self.clock, told())


def test_a_certificate_is_renewed_when_two_thirds_of_its_life_are_over() -> None:
    async def story(device: Device) -> None:
        await device.after(days=59.9)
        assert device.controller.tried == []
        first = device.keeper.identity
        await device.after(days=4)
        assert len(device.controller.tried) == 1
        assert 60 <= device.controller.tried[0] / DAY_S <= 63.76
        assert device.keeper.identity != first
        assert device.heard == [device.keeper.identity]
        assert device.keeper.standing() is Standing.GOOD
        assert device.journal.names == ["enrolled", "certificate_renewed"]
        assert device.receipts.told == [("identity", device.keeper.identity.certificate.serial, "renewed", "")]

    Device().run(story)


def test_a_controller_that_is_away_for_a_month_is_asked_until_it_is_back_with_the_same_key() -> None:
    async def story(device: Device) -> None:
        device.controller.fails = ControllerUnreachableError()
        first = device.keeper.identity
        await device.after(days=80)
        tries = len(device.controller.tried)
        assert tries > 20
        assert len(set(device.controller.requests)) == 1
        assert device.keeper.identity == first
        assert isinstance(device.keeper.problem, ControllerUnreachableError)
        assert "certificate_ends" in device.journal.names
        device.controller.fails = None
        await device.after(hours=7)
        assert device.keeper.identity != first
        assert len(device.controller.tried) == tries + 1
        await device.after(days=50)
        assert len(device.controller.tried) == tries + 1

    Device().run(story)


def test_tries_come_at_most_every_few_hours_once_it_has_failed_for_long() -> None:
    async def story(device: Device) -> None:
        device.controller.fails = ControllerUnreachableError()
        await device.after(days=70)
        last = device.controller.tried[-3:]
        assert all(later - earlier >= 5 * 3600 for earlier, later in pairwise(last))

    Device().run(story)


def test_it_warns_once_a_day_and_louder_once_it_has_ended() -> None:
    async def story(device: Device) -> None:
        device.controller.fails = ControllerUnreachableError()
        await device.after(days=92)
        names = device.journal.names
        assert 14 <= names.count("certificate_ends") <= 17
        assert 2 <= names.count("certificate_ended") <= 4
        assert device.keeper.standing() is Standing.ENDED

    Device().run(story)


def test_a_certificate_that_has_ended_is_still_tried_since_the_clock_may_be_wrong() -> None:
    async def story(device: Device) -> None:
        device.controller.fails = ControllerUnreachableError()
        await device.after(days=95)
        device.controller.fails = None
        await device.after(hours=7)
        assert device.keeper.standing() is Standing.GOOD

    Device().run(story)


def test_a_clock_from_before_the_certificate_is_named_and_the_controller_asked() -> None:
    device = Device()
    device.identities.enrol(facts_at(int(device.clock.now().timestamp()) + 3650 * DAY_S, 7))
    device.controller.fails = ControllerUnreachableError()
    device.make_keeper()

    async def story(device: Device) -> None:
        assert "clock_disbelieved" in device.journal.names
        assert device.keeper.standing() is Standing.NOT_YET
        assert not device.keeper.clock_span().holds(int(device.clock.now().timestamp()))
        assert len(device.controller.tried) == 1

    device.run(story)


def test_a_full_disk_leaves_the_old_certificate_in_force() -> None:
    async def story(device: Device) -> None:
        device.identities.fails = StateError("full", hint="free some space")
        await device.after(days=65)
        assert device.controller.tried == []
        assert device.keeper.standing() is Standing.DUE
        assert "certificate_not_renewed" in device.journal.names
        device.identities.fails = None
        await device.after(hours=7)
        assert device.keeper.standing() is Standing.GOOD

    Device().run(story)


@pytest.mark.parametrize("ahead", [False, True])
def test_the_clock_is_believed_within_the_certificates_life(ahead: bool) -> None:  # noqa: FBT001
    device = Device()
    now_s = int(device.clock.now().timestamp())
    assert device.keeper.clock_span().holds(now_s)
    assert not device.keeper.clock_span().holds(now_s + (10 if ahead else -10) * 365 * DAY_S)
