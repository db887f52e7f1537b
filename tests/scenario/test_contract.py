"""The product's router against the oracle: every combination, and random cases; a thorough run takes a million."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest
from tests.support.cases import Case, exhaustive_cases, random_cases
from tests.support.differences import compared

from homebred_daemon.core.decision import Reason

RANDOM_CASES, RANDOM_CASES_WHEN_THOROUGH = 200_000, 1_000_000
EVERY_REASON = {reason.value for reason in Reason}


def reasons_after_agreeing(cases: Iterable[Case]) -> Counter[str]:
    """How often each reason was given, all decisions being the oracle's."""
    reasons: Counter[str] = Counter()
    for case, wanted, got in compared(cases):
        assert got == wanted, case
        reasons[got["reason_code"]] += 1
    return reasons


@pytest.mark.slow
@pytest.mark.thorough("it takes a minute; random cases and planted faults are compared every time")
@pytest.mark.timeout(900)
def test_every_combination_of_class_policy_margin_escalation_and_link_is_decided_as_the_oracle_does() -> None:
    reasons = reasons_after_agreeing(exhaustive_cases())
    assert set(reasons) == EVERY_REASON
    print(f"\n{reasons.total():,} combinations, 0 differences: {dict(reasons.most_common())}")  # noqa: T201


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_random_cases_are_decided_as_the_oracle_does(thorough: bool) -> None:  # noqa: FBT001 - a fixture
    count = RANDOM_CASES_WHEN_THOROUGH if thorough else RANDOM_CASES
    reasons = reasons_after_agreeing(random_cases(seed=20261123, count=count))
    assert reasons.total() == count
    assert set(reasons) == EVERY_REASON
    print(f"\n{count:,} random cases, 0 differences: {dict(reasons.most_common())}")  # noqa: T201
