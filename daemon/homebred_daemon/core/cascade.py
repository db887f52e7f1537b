"""Who of a cascade is asked, how often and for how long, with what is left of a tool loop's budget (row 3).

It asks nobody, counts nothing and decides no route: the stack is the decision's. The last of a stack, its best, is
always asked: a spent budget costs the smaller ones their turns, never the task its answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from homebred_daemon.core.asking_again import MAX_ASKS
from homebred_daemon.core.decision import RouteDecision, Runtime
from homebred_daemon.core.routing import DecisionInputs, awaits_residual_risk, decide

CALLS_A_STEP: Final = 2
"""Engine calls that a step may take, one step with another: the smallest specialist's, and one more."""
DEFAULT_STEPS: Final = 32
"""Of a tool loop whose caller does not say how many it expects."""
BEST_SHARE: Final = 0.5
"""Of the time that is left, kept for a best specialist of which nobody knows how long it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What is left."""

    calls: int
    """Of engines, in the whole loop; spent where below 1."""
    seconds: float
    """Of the task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A specialist that is asked."""

    specialist_id: str
    calls: int
    """It is asked at most so often, where its answer does not fit."""
    seconds: float
    """And for so long, all its calls together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A cascade within its budget."""

    turns: tuple[Turn, ...]
    """In order, the best last; each is planned as if those before it take one call each, and as long as is expected."""
    is_cut: bool
    """Whether the budget leaves out some of the stack."""


def calls_allowed(expected_calls: int | None) -> int:
    """Engine calls of a whole tool loop, given the steps that its caller expects."""
    return CALLS_A_STEP * (DEFAULT_STEPS if expected_calls is None else expected_calls)


def plan(stack: tuple[str, ...], left: Budget, expected_s: Mapping[str, float]) -> Plan:
    """Who is asked, smallest first.

    Args:
        stack: specialists, the best last.
        left: of the budget.
        expected_s: how long a specialist is likely to take, where that is known.
    """
    best = stack[-1]
    reserved_s = min(left.seconds, expected_s.get(best, left.seconds * BEST_SHARE))
    calls, seconds = left.calls - 1, left.seconds - reserved_s  # a call and its time are kept for the best
    turns = []
    for specialist_id in stack[:-1]:
        takes_s = expected_s.get(specialist_id, 0.0)
        if calls < 1 or seconds <= 0 or takes_s > seconds:
            continue
        turns.append(Turn(specialist_id=specialist_id, calls=min(calls, MAX_ASKS), seconds=seconds))
        calls, seconds = calls - 1, seconds - takes_s
    rest_s = min(left.seconds, reserved_s + max(0.0, seconds))  # the sum may be rounded up
    last = Turn(specialist_id=best, calls=MAX_ASKS, seconds=rest_s)
    return Plan(turns=(*turns, last), is_cut=len(turns) + 1 < len(stack))


def behind(stack: tuple[str, ...], rejected: str, size_ranks: Mapping[str, int]) -> tuple[str, ...]:
    """Those of a stack that are larger than the one whose answer its caller rejects; the best, where none is.

    One that nobody here knows, such as a cloud model, is larger than all.
    """
    if rejected not in size_ranks:
        return stack[-1:]
    than = (size_ranks[rejected], rejected)
    return tuple(one for one in stack if (size_ranks[one], one) > than) or stack[-1:]


def leaves_for_a_failure(inputs: DecisionInputs, decision: RouteDecision) -> bool:
    """Whether a tool loop would leave for no other reason than that specialists cannot be asked.

    A failure is none: a cascade has no cloud step (CONTRACT "tool_loop").
    """
    if inputs.task.kind != "tool_loop" or not inputs.unavailable:
        return False
    if decision.selected_runtime is not Runtime.CLOUD_ESCALATION and not awaits_residual_risk(inputs, decision):
        return False
    return decide(replace(inputs, unavailable=frozenset())).selected_runtime is Runtime.LOCAL
