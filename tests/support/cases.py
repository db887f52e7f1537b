"""Cases for the routing procedure: every combination of its situations, and random ones from a seed.

A case is what a router is given; what it must answer is the oracle's to say. The cases of one world follow each other,
so a test can parse each world once. This module does NOT decide anything and holds no situation of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from random import Random
from typing import Any, Final

from tests.support.oracle import DEFAULTS, Document
from tests.support.random_documents import (
    random_ceiling,
    random_circumstances,
    random_policy,
    random_registry,
    random_task,
)
from tests.support.situations import (
    CALLER_SITUATIONS,
    CALLERS,
    CLASS_SITUATIONS,
    GATES,
    LANES,
    LINKS,
    MARGIN_SITUATIONS,
    STEP,
    WORKFLOW,
)

TASKS_PER_WORLD: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One site: what stays the same over many tasks. Its documents are plain JSON and are never changed."""

    name: str
    """Says where it comes from; no two worlds of one generator share it."""
    registry: Document = field(hash=False)
    """The specialists' document."""
    policy: Document = field(hash=False)
    """The parsed policy."""
    ceiling: Document | None = field(hash=False)
    """The site's bounds on any policy; None where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One task in one world."""

    world: World
    """The site it is asked at."""
    task: Document = field(hash=False)
    """The task, as a caller writes it."""
    link: str
    """The projected link."""
    caller: tuple[str, ...] = ()
    """The caller's principals."""
    detected: tuple[str, ...] = ()
    """Classes found in the content."""
    residual_risk: float | None = None
    """In [0, 1]; None where it was not measured."""
    unavailable: frozenset[str] = frozenset()
    """Ids of specialists that just failed."""

    def arguments(self) -> dict[str, Any]:
        """The oracle's arguments, by keyword."""
        return {
            "task": self.task,
            "registry": self.world.registry,
            "policy": self.world.policy,
            "ceiling": self.world.ceiling,
            "link": self.link,
            "caller": self.caller,
            "detected": self.detected,
            "residual_risk": self.residual_risk,
            "unavailable": self.unavailable,
        }


def exhaustive_cases() -> Iterator[Case]:
    """The full cross product of gates, margins, lanes, classes, permissions, callers, links and risks."""
    for gates, margins, (profile, kinds), classes in product(GATES, MARGIN_SITUATIONS, LANES, CLASS_SITUATIONS):
        situations = (gates, margins, profile, classes)
        policy: Document = {"version": 1, "callers": CALLERS}
        ceiling: Document = {}
        asked: Document = {"task_id": "t", "text": "x", "workflow": WORKFLOW}
        for situation in situations:
            policy |= situation.policy
            ceiling |= situation.ceiling
            asked |= situation.task
        world = World(
            name="/".join(situation.name for situation in situations),
            registry={"specialists": margins.specialists},
            policy=policy,
            ceiling=ceiling or None,
        )
        bound = min(DEFAULTS["maximum_residual_risk"], ceiling.get("maximum_residual_risk", 1.0))
        risks = (None, bound / 2, bound, bound + STEP)
        tasks = [asked | optional for optional in _permissions(kinds)]
        callers = [principals + classes.caller for principals in CALLER_SITUATIONS]
        for task, caller, link, risk in product(tasks, callers, LINKS, risks):
            yield Case(
                world=world,
                task=task,
                link=link,
                caller=caller,
                detected=classes.detected,
                residual_risk=risk,
                unavailable=margins.unavailable,
            )


def _permissions(kinds: tuple[str | None, ...]) -> list[Document]:
    """Each kind with each answer to `allows_escalation`; None leaves a key out."""
    pairs = [{"kind": kind, "allows_escalation": allows} for kind in kinds for allows in (None, True, False)]
    return [{key: value for key, value in pair.items() if value is not None} for pair in pairs]


def random_cases(seed: int, count: int) -> Iterator[Case]:
    """`count` random valid cases, `TASKS_PER_WORLD` to a world; the same seed gives the same cases in order."""
    for number in range(-(-count // TASKS_PER_WORLD)):
        chance = Random(f"{seed}/{number}")
        registry = random_registry(chance)
        policy = random_policy(chance, registry)
        ceiling = random_ceiling(chance, registry) if chance.random() < 0.5 else None
        world = World(name=f"random/{seed}/{number}", registry=registry, policy=policy, ceiling=ceiling)
        for _ in range(min(TASKS_PER_WORLD, count - number * TASKS_PER_WORLD)):
            yield Case(world=world, task=random_task(chance, registry), **random_circumstances(chance, registry))
