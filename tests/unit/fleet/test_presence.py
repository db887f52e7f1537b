"""Whether a device is there, whatever order births, good-byes and wills come in."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_fleet.core.presence import UNHEARD, SignsOfLife, Told, fault_of_state, judge_state

BIRTH = Told(online=True, boot_id="a" * 32, boot_number=3, connection=2, reason="birth")
WILL = replace(BIRTH, online=False, reason="lost")


def judged(known: Told | None, told: Told, *, retained: bool = False, new: bool = False) -> tuple[bool, str]:
    found = judge_state(known, told, is_retained=retained, is_new_boot=new)
    return found.holds, found.reason


@pytest.mark.parametrize(
    ("known", "told", "expected"),
    [
        (None, BIRTH, (True, "first")),
        (BIRTH, BIRTH, (False, "known")),
        (BIRTH, WILL, (True, "ended")),
        (WILL, BIRTH, (False, "ended-already")),
        (WILL, replace(BIRTH, connection=3), (True, "newer-connection")),
        (BIRTH, replace(WILL, connection=1), (False, "stale-connection")),
        (BIRTH, replace(WILL, boot_id="b" * 32, boot_number=2), (False, "stale-boot")),
        (WILL, replace(BIRTH, boot_id="b" * 32, boot_number=4), (True, "newer-boot")),
        (replace(WILL, reason=UNHEARD), BIRTH, (True, "heard-after-all")),
    ],
)
def test_a_message_counts_where_it_is_newer_than_what_is_known(
    known: Told | None, told: Told, expected: tuple[bool, str]
) -> None:
    assert judged(known, told) == expected


def test_a_birth_that_a_broker_kept_brings_nobody_back_who_was_taken_for_gone() -> None:
    gone = replace(WILL, reason=UNHEARD)
    assert judged(gone, BIRTH, retained=True) == (False, "kept-alone")
    assert judged(gone, replace(BIRTH, connection=3), retained=True) == (True, "newer-connection")


def test_a_state_that_was_kept_stands_for_its_device_only_while_that_is_heard() -> None:
    signs = SignsOfLife(heard=frozenset({"a"}), kept=frozenset({"b"}), kept_counts_from_s=100)
    assert signs.show("a", heard_at_s=0)
    assert signs.show("b", heard_at_s=100)
    assert not signs.show("b", heard_at_s=99)
    assert not signs.show("c", heard_at_s=100)


def test_a_device_that_lost_its_count_of_boots_is_believed_when_it_is_born_before_our_eyes() -> None:
    anew = Told(online=True, boot_id="c" * 32, boot_number=1, connection=1, reason="birth")
    assert judged(BIRTH, anew, new=True) == (True, "boots-counted-anew")
    assert judged(BIRTH, anew, new=True, retained=True) == (False, "stale-boot")
    assert judged(BIRTH, anew, new=False) == (False, "stale-boot")
    assert judged(BIRTH, replace(anew, online=False), new=True) == (False, "stale-boot")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({}, ""),
        ({"boot_id": "+"}, "boot-id"),
        ({"boot_number": 0}, "numbers"),
        ({"connection": 2**63}, "numbers"),
    ],
)
def test_a_state_that_cannot_be_is_told_by_its_fault(change: dict[str, object], cause: str) -> None:
    assert fault_of_state(replace(BIRTH, **change)) == cause  # type: ignore[arg-type]


@given(st.permutations(range(8)))
def test_in_whatever_order_they_come_the_newest_connections_last_word_is_what_is_known(order: list[int]) -> None:
    lives = [
        Told(online=online, boot_id=f"{number:032x}", boot_number=number, connection=connection, reason="x")
        for number, connection, online in itertools.product((1, 2), (1, 2), (True, False))
    ]
    known: Told | None = None
    for place in order:
        if judged(known, lives[place])[0]:
            known = lives[place]
    assert known == lives[-1]
