from __future__ import annotations

from typing import Any

import pytest
from tests.support.answering_stage import PUBLIC, Actor, Stage, accepted_task, means_of

from homebred_daemon.core.asking_again import MAX_ASKS
from homebred_daemon.core.cascade import CALLS_A_STEP
from homebred_daemon.core.verification import Finding
from homebred_daemon.errors import NotFoundError
from homebred_daemon.services.cascading import Cascading

LOOP = PUBLIC | {"kind": "tool_loop"}
STACK = ("s", "l")


class House:
    """A device with a small and a large specialist, and its sessions."""

    def __init__(self, small: Actor | None = None, large: Actor | None = None) -> None:
        self.stage = Stage({"s": small or Actor(), "l": large or Actor(size_rank=1)})
        self.means = means_of(self.stage)
        self.noted: list[Finding] = []

    def cascading(self, task: dict[str, Any] = LOOP, **accepted: Any) -> Cascading:
        return Cascading(self.stage.standing(), accepted_task(task, **accepted), self.means, self.noted.append)


def test_the_smallest_has_the_first_turn_and_all_its_asks() -> None:
    house = House()
    turn = house.cascading().next_turn(STACK)
    assert (turn.specialist_id, turn.calls, house.noted) == ("s", MAX_ASKS, [])


def test_the_steps_of_a_session_share_its_calls_and_the_best_is_asked_once_they_are_spent() -> None:
    house = House()
    for _ in range(2 * CALLS_A_STEP - 1):
        step = house.cascading(LOOP | {"expected_calls": 2}, session_id="loop")
        assert step.next_turn(STACK).specialist_id == "s"
        step.called("s", 0.1)
    assert house.cascading(LOOP | {"expected_calls": 2}, session_id="loop").next_turn(STACK).specialist_id == "l"
    assert house.noted == [Finding.CASCADE_BUDGET_SPENT]
    assert house.cascading(LOOP | {"expected_calls": 2}, session_id="other").next_turn(STACK).specialist_id == "s"
    assert house.cascading(LOOP | {"expected_calls": 9}, session_id="loop").next_turn(STACK).specialist_id == "s"


def test_a_task_alone_has_a_budget_of_its_own() -> None:
    house = House()
    alone = house.cascading(LOOP | {"expected_calls": 1})
    alone.called("s", 0.1)
    assert alone.next_turn(STACK).specialist_id == "l"
    assert house.cascading(LOOP | {"expected_calls": 1}).next_turn(STACK).specialist_id == "s"


def test_what_is_no_tool_loop_takes_nothing_of_a_sessions_calls() -> None:
    house = House()
    house.cascading(PUBLIC, session_id="loop").called("s", 0.1)
    assert house.means.sessions.steps((), "loop").calls == 0


def test_time_is_judged_by_what_is_recorded_of_a_specialist_else_by_what_it_took() -> None:
    house = House(small=Actor(p95_s=2.0), large=Actor(size_rank=1, p95_s=5.0))
    assert house.cascading(deadline_s=7.5).next_turn(STACK).specialist_id == "s"
    assert house.cascading(deadline_s=6.5).next_turn(STACK).specialist_id == "l"
    timed = House()
    step = timed.cascading(deadline_s=10, session_id="loop")
    step.called("l", 9.0)
    assert step.next_turn(STACK).seconds == 1.0
    step.called("s", 1.5)
    assert step.next_turn(STACK).specialist_id == "l"
    assert step.next_turn(STACK).specialist_id == "s"  # one slow call, such as one that loaded its model, is no bar


def test_the_time_that_is_left_is_that_since_acceptance() -> None:
    house = House(large=Actor(size_rank=1, p95_s=5.0))
    step = house.cascading(deadline_s=20)
    house.stage.clock.pass_s(9)
    assert step.next_turn(STACK).seconds == 6
    house.stage.clock.pass_s(9)
    assert step.next_turn(STACK).specialist_id == "l"
    assert house.noted == [Finding.CASCADE_BUDGET_SPENT]


def test_a_step_whose_caller_rejects_an_answer_begins_behind_whoever_gave_it() -> None:
    house = House()
    first = house.cascading(session_id="loop")
    assert first.begun(STACK) == STACK
    first.answered("r1", "s")
    again = house.cascading(LOOP | {"rejects": "r1"}, session_id="loop")
    assert again.begun(STACK) == ("l",)
    again.answered("r2", "l")
    assert house.cascading(LOOP | {"rejects": "r2"}, session_id="loop").begun(STACK) == ("l",)
    assert house.cascading(session_id="loop").begun(STACK) == STACK


def test_only_an_answer_of_the_same_callers_same_session_can_be_rejected() -> None:
    house = House()
    house.cascading(session_id="loop", caller=("uid:1",)).answered("r1", "s")
    house.cascading(LOOP | {"rejects": "r1"}, session_id="loop", caller=("uid:1",))
    for caller, session in (("uid:2", "loop"), ("uid:1", "other")):
        with pytest.raises(NotFoundError, match="r1"):
            house.cascading(LOOP | {"rejects": "r1"}, session_id=session, caller=(caller,))
