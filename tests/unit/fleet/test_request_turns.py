from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from homebred_fleet.core.request_turns import AT_ONCE, MOST, SHARE, Asked, Turns


def asked(device: str, number: int = 0) -> Asked:
    return Asked(device=device, operation="blocks", correlation=number.to_bytes(16, "big"), body=b"")


def order_of(turns: Turns) -> list[str]:
    """The devices whose requests are taken, each answered before the next is taken."""
    order = []
    while (one := turns.take()) is not None:
        order.append(one.device)
        turns.done(one.device)
    return order


def test_devices_take_turns_whoever_asked_most() -> None:
    turns = Turns()
    for number in range(5):
        turns.offer(asked("loud", number))
    turns.offer(asked("quiet"))
    assert order_of(turns) == ["loud", "quiet", "loud", "loud", "loud", "loud"]


def test_the_requests_of_one_device_are_answered_in_their_order() -> None:
    turns = Turns()
    for number in range(SHARE):
        assert turns.offer(asked("one", number))
    numbers = []
    while (one := turns.take()) is not None:
        numbers.append(int.from_bytes(one.correlation, "big"))
        turns.done("one")
    assert numbers == list(range(SHARE))


def test_few_of_one_device_are_answered_at_once_and_another_ones_beside_them() -> None:
    turns = Turns()
    for number in range(5):
        turns.offer(asked("loud", number))
    taken = [turns.take() for _ in range(AT_ONCE + 1)]
    assert [one is not None for one in taken] == [True] * AT_ONCE + [False]
    turns.offer(asked("quiet"))
    one = turns.take()
    assert one is not None
    assert one.device == "quiet"
    turns.done("loud")
    one = turns.take()
    assert one is not None
    assert one.device == "loud"


def test_what_goes_beyond_a_devices_share_is_dropped_and_nobody_elses() -> None:
    turns = Turns()
    assert [turns.offer(asked("loud")) for _ in range(SHARE + 3)] == [True] * SHARE + [False] * 3
    assert turns.offer(asked("quiet"))
    turns.take()
    assert turns.offer(asked("loud")), "a place is free again"


def test_the_share_shrinks_with_the_devices_that_wait_and_each_has_its_one() -> None:
    turns = Turns()
    for number in range(MOST + 10):
        assert turns.offer(asked(f"d-{number}"))
        turns.offer(asked(f"d-{number}"))
    assert turns.waiting <= 2 * MOST
    for number in range(MOST, MOST + 10):
        assert not turns.offer(asked(f"d-{number}"))


def test_what_is_forgotten_is_not_answered_and_what_was_being_answered_ends() -> None:
    turns = Turns()
    for _ in range(5):
        turns.offer(asked("one"))
    assert turns.take() is not None
    turns.forget()
    assert (turns.take(), turns.waiting) == (None, 0)
    turns.offer(asked("one"))
    assert turns.take() is not None
    turns.done("one")
    turns.done("one")
    assert order_of(turns) == []


STEPS = st.lists(st.tuples(st.sampled_from(["offer", "take", "done", "forget"]), st.sampled_from("abc")), max_size=60)


@given(STEPS)
def test_whatever_happens_nothing_is_lost_or_answered_twice_and_bounds_hold(steps: list[tuple[str, str]]) -> None:
    turns, waits, answered = Turns(), Counter[str](), Counter[str]()
    for number, (step, device) in enumerate(steps):
        match step:
            case "offer":
                waits[device] += turns.offer(asked(device, number))
            case "take" if (one := turns.take()) is not None:
                waits[one.device] -= 1
                answered[one.device] += 1
            case "done" if answered[device]:
                turns.done(device)
                answered[device] -= 1
            case "forget":
                turns.forget()
                waits.clear()
        assert turns.waiting == waits.total()
        assert max(waits.values(), default=0) <= SHARE
        assert max(answered.values(), default=0) <= AT_ONCE
    for device, count in answered.items():
        for _ in range(count):
            turns.done(device)
    assert Counter(order_of(turns)) == +waits
