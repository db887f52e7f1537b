"""The local lane's candidates and, for drafting, the choice between the local and the cloud lane by utility.

Which lane a policy permits is decided in routing; here lanes are only filled, ranked and weighed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from homebred_daemon.core.fitness import DECIMALS, fitness_margin, reaches_floor
from homebred_protocol.documents.policy import DraftingWeights, ModelProfile
from homebred_protocol.documents.registry import CASCADE_PREFIX, GENERALIST, Fitness, Registry, Specialist
from homebred_protocol.documents.task import Task

FULL_SPEED_TOKENS_PER_S = 50
FULL_PRICE_PER_1K_TOKENS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A specialist that may answer the task, with what was measured for its workflow."""

    specialist: Specialist
    fitness: Fitness
    margin: float
    """Lower bound of specialist − reference, rounded."""
    at_floor: bool
    """Whether its fitness provably reaches the policy's floor for the workflow."""

    @property
    def rank(self) -> tuple[float, int, str]:
        """Best first: highest margin, then smaller size rank, then id."""
        return (-self.margin, self.specialist.size_rank, self.specialist.id)


def candidates(task: Task, registry: Registry, floor: float, unavailable: frozenset[str]) -> list[Candidate]:
    """Who may answer the task, best first (CONTRACT "Candidates")."""
    found = [
        Candidate(
            specialist=specialist,
            fitness=fitness,
            margin=fitness_margin(fitness, floor),
            at_floor=reaches_floor(fitness, floor),
        )
        for specialist, fitness in registry.measured_for(task.workflow)
        if specialist.id not in unavailable and suits(specialist, task)
    ]
    if len(found) > 1:
        found.sort(key=lambda candidate: candidate.rank)
    return found


def suits(specialist: Specialist, task: Task) -> bool:
    """Whether a specialist has what the task requires, its context and, where recorded, its deadline."""
    if task.requires and not set(task.requires) <= set(specialist.capabilities):
        return False
    if task.context_tokens is not None and specialist.max_context is not None:
        return specialist.max_context >= task.context_tokens and _in_time(specialist, task)
    return _in_time(specialist, task)


def cascade(best: Candidate, at_floor: Iterable[Candidate]) -> str:
    """The local stack of a tool loop: the smaller candidates at the floor, smallest first, then the best."""
    smaller = sorted(
        (candidate.specialist.size_rank, candidate.specialist.id)
        for candidate in at_floor
        if candidate.specialist.size_rank < best.specialist.size_rank
    )
    if not smaller:
        return best.specialist.id
    return CASCADE_PREFIX + "+".join([*(name for _, name in smaller), best.specialist.id])


def degraded_choice(task: Task, registry: Registry, ranked: Sequence[Candidate], unavailable: frozenset[str]) -> str:
    """Who answers as best it can where an escalation yields none: the best candidate, else the smallest generalist.

    Empty where there is neither: then a person answers (CONTRACT "local_summary").
    """
    if ranked:
        return ranked[0].specialist.id
    generalists = [
        (specialist.size_rank, specialist.id)
        for specialist in registry.specialists
        if GENERALIST in specialist.workflows and specialist.available
        if specialist.id not in unavailable and suits(specialist, task)
    ]
    return min(generalists)[1] if generalists else ""


def cloud_has_higher_utility(local: Candidate, cloud: ModelProfile | None, weights: DraftingWeights) -> bool | None:
    """Whether the cloud lane is worth more than the local one; None where a figure is missing."""
    speed = local.specialist.tokens_per_s
    if cloud is None or speed is None or cloud.fitness is None:
        return None
    if cloud.tokens_per_s is None or cloud.price_per_1k_tokens is None:
        return None
    here = utility(weights, local.fitness.fitness, speed, 0.0)
    there = utility(weights, cloud.fitness, cloud.tokens_per_s, cloud.price_per_1k_tokens)
    return round(there, DECIMALS) > round(here, DECIMALS)


def utility(weights: DraftingWeights, fitness: float, tokens_per_s: float, price_per_1k_tokens: float) -> float:
    """Worth of a lane: quality and speed less price, each capped at 1 before weighing (CONTRACT "drafting")."""
    return (
        weights.quality * fitness
        + weights.speed * min(1.0, tokens_per_s / FULL_SPEED_TOKENS_PER_S)
        - weights.price * min(1.0, price_per_1k_tokens / FULL_PRICE_PER_1K_TOKENS)
    )


def _in_time(specialist: Specialist, task: Task) -> bool:
    return task.deadline_s is None or specialist.p95_s is None or specialist.p95_s <= task.deadline_s
