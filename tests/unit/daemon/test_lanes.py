from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.lanes import (
    Candidate,
    candidates,
    cascade,
    cloud_has_higher_utility,
    degraded_choice,
    suits,
    utility,
)
from homebred_protocol.documents.policy import DraftingWeights, ModelProfile
from homebred_protocol.documents.registry import Fitness, Registry, Specialist
from homebred_protocol.documents.task import Task

WORKFLOW = "intake.normalise"
FLOOR = 0.6
GOOD, BETTER, POOR = (Fitness(fitness=fitness, samples=200) for fitness in (0.8, 0.9, 0.5))


def specialist(name: str, fitness: Fitness | None = GOOD, *, workflow: str = WORKFLOW, **more: Any) -> Specialist:
    workflows = {} if fitness is None else {workflow: fitness}
    return Specialist(id=name, engine="echo", workflows=workflows, **more)


def task(**more: Any) -> Task:
    return Task(task_id="t", **({"workflow": WORKFLOW} | more))


def ranked(*specialists: Specialist, unavailable: str = "", **asked: Any) -> list[str]:
    registry = Registry(digest="", specialists=specialists)
    return [one.specialist.id for one in candidates(task(**asked), registry, FLOOR, frozenset(unavailable))]


# Candidates


def test_the_highest_margin_is_first() -> None:
    assert ranked(specialist("a"), specialist("b", BETTER), specialist("c", POOR)) == ["b", "a", "c"]


def test_a_tie_goes_to_the_smaller_and_then_to_the_earlier_id() -> None:
    assert ranked(specialist("b", size_rank=1), specialist("c"), specialist("a", size_rank=1)) == ["c", "a", "b"]


def test_who_was_never_measured_is_nowhere() -> None:
    assert ranked(specialist("a", Fitness(fitness=1.0, samples=0)), specialist("b", None)) == []


def test_a_generalist_competes_like_any_other() -> None:
    assert ranked(specialist("a"), specialist("g", BETTER, workflow="*")) == ["g", "a"]


def test_a_task_without_a_workflow_or_of_an_unknown_one_has_only_generalists() -> None:
    both = (specialist("a", BETTER), specialist("g", workflow="*"))
    assert ranked(*both, workflow=None) == ranked(*both, workflow="never.heard.of") == ["g"]


def test_a_named_entry_hides_the_general_one_even_without_samples() -> None:
    unmeasured = Specialist(id="a", engine="echo", workflows={WORKFLOW: Fitness(fitness=0.0, samples=0), "*": BETTER})
    assert ranked(unmeasured) == []
    assert ranked(unmeasured, workflow="other") == ["a"]


def test_who_just_failed_or_is_not_available_is_left_out() -> None:
    assert ranked(specialist("a"), specialist("b"), specialist("c", available=False), unavailable="a") == ["b"]


@pytest.mark.parametrize(
    ("asked", "more", "is_suited"),
    [
        ({}, {}, True),
        ({"requires": ("tools", "vision")}, {"capabilities": ("vision", "audio", "tools")}, True),
        ({"requires": ("tools", "vision")}, {"capabilities": ("vision",)}, False),
        ({"context_tokens": 4096}, {"max_context": 4096}, True),
        ({"context_tokens": 4097}, {"max_context": 4096}, False),
        ({"context_tokens": 4097}, {}, True),  # no limit recorded
        ({"deadline_s": 2.0}, {"p95_s": 2.0}, True),
        ({"deadline_s": 2.0}, {"p95_s": 2.1}, False),
        ({"deadline_s": 2.0}, {}, True),  # no p95 recorded
        ({"deadline_s": 2.0, "context_tokens": 1}, {"p95_s": 2.1, "max_context": 1}, False),
    ],
)
def test_who_suits_a_task(asked: dict[str, Any], more: dict[str, Any], is_suited: bool) -> None:  # noqa: FBT001  # a column
    assert suits(specialist("a", **more), task(**asked)) is is_suited


def test_a_candidate_says_whether_it_provably_reaches_the_floor() -> None:
    found = candidates(
        task(), Registry(digest="", specialists=(specialist("a"), specialist("p", POOR))), FLOOR, frozenset()
    )
    assert [one.at_floor for one in found] == [True, False]


# Cascades


def candidate(name: str, size_rank: int) -> Candidate:
    return Candidate(specialist=specialist(name, size_rank=size_rank), fitness=GOOD, margin=0.0, at_floor=True)


def test_a_cascade_climbs_from_the_smallest_to_the_best() -> None:
    best = candidate("best", 3)
    assert cascade(best, [candidate("m", 2), best, candidate("z", 1), candidate("b", 2)]) == "cascade:z+b+m+best"


def test_without_a_smaller_one_the_best_stands_alone() -> None:
    best = candidate("best", 1)
    assert cascade(best, [best, candidate("same", 1), candidate("larger", 2)]) == "best"


# Who stands in


def stand_in(*specialists: Specialist, unavailable: str = "", **asked: Any) -> str:
    registry = Registry(digest="", specialists=specialists)
    found = candidates(task(**asked), registry, FLOOR, frozenset(unavailable))
    return degraded_choice(task(**asked), registry, found, frozenset(unavailable))


def test_the_best_candidate_stands_in_whatever_its_floor() -> None:
    assert stand_in(specialist("a", POOR), specialist("g", None)) == "a"


def test_else_the_smallest_generalist_even_one_never_measured() -> None:
    unmeasured = Fitness(fitness=0.0, samples=0)
    large = specialist("a", unmeasured, workflow="*", size_rank=2)
    small = specialist("b", unmeasured, workflow="*", size_rank=1)
    assert stand_in(large, small) == "b"
    assert stand_in(large, small, unavailable="b") == "a"
    assert stand_in(large, specialist("c", unmeasured, workflow="*", available=False), requires=()) == "a"


def test_else_nobody() -> None:
    assert stand_in(specialist("a", Fitness(fitness=0.0, samples=0))) == ""
    assert stand_in(specialist("g", Fitness(fitness=0.0, samples=0), workflow="*"), requires=("vision",)) == ""


# Utility

WEIGHTS = DraftingWeights(quality=1.0, speed=0.2, price=0.2)
CLOUD = ModelProfile(fitness=0.9, tokens_per_s=50, price_per_1k_tokens=0.0)


def drafting(fitness: float = 0.9, tokens_per_s: float | None = 50) -> Candidate:
    local = specialist("a", tokens_per_s=tokens_per_s)
    return Candidate(specialist=local, fitness=Fitness(fitness=fitness, samples=9), margin=0.0, at_floor=True)


def test_utility_weighs_quality_and_speed_against_price_each_capped_at_one() -> None:
    assert utility(WEIGHTS, 0.9, 25, 0.005) == pytest.approx(0.9 + 0.2 * 0.5 - 0.2 * 0.5)
    assert utility(WEIGHTS, 0.9, 500, 1.0) == pytest.approx(0.9)


def test_a_tie_stays_local_and_a_clear_difference_decides() -> None:
    assert cloud_has_higher_utility(drafting(), CLOUD, WEIGHTS) is False
    assert cloud_has_higher_utility(drafting(0.89), CLOUD, WEIGHTS) is True
    assert cloud_has_higher_utility(drafting(0.9 - 1e-14), CLOUD, WEIGHTS) is False, "a tie to 12 decimals"


@pytest.mark.parametrize(
    ("local", "cloud"),
    [
        (drafting(), None),
        (drafting(tokens_per_s=None), CLOUD),
        (drafting(), ModelProfile(tokens_per_s=50, price_per_1k_tokens=0)),
        (drafting(), ModelProfile(fitness=1, price_per_1k_tokens=0)),
        (drafting(), ModelProfile(fitness=1, tokens_per_s=50)),
    ],
)
def test_a_missing_figure_leaves_it_open(local: Candidate, cloud: ModelProfile | None) -> None:
    assert cloud_has_higher_utility(local, cloud, WEIGHTS) is None


def test_a_speed_of_zero_is_a_figure() -> None:
    assert cloud_has_higher_utility(drafting(tokens_per_s=0), CLOUD, WEIGHTS) is True


@given(order=st.permutations("abcde"))
def test_the_order_of_the_registry_is_nothing(order: list[str]) -> None:
    fitness = dict(zip("abcde", (GOOD, BETTER, GOOD, POOR, BETTER), strict=True))
    assert ranked(*(specialist(name, fitness[name]) for name in order)) == ["b", "e", "a", "c", "d"]
