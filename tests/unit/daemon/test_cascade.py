from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from homebred_daemon.core.asking_again import MAX_ASKS
from homebred_daemon.core.cascade import (
    BEST_SHARE,
    CALLS_A_STEP,
    DEFAULT_STEPS,
    Budget,
    behind,
    calls_allowed,
    leaves_for_a_failure,
    plan,
)
from homebred_daemon.core.link import Link
from homebred_daemon.core.routing import DecisionInputs, decide
from homebred_protocol.documents.policy import read_policy
from homebred_protocol.documents.registry import read_registry
from homebred_protocol.documents.task import Task

STACK = ("s", "m", "l")
PLENTY = Budget(calls=99, seconds=60)
KNOWN = {"s": 1.0, "m": 2.0, "l": 5.0}


def test_with_plenty_left_everybody_has_a_turn_and_the_best_keeps_what_it_needs() -> None:
    planned = plan(STACK, PLENTY, KNOWN)
    assert [(turn.specialist_id, turn.calls, turn.seconds) for turn in planned.turns] == [
        ("s", MAX_ASKS, 55),
        ("m", MAX_ASKS, 54),
        ("l", MAX_ASKS, 57),
    ]
    assert not planned.is_cut


@pytest.mark.parametrize(
    ("left", "asked"),
    [
        (Budget(calls=3, seconds=60), ["s", "m", "l"]),
        (Budget(calls=2, seconds=60), ["s", "l"]),
        (Budget(calls=1, seconds=60), ["l"]),
        (Budget(calls=-5, seconds=60), ["l"]),
        (Budget(calls=99, seconds=7.5), ["s", "l"]),  # beside l's 5 s and s's 1 s there is no room for m's 2 s
        (Budget(calls=99, seconds=5.5), ["l"]),
        (Budget(calls=99, seconds=5), ["l"]),
        (Budget(calls=99, seconds=0), ["l"]),
    ],
)
def test_what_is_left_says_who_is_asked(left: Budget, asked: list[str]) -> None:
    planned = plan(STACK, left, KNOWN)
    assert [turn.specialist_id for turn in planned.turns] == asked
    assert planned.is_cut == (len(asked) < len(STACK))


def test_a_smaller_specialist_leaves_a_call_for_the_best() -> None:
    assert [turn.calls for turn in plan(STACK, Budget(calls=3, seconds=60), KNOWN).turns] == [2, 1, MAX_ASKS]


def test_one_that_takes_too_long_is_passed_by_and_a_faster_one_is_not() -> None:
    planned = plan(STACK, PLENTY, {"s": 58.0, "l": 5.0})
    assert [turn.specialist_id for turn in planned.turns] == ["m", "l"]


def test_half_of_the_time_is_kept_for_a_best_that_nobody_has_timed() -> None:
    first, *_ = plan(STACK, PLENTY, {}).turns
    assert (first.specialist_id, first.seconds) == ("s", 60 * (1 - BEST_SHARE))


def test_a_specialist_alone_has_all_that_is_left_and_nothing_is_cut() -> None:
    planned = plan(("l",), Budget(calls=0, seconds=3), {"l": 9.0})
    assert [(turn.specialist_id, turn.seconds) for turn in planned.turns] == [("l", 3)]
    assert not planned.is_cut


@example(stack=("a",), left=Budget(calls=1, seconds=2.9), expected_s={"a": 0.7})  # 0.7 + (2.9 - 0.7) > 2.9
@given(
    stack=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True).map(tuple),
    left=st.builds(Budget, calls=st.integers(-3, 9), seconds=st.floats(0, 100)),
    expected_s=st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 50)),
)
def test_whatever_is_left_the_best_is_asked_last_and_none_has_more_than_there_is(
    stack: tuple[str, ...], left: Budget, expected_s: dict[str, float]
) -> None:
    planned = plan(stack, left, expected_s)
    names = [turn.specialist_id for turn in planned.turns]
    assert names[-1] == stack[-1]
    assert names == [name for name in stack if name in names]
    assert all(0 <= turn.seconds <= left.seconds for turn in planned.turns)
    assert all(1 <= turn.calls < max(2, left.calls) for turn in planned.turns[:-1])
    assert len(planned.turns) - 1 <= max(0, left.calls - 1)


def test_a_loop_may_take_two_calls_a_step_and_has_a_bound_where_nobody_says_how_many() -> None:
    assert (calls_allowed(10), calls_allowed(0)) == (10 * CALLS_A_STEP, 0)
    assert calls_allowed(None) == DEFAULT_STEPS * CALLS_A_STEP


RANKS = {"s": 1, "m": 2, "l": 3, "xl": 4, "also_m": 2}


@pytest.mark.parametrize(
    ("stack", "rejected", "rest"),
    [
        (STACK, "s", ("m", "l")),
        (STACK, "m", ("l",)),
        (STACK, "l", ("l",)),  # nobody is behind it
        (("s", "l"), "m", ("l",)),  # it cannot be asked now, and is smaller than l all the same
        (("s", "m"), "xl", ("m",)),
        (("s", "also_m", "m"), "also_m", ("m",)),
        (STACK, "cloud/default", ("l",)),
        (("l",), "s", ("l",)),
    ],
)
def test_behind_whom_its_caller_rejects_are_the_larger_or_the_best(
    stack: tuple[str, ...], rejected: str, rest: tuple[str, ...]
) -> None:
    assert behind(stack, rejected, RANKS) == rest


# Whatever fails


def loop(*unavailable: str, link: Link = Link.UP, fitness: float = 0.9, **task: Any) -> DecisionInputs:
    entries = [("s", 0.62, 0), ("l", fitness, 1)]
    registry = {
        "specialists": [
            {
                "id": name,
                "engine": "echo",
                "size_rank": rank,
                "workflows": {"w": {"fitness": score, "samples": 200, "reference_fitness": 0.8}},
            }
            for name, score, rank in entries
        ]
    }
    said: dict[str, Any] = {"kind": "tool_loop", "data_classes": ("public",), "allows_escalation": True} | task
    return DecisionInputs(
        task=Task(task_id="t", workflow="w", **said),
        registry=read_registry(registry, "sha256:r"),
        policy=read_policy({}, "sha256:p"),
        link=link,
        now=datetime(2026, 11, 23, tzinfo=UTC),
        unavailable=frozenset(unavailable),
    )


@pytest.mark.parametrize(
    ("inputs", "leaves"),
    [
        (loop("l"), True),
        (loop("s", "l"), True),
        (loop(), False),  # it is answered here
        (loop("s"), False),
        (loop("l", kind="repeat"), False),
        (loop("l", fitness=0.62), False),  # it would leave with everybody there
        (loop("l", link=Link.DOWN), False),  # it cannot leave
        (loop("l", allows_escalation=False), False),
        (loop("l", data_classes=("patient",)), False),
    ],
)
def test_a_tool_loop_that_only_a_failure_sends_away_is_told_from_all_others(
    inputs: DecisionInputs, *, leaves: bool
) -> None:
    assert leaves_for_a_failure(inputs, decide(inputs)) is leaves
    measured = replace(inputs, residual_risk=0.0, context_method="redaction")
    assert leaves_for_a_failure(measured, decide(measured)) is leaves
