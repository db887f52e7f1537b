"""A day's spending never goes over its budget, and a new day brings a new one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.budgets import Budget, Charge, Spending

MONDAY = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(minutes=2)
CALL = Charge(calls=1, transferred_bytes=1000, money=0.25)
CHARGES = st.builds(
    Charge,
    calls=st.integers(0, 5),
    transferred_bytes=st.integers(0, 5000),
    money=st.integers(0, 40).map(lambda n: n / 4),
)


def test_a_day_that_nobody_counted_counts_as_spent_and_the_next_does_not() -> None:
    budget = Budget(calls=3, money=1.5)
    lost = budget.spent_on(MONDAY.date())
    assert lost.so_far == Charge(calls=3, money=1.5)
    assert budget.exceeded_by(lost.plus(Charge(calls=1), MONDAY).so_far) == ("calls",)
    assert budget.exceeded_by(lost.plus(Charge(calls=1), TUESDAY).so_far) == ()


def test_without_limits_nothing_exceeds_a_budget() -> None:
    assert Budget().exceeded_by(Charge(calls=10**9, transferred_bytes=10**15, money=1e9)) == ()


@pytest.mark.parametrize(
    ("budget", "exceeded"),
    [
        (Budget(calls=1, transferred_bytes=1000, money=0.25), ()),
        (Budget(calls=0), ("calls",)),
        (Budget(transferred_bytes=999), ("bytes",)),
        (Budget(calls=0, money=0.2), ("calls", "money")),
    ],
)
def test_a_limit_may_be_reached_and_not_exceeded(budget: Budget, exceeded: tuple[str, ...]) -> None:
    assert budget.exceeded_by(CALL) == exceeded


@given(st.lists(CHARGES), CHARGES)
def test_a_days_charges_add_up_and_a_correction_takes_back_what_was_too_much(
    charges: list[Charge], actual: Charge
) -> None:
    spending = Spending().plus(CALL, MONDAY)
    for charge in charges:
        spending = spending.plus(charge, MONDAY)
    spending = spending.corrected(actual - CALL, spending.day)
    assert spending.so_far == sum(charges, actual)


def test_a_new_day_begins_at_midnight_in_utc() -> None:
    assert Spending().plus(CALL, MONDAY).plus(CALL, TUESDAY) == Spending(day=TUESDAY.date(), so_far=CALL)


def test_a_clock_that_goes_back_brings_no_new_budget() -> None:
    spending = Spending().plus(CALL, TUESDAY).plus(CALL, MONDAY)
    assert spending == Spending(day=TUESDAY.date(), so_far=CALL + CALL)


def test_what_is_known_only_after_midnight_corrects_nothing() -> None:
    spending = Spending().plus(CALL, MONDAY).plus(CALL, TUESDAY)
    assert spending.corrected(Charge(money=-0.25), MONDAY.date()) == spending
