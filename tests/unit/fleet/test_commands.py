"""A command's state, however often and late either side says something."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_fleet.core.commands import (
    ANSWER_GRACE_S,
    EXPIRED,
    FINAL,
    ORDER,
    QUEUED,
    SENT,
    TOLD,
    after_result,
    expiry_s,
    is_expired,
)


@given(st.lists(st.sampled_from(sorted(TOLD)), max_size=8))
def test_a_devices_word_never_goes_back_and_its_last_word_stays(told: list[str]) -> None:
    states = [SENT]
    for word in told:
        states.append(after_result(states[-1], word, was_answered=len(states) > 1) or states[-1])
    ranks = [ORDER[state] for state in states]
    assert ranks == sorted(ranks)
    ends = [state for state in states if state in FINAL]
    assert len(set(ends)) <= 1


@pytest.mark.parametrize(("state", "told"), list(itertools.product(ORDER, (QUEUED, SENT, "", "exploded"))))
def test_a_device_cannot_say_what_is_not_a_devices_word(state: str, told: str) -> None:
    assert after_result(state, told, was_answered=False) is None


def test_a_late_answer_is_the_truth_where_the_controller_had_given_up() -> None:
    assert after_result(EXPIRED, "done", was_answered=False) == "done"
    assert after_result(EXPIRED, "done", was_answered=True) is None


@pytest.mark.parametrize(
    ("state", "after_s", "expected"),
    [
        (QUEUED, -1, False),
        (QUEUED, 0, True),
        (SENT, 0, False),
        (SENT, ANSWER_GRACE_S, True),
        ("accepted", 10**6, False),
        ("waiting", 10**6, False),
        ("done", 10**6, False),
    ],
)
def test_what_nobody_began_in_time_is_given_up(state: str, after_s: int, *, expected: bool) -> None:
    assert is_expired(state, deadline_s=1_000, now_s=1_000 + after_s) is expected


def test_the_broker_keeps_a_command_until_its_deadline_and_shortly_where_only_its_end_is_asked_for() -> None:
    kept_s = [expiry_s(deadline_s=1_000, now_s=now) for now in (940, 999, 1_000, 9_000)]
    assert kept_s == [60, 1, ANSWER_GRACE_S, ANSWER_GRACE_S]
