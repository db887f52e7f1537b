"""The sequential test of probation: its errors, computed exactly, and what it says of a device's days."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.deployment import Tally
from homebred_daemon.core.probation import (
    Judgement,
    ProbationTerms,
    Standing,
    counts_as_good,
    evidence,
    judged,
    lower_limit,
    reference_share,
)

TERMS = ProbationTerms()
HOUR_S, DAY_S = 3600, 86_400


@lru_cache(maxsize=64)
def bounds(share: float, outcomes: int) -> tuple[int, ...]:
    """For each number of outcomes, the most good ones at which the test alarms; -1: none."""
    alarm = math.log(2 / TERMS.false_alarm)
    found, most = [], -1
    for seen in range(1, outcomes + 1):
        while most + 1 <= seen and evidence(Tally(good=most + 1, seen=seen), share) >= alarm:
            most += 1
        while most >= 0 and evidence(Tally(good=most, seen=seen), share) < alarm:
            most -= 1
        found.append(most)
    return tuple(found)


def chance_of_alarm(share: float, truth: float, outcomes: int) -> float:
    """Of the test's ever alarming within so many outcomes, looked at after each: exact, over all sequences."""
    alive = [1.0]
    """By number of good ones: chance of being there, never having alarmed."""
    for most in bounds(share, outcomes):
        grown = [0.0] * (len(alive) + 1)
        for good, chance in enumerate(alive):
            grown[good] += chance * (1 - truth)
            grown[good + 1] += chance * truth
        alive = [0.0 if good <= most else chance for good, chance in enumerate(grown)]
    return 1 - math.fsum(alive)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95, 0.99])
def test_one_that_is_as_good_is_hardly_ever_blamed_however_often_it_is_looked_at(share: float) -> None:
    for truth in (share, share + (1 - share) / 3):
        assert chance_of_alarm(share, truth, 300) <= TERMS.false_alarm / 2


@given(st.floats(0.3, 0.99), st.floats(0, 1), st.integers(1, 120))
def test_it_is_a_supermartingale_whatever_the_share_of_good_outcomes_from_it_upwards(
    share: float, above: float, seen: int
) -> None:
    """E[likelihood ratio after one more outcome] <= the ratio before: what Ville's inequality asks for."""
    truth = share + (1 - share) * above
    for good in range(0, seen + 1, max(1, seen // 7)):
        before = evidence(Tally(good=good, seen=seen), share)
        if not math.isfinite(before) or before > 500:
            continue
        after_good = math.exp(evidence(Tally(good=good + 1, seen=seen + 1), share) - before)
        after_bad = math.exp(evidence(Tally(good=good, seen=seen + 1), share) - before)
        assert truth * after_good + (1 - truth) * after_bad <= 1 + 1e-9


@pytest.mark.parametrize(("before", "within"), [(0.95, 600), (0.9, 900), (0.8, 1200)])
def test_ten_points_less_are_found_within_a_number_of_outcomes_with_nine_chances_in_ten(
    before: float, within: int
) -> None:
    share = reference_share(Tally(good=round(before * 1000), seen=1000), TERMS)
    assert chance_of_alarm(share, before - 0.1, within) >= 0.9


def test_what_fails_at_everything_is_found_after_a_handful() -> None:
    share = reference_share(Tally(good=950, seen=1000), TERMS)
    first = next(seen for seen in range(1, 50) if bounds(share, seen)[-1] >= 0)
    assert first <= 4


def test_the_error_of_a_reference_that_was_itself_measured_is_within_the_whole() -> None:
    """The incumbent's share is drawn too: all of it together stays below the promised error."""
    truth, reference_outcomes, outcomes = 0.9, 40, 160
    total = 0.0
    for good in range(reference_outcomes + 1):
        chance = math.comb(reference_outcomes, good) * truth**good * (1 - truth) ** (reference_outcomes - good)
        if chance > 1e-7:
            share = reference_share(Tally(good=good, seen=reference_outcomes), TERMS)
            total += chance * chance_of_alarm(round(share, 6), truth, outcomes)
    assert total <= TERMS.false_alarm


@given(st.integers(1, 60), st.integers(0, 60))
def test_the_lower_limit_is_clopper_and_pearsons(seen: int, good: int) -> None:
    good = min(good, seen)
    low = lower_limit(good, seen, 0.005)
    assert 0 <= low <= good / seen
    if good:
        exact = Fraction(low).limit_denominator(10**9)
        chance = sum(math.comb(seen, k) * exact**k * (1 - exact) ** (seen - k) for k in range(good, seen + 1))
        assert float(chance) == pytest.approx(0.005, rel=1e-5)


@given(st.integers(0, 300), st.integers(0, 300))
def test_more_bad_outcomes_are_never_less_evidence(good: int, bad: int) -> None:
    one = evidence(Tally(good=good, seen=good + bad), 0.9)
    worse = evidence(Tally(good=good, seen=good + bad + 1), 0.9)
    assert worse > one - 1e-9


def at(counted: Tally, reference: Tally, *, hours: int) -> Judgement:
    return judged(counted, reference, TERMS, since_s=DAY_S, now_s=DAY_S + hours * HOUR_S)


def test_it_settles_after_its_time_with_enough_outcomes_or_after_the_longest_with_few() -> None:
    many, few, reference = Tally(good=190, seen=200), Tally(good=9, seen=10), Tally(good=95, seen=100)
    assert at(many, reference, hours=23).standing is Standing.OPEN
    assert at(many, reference, hours=24).standing is Standing.HEALTHY
    assert at(few, reference, hours=7 * 24 - 1).standing is Standing.OPEN
    late = at(few, reference, hours=7 * 24)
    assert late.standing is Standing.HEALTHY
    assert "few" in late.sentence


def test_a_bad_one_is_found_at_once_also_where_nothing_was_before() -> None:
    for reference in (Tally(good=95, seen=100), Tally()):
        found = at(Tally(good=2, seen=30), reference, hours=0)
        assert found.standing is Standing.DEGRADED
        assert "2 of 30 outcomes were good" in found.sentence
        assert found.evidence_milli > 5000


def test_without_outcomes_nothing_is_said_and_a_perfect_reference_can_be_held_against() -> None:
    assert at(Tally(), Tally(), hours=0).standing is Standing.OPEN
    assert at(Tally(good=10, seen=10), Tally(good=2000, seen=2000), hours=0).standing is Standing.OPEN


@pytest.mark.parametrize(
    ("status", "findings", "is_good"),
    [
        ("answer", (), True),
        ("answer", ("fallback",), True),
        ("answer", ("slow",), False),
        ("answer", ("schema_invalid",), False),
        ("answer", ("rejected_by_caller",), False),
        ("degraded", (), False),
        ("error", (), False),
        ("review", (), False),
    ],
)
def test_an_outcome_is_good_where_the_answer_was_neither_weak_nor_slow_nor_taken_back(
    status: str,
    findings: tuple[str, ...],
    is_good: bool,  # noqa: FBT001 - a parameter
) -> None:
    assert counts_as_good(status, findings) is is_good
