from __future__ import annotations

import pytest
from tests.support.manual_clock import ManualClock

from homebred_daemon.core.pseudonyms import KEY_BYTES
from homebred_daemon.errors import NotFoundError
from homebred_daemon.services.sessions import IDLE_S, MAX_ANSWERS, MAX_SESSIONS, MAX_TIMED, Sessions, Steps

ADA, BEA = ("uid:1",), ("uid:2",)


def test_a_task_without_a_session_has_a_key_of_its_own() -> None:
    keys = Sessions(ManualClock())
    first, second = keys.key(ADA, ""), keys.key(ADA, "")
    assert (len(first), first == second) == (KEY_BYTES, False)


def test_a_session_keeps_its_key_and_shares_it_with_nobody() -> None:
    keys = Sessions(ManualClock())
    key = keys.key(ADA, "visit")
    assert keys.key(ADA, "visit") == key
    assert len({key, keys.key(ADA, "other"), keys.key(BEA, "visit")}) == 3


def test_a_session_is_forgotten_an_hour_after_its_last_task() -> None:
    clock = ManualClock()
    keys = Sessions(clock)
    key = keys.key(ADA, "visit")
    clock.pass_s(IDLE_S)
    assert keys.key(ADA, "visit") == key
    clock.pass_s(IDLE_S + 1)
    assert keys.key(ADA, "visit") != key


def test_there_are_only_so_many_and_the_one_used_longest_ago_gives_way() -> None:
    keys = Sessions(ManualClock())
    first, second = keys.key(ADA, "0"), keys.key(ADA, "1")
    for number in range(2, MAX_SESSIONS):
        keys.key(ADA, str(number))
    assert keys.key(ADA, "0") == first
    keys.key(ADA, "one more")
    assert (keys.key(ADA, "0") == first, keys.key(ADA, "1") == second) == (True, False)


def test_a_session_gathers_classes_and_keeps_them_from_every_other() -> None:
    sessions = Sessions(ManualClock())
    sessions.met(ADA, "visit", frozenset({"patient"}))
    sessions.met(ADA, "visit", frozenset({"code"}))
    sessions.met(ADA, "", frozenset({"voice"}))
    assert sessions.classes(ADA, "visit") == {"patient", "code"}
    assert sessions.classes(BEA, "visit") == sessions.classes(ADA, "") == frozenset()


def test_nobody_can_have_another_callers_sessions_forgotten() -> None:
    sessions = Sessions(ManualClock())
    sessions.met(ADA, "visit", frozenset({"patient"}))
    for number in range(2 * MAX_SESSIONS):
        sessions.met(BEA, str(number), frozenset({"code"}))
    assert sessions.classes(ADA, "visit") == {"patient"}
    assert sessions.classes(BEA, "0") == frozenset()


def test_a_sessions_steps_are_counted_and_a_task_alone_has_its_own() -> None:
    sessions = Sessions(ManualClock())
    sessions.steps(ADA, "loop").called("a", 0.5)
    sessions.steps(ADA, "loop").called("a", 0.25)
    assert (sessions.steps(ADA, "loop").calls, sessions.steps(ADA, "loop").took_s) == (2, {"a": 0.25})
    sessions.steps(ADA, "").called("a", 0.5)
    assert sessions.steps(ADA, "").calls == sessions.steps(BEA, "loop").calls == 0


def test_only_the_last_answers_and_timings_of_a_session_are_kept() -> None:
    steps = Steps()
    for number in range(MAX_ANSWERS + 1):
        steps.answered(f"r{number}", f"s{number}")
    assert steps.answered_by(f"r{MAX_ANSWERS}") == f"s{MAX_ANSWERS}"
    assert steps.answered_by("r1") == "s1"
    with pytest.raises(NotFoundError, match="the route r0 can be rejected") as caught:
        steps.answered_by("r0")
    assert f"last {MAX_ANSWERS} answers" in caught.value.hint
    for number in range(2 * MAX_TIMED):
        steps.called(f"s{number}", 1.0)
    assert len(steps.took_s) == MAX_TIMED
