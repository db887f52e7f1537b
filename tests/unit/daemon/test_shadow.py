"""The comparison of a newcomer with what serves: its errors are computed exactly, over all that could be seen."""

from __future__ import annotations

import functools
import math

import pytest

from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.pairs import Pairs
from homebred_daemon.core.shadow import FALSE_ALARM, Compared, Comparison, compared, passed_by
from homebred_protocol.documents.release_values import Shadow

DAY_S = 86_400
DEMAND = Shadow(outcomes=100, longest_s=DAY_S)


def judged(*, both: int = 0, lost: int = 0, won: int = 0, neither: int = 0, now_s: int = 1) -> Compared:
    pairs = Pairs(version="v", both_good=both, only_serving=lost, only_newcomer=won, neither=neither)
    return compared(pairs, DEMAND, since_s=0, now_s=now_s)


@functools.cache
def is_worse(lost: int, won: int) -> bool:
    return judged(lost=lost, won=won).standing is Comparison.WORSE


def chance_of_refusal(lost: float, won: float, outcomes: int) -> float:
    """Exactly: that it is refused within so many tasks, where one is lost or won with these chances."""
    refused, ways = 0.0, {(0, 0): 1.0}
    for _ in range(outcomes):
        after: dict[tuple[int, int], float] = {}
        for (losses, wins), chance in ways.items():
            for step, weight in (((0, 0), 1 - lost - won), ((1, 0), lost), ((0, 1), won)):
                key = (losses + step[0], wins + step[1])
                if is_worse(*key):
                    refused += chance * weight
                elif chance * weight > 1e-12:
                    after[key] = after.get(key, 0.0) + chance * weight
        ways = after
    return refused


@pytest.mark.parametrize("differing", [0.02, 0.2, 1.0])
def test_one_that_is_no_worse_is_refused_with_a_chance_of_at_most_one_in_a_hundred(differing: float) -> None:
    assert chance_of_refusal(differing / 2, differing / 2, 200) <= FALSE_ALARM


@pytest.mark.parametrize(
    ("serving", "newcomer", "outcomes"), [(0.95, 0.75, 130), (0.9, 0.7, 180), (0.95, 0.85, 390), (0.95, 0.0, 13)]
)
def test_so_much_worse_is_found_nine_times_in_ten_within_so_many_tasks(
    serving: float, newcomer: float, outcomes: int
) -> None:
    """As docs/installing.md says; that the two fail at tasks of their own is the worst case."""
    found = chance_of_refusal(serving * (1 - newcomer), newcomer * (1 - serving), outcomes)
    assert found >= 0.9


def test_tasks_that_both_did_alike_tell_nothing() -> None:
    assert (
        judged(both=60, neither=30, lost=3).facts["shadow_evidence_milli"]
        == judged(lost=3).facts["shadow_evidence_milli"]
    )


def test_it_passes_once_as_many_were_compared_as_its_manifest_demands() -> None:
    assert judged(both=99).standing is Comparison.OPEN
    found = judged(both=97, lost=1, won=1, neither=1)
    assert (found.standing, found.note) == (Comparison.PASSES, None)
    assert found.facts["shadow_seen"] == 100


def test_it_is_refused_the_moment_it_is_known_to_be_worse() -> None:
    few = next(lost for lost in range(100) if judged(lost=lost).standing is Comparison.WORSE)
    assert few == 11
    found = judged(both=5, lost=few)
    assert found.note is not None
    assert found.note.code == "shadow_worse"
    assert "failed at 11, what serves alone at 0" in found.note.sentence
    assert math.isclose(found.facts["shadow_evidence_milli"] / 1000, 5, abs_tol=1)


def test_when_its_time_is_over_it_passes_with_a_note() -> None:
    assert judged(both=10, now_s=DAY_S - 1).standing is Comparison.OPEN
    found = judged(both=10, lost=3, now_s=DAY_S)
    assert found.standing is Comparison.PASSES
    assert found.note is not None
    assert found.note.code == "shadow_short"
    assert "13 of 100" in found.note.sentence


def test_its_facts_are_integers_with_the_times_of_what_both_did_well() -> None:
    pairs = Pairs(version="v", both_good=2, serving_ms=300, newcomer_ms=501, neither=1)
    facts = compared(pairs, DEMAND, since_s=0, now_s=1).facts
    assert all(type(value) is int for value in facts.values())
    assert (facts["shadow_serving_mean_ms"], facts["shadow_newcomer_mean_ms"]) == (150, 250)
    assert "shadow_serving_mean_ms" not in judged(neither=4).facts


def test_one_that_cannot_be_compared_passes_and_says_why() -> None:
    why = Refusal(code="shadow_no_room", sentence="both do not fit")
    found = passed_by(why, DEMAND)
    assert (found.standing, found.note, found.facts["shadow_seen"]) == (Comparison.PASSES, why, 0)
