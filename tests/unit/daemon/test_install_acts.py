"""Single acts of installs, where the order of things matters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.install_stage import SPECIALIST, TERMS, Device, release, specialist

from homebred_daemon.core.activation import Activation, InForce
from homebred_daemon.core.deployment import Event, Install, State
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.errors import StateError
from homebred_daemon.services.releases.install_acts import InstallActs, InstallMeans, Moves, Waits
from homebred_daemon.services.releases.install_book import InstallBook


@pytest.fixture
def device() -> Device:
    made = Device()
    made.store.offers[release(1).digest] = specialist(1)
    made.store.take(Path("aside"), release(1))
    return made


def acts_of(device: Device) -> tuple[InstallActs, InstallBook]:
    means = InstallMeans(
        files=device.files,
        store=device.store,
        installs=device.installs,
        gate=device.gate,
        serving=device.serving,
        orders=device.orders,
        receipts=device.receipts,
        journal=device.journal,
        terms=TERMS,
    )
    book = InstallBook(device.installs)
    return InstallActs(means, book), book


async def in_state(book: InstallBook, *events: Event) -> Install:
    install = await book.begin(release(1), now_s=1, ends=None, reason="")
    for event in events:
        assert install is not None
        install = await book.move(install, event, now_s=1)
    assert install is not None
    return install


TO_ACTIVATING = (Event.FETCHED, Event.VERIFIED, Event.FITS, Event.PASSED)


async def test_the_record_moves_before_the_daemon_is_told_and_a_kill_between_is_gone_on_with(device: Device) -> None:
    acts, book = acts_of(device)
    install = await in_state(book, *TO_ACTIVATING)
    device.serving.failure = StateError("the ledger is full")
    with pytest.raises(StateError):
        await acts.act(install)
    assert device.serves == 1
    device.serving.failure, device.orders.gives_leases = None, False
    device.orders.stop = Stopping(epoch=9, stopped=True)  # it was activated before that came
    outcome = await acts.act(install)
    assert isinstance(outcome, Moves)
    assert outcome.event is Event.ACTIVATED


async def test_what_was_given_up_meanwhile_is_not_activated(device: Device) -> None:
    acts, book = acts_of(device)
    install = await in_state(book, *TO_ACTIVATING)
    await book.move(install, Event.NO_LONGER_WANTED, now_s=2)
    assert isinstance(await acts.act(install), Waits)
    assert device.serves is None


async def test_the_activation_record_says_under_which_lease(device: Device) -> None:
    acts, book = acts_of(device)
    await acts.act(await in_state(book, *TO_ACTIVATING))
    current = device.store.in_force(SPECIALIST).current
    assert current is not None
    assert current.lease_expires_at_s - current.activated_at_s == 86_400
    assert (current.digest, current.is_good) == (release(1).digest, False)


@pytest.mark.parametrize("events", [TO_ACTIVATING[:2], TO_ACTIVATING[:3], TO_ACTIVATING])
async def test_what_has_left_the_store_is_fetched_again(device: Device, events: tuple[Event, ...]) -> None:
    acts, book = acts_of(device)
    device.store.damaged.add((SPECIALIST, 1))
    outcome = await acts.act(await in_state(book, *events))
    assert isinstance(outcome, Moves)
    assert outcome.event is Event.DAMAGED


@pytest.mark.parametrize(("damaged", "code"), [(False, "moved_back"), (True, "damaged")])
async def test_a_probation_that_nothing_serves_any_more_has_been_rolled_back(
    device: Device, *, damaged: bool, code: str
) -> None:
    acts, book = acts_of(device)
    install = await in_state(book, *TO_ACTIVATING, Event.ACTIVATED)
    if damaged:
        device.store.damaged.add((SPECIALIST, 1))
    outcome = await acts.act(install)
    assert isinstance(outcome, Moves)
    assert outcome.refusal is not None
    assert (outcome.event, outcome.refusal.code) == (Event.MOVED_BACK, code)


async def test_a_probation_waits_where_a_newer_one_is_just_being_activated(device: Device) -> None:
    acts, book = acts_of(device)
    install = await in_state(book, *TO_ACTIVATING, Event.ACTIVATED)
    newer = await book.begin(release(2), now_s=2, ends=None, reason="")
    for event in TO_ACTIVATING:
        assert newer is not None
        newer = await book.move(newer, event, now_s=2)
    device.store.activate(SPECIALIST, InForce(current=Activation(number=2)))
    assert isinstance(await acts.act(install), Waits)
    assert install.state is State.PROBATION


async def test_healing_leaves_alone_what_is_whole_and_what_has_nothing_to_go_back_to(device: Device) -> None:
    acts, _ = acts_of(device)
    device.store.activate(SPECIALIST, InForce(current=Activation(number=1)))
    assert not await acts.heal(SPECIALIST)
    device.store.damaged.add((SPECIALIST, 1))
    assert not await acts.heal(SPECIALIST)
    device.store.slots[SPECIALIST, 0] = specialist(0)
    assert await acts.heal(SPECIALIST)
    assert device.serves == 0


BUILT = Activation(number=2, built="sha256:" + "b" * 64)


@pytest.mark.parametrize(
    ("last", "serves"),
    [(None, None), (replace(BUILT, number=1), None), (Activation(number=1), 1), (Activation(number=0), 0)],
    ids=["nothing", "built", "signed", "by hand"],
)
async def test_what_was_built_here_and_is_damaged_serves_no_more_even_where_the_last_good_one_is_damaged_too(
    device: Device, last: Activation | None, serves: int | None
) -> None:
    acts, _ = acts_of(device)
    device.store.slots[SPECIALIST, 2] = specialist(2)
    if last is not None:
        device.store.slots[SPECIALIST, last.number] = specialist(last.number)
    device.store.damaged |= set(device.store.slots)
    device.store.activate(SPECIALIST, InForce(current=BUILT, last_good=last))
    assert await acts.heal(SPECIALIST)
    assert device.serves == serves
    assert not await acts.heal(SPECIALIST)
