from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.commands import (
    CHANGES_SERVICE,
    CLOCK_TOLERANCE_S,
    FOLLOWS,
    MAX_WAITING,
    PARAMETERS,
    WAITING_LIMIT_S,
    ClockSpan,
    Command,
    CommandResult,
    Operation,
    State,
    as_told,
    has_waited_too_long,
    is_command,
    judged,
    moved,
)

NOW_S = 1_790_000_000
YEAR_S = 365 * 86_400
SPAN = ClockSpan(begins_s=NOW_S - 86_400, ends_s=NOW_S + 86_400)


def command(op: str = "ping", *, deadline_s: int = NOW_S + 60, **parameters: str) -> Command:
    if op == "log-level" and not parameters:
        parameters = {"level": "debug"}
    return Command(id="a" * 32, op=op, deadline_s=deadline_s, parameters=parameters)


def verdict(what: Command, *, now_s: int = NOW_S, open_waiting: int = 0) -> tuple[str, str]:
    result = judged(what, now_s=now_s, span=SPAN, open_waiting=open_waiting)
    assert bool(result.problem) == bool(result.problem_code)
    return result.state.value, result.problem_code


@pytest.mark.parametrize("op", Operation)
def test_a_command_in_time_is_accepted(op: Operation) -> None:
    assert verdict(command(op)) == ("accepted", "")


@pytest.mark.parametrize("op", Operation)
def test_a_command_after_its_deadline_is_not_begun(op: Operation) -> None:
    assert verdict(command(op, deadline_s=NOW_S)) == ("accepted", "")
    assert verdict(command(op, deadline_s=NOW_S - 1)) == ("expired", "deadline_passed")


@pytest.mark.parametrize("years", [-10, 10])
@pytest.mark.parametrize("op", Operation)
def test_a_clock_that_is_wrong_by_years_begins_what_only_tells_and_refuses_what_changes_service(
    op: Operation, years: int
) -> None:
    expected = ("refused", "clock_wrong") if op in CHANGES_SERVICE else ("accepted", "")
    assert verdict(command(op), now_s=NOW_S + years * YEAR_S) == expected


def test_a_clock_is_believed_within_the_certificates_validity_and_a_little_beyond() -> None:
    for edge_s, outward in ((SPAN.begins_s, -1), (SPAN.ends_s, 1)):
        assert SPAN.holds(edge_s + outward * CLOCK_TOLERANCE_S)
        assert not SPAN.holds(edge_s + outward * (CLOCK_TOLERANCE_S + 1))


def test_an_unknown_command_is_refused_and_its_name_is_not_repeated() -> None:
    result = judged(command("rm -rf"), now_s=NOW_S, span=SPAN, open_waiting=0)
    assert (result.state, result.problem_code, result.op) == (State.REFUSED, "unknown_command", "unknown")
    assert "rm" not in result.problem


@pytest.mark.parametrize(
    "what",
    [
        command("log-level", level="verbose"),
        command("log-level", level="debug", more="x"),
        Command(id="a" * 32, op="log-level", deadline_s=NOW_S, parameters={}),
        command("ping", text="hello"),
    ],
    ids=["another word", "one more", "none", "one that it has not"],
)
def test_parameters_that_are_not_of_the_closed_list_are_refused(what: Command) -> None:
    assert verdict(what) == ("refused", "bad_parameters")


def test_no_more_bundles_are_made_than_a_technician_may_have_before_him() -> None:
    assert verdict(command("diagnostics"), open_waiting=MAX_WAITING - 1) == ("accepted", "")
    assert verdict(command("diagnostics"), open_waiting=MAX_WAITING) == ("refused", "too_many_waiting")
    assert verdict(command("ping"), open_waiting=MAX_WAITING) == ("accepted", "")


def test_every_state_has_its_row_and_every_operation_its_parameters() -> None:
    assert set(FOLLOWS) == set(State)
    assert set(PARAMETERS) == set(Operation)


@given(steps=st.lists(st.sampled_from(State), max_size=6))
def test_nothing_follows_an_end_and_nothing_comes_back(steps: list[State]) -> None:
    result = CommandResult(id="a" * 32, op="ping", state=State.ACCEPTED, at_s=NOW_S)
    seen = {State.ACCEPTED}
    for step in steps:
        if step in FOLLOWS[result.state]:
            assert step not in seen
            seen.add(step)
            result = moved(result, step, now_s=NOW_S)
            continue
        with pytest.raises(ValueError, match="does not follow"):
            moved(result, step, now_s=NOW_S)


def test_what_waits_is_wanted_for_a_week_and_not_after() -> None:
    waiting = CommandResult(id="a" * 32, op="diagnostics", state=State.WAITING, at_s=NOW_S)
    assert not has_waited_too_long(waiting, now_s=NOW_S + WAITING_LIMIT_S)
    assert has_waited_too_long(waiting, now_s=NOW_S + WAITING_LIMIT_S + 1)
    assert not has_waited_too_long(waiting, now_s=NOW_S - YEAR_S)


def test_a_bundle_is_told_only_once_a_person_has_let_it_go() -> None:
    waiting = CommandResult(id="a" * 32, op="diagnostics", state=State.WAITING, at_s=NOW_S, attachment=b"bundle")
    assert as_told(waiting).attachment == b""
    refused = moved(waiting, State.REFUSED, now_s=NOW_S)
    assert as_told(refused).attachment == b""
    assert as_told(moved(waiting, State.DONE, now_s=NOW_S)).attachment == b"bundle"


def test_a_command_without_a_proper_id_is_none() -> None:
    assert is_command(command())
    assert not is_command(Command(id="A" * 32, op="ping", deadline_s=NOW_S))
