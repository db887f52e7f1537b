"""The product's router against the oracle: every combination, and a million random cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest
from tests.support.cases import Case, exhaustive_cases, random_cases
from tests.support.differences import compared

from homebred_daemon.core.decision import Reason

RANDOM_CASES = 1_000_000
EVERY_REASON = {reason.value for reason in Reason}


def reasons_after_agreeing(cases: Iterable[Case]) -> Counter[str]:
    """How often each reason was given, all decisions being the oracle's."""
    reasons: Counter[str] = Counter()
    for case, wanted, got in compared(cases):
        assert got == wanted, case
        reasons[got["reason_code"]] += 1
    return reasons


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_combination_of_class_policy_margin_escalation_and_link_is_decided_as_the_oracle_does() -> None:
    reasons = reasons_after_agreeing(exhaustive_cases())
    assert set(reasons) == EVERY_REASON
    print(f"\n{reasons.total():,} combinations, 0 differences: {dict(reasons.most_common())}")  # noqa: T201


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_million_random_cases_are_decided_as_the_oracle_does() -> None:
    reasons = reasons_after_agreeing(random_cases(seed=20261123, count=RANDOM_CASES))
    assert reasons.total() == RANDOM_CASES
    assert set(reasons) == EVERY_REASON
    print(f"\n{RANDOM_CASES:,} random cases, 0 differences: {dict(reasons.most_common())}")  # noqa: T201
