from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.diagnostics import (
    MOST_EVENTS,
    OF_TASKS,
    TELLABLE_FIELDS,
    EventMemory,
    TaskCounts,
    counts,
    finding,
    rounded,
    setting,
    specialists,
)
from homebred_daemon.log_events import FIELDS, Shape
from homebred_daemon.messages import EVENTS, REVIEW_FILED, WORKER_ENDED

CANARY = "Mrs. Canary, born 1950-01-01"


@given(count=st.integers(0, 1 << 60))
def test_a_count_is_told_as_the_power_of_two_at_or_under_it(count: int) -> None:
    told = rounded(count)
    assert told & (told - 1) == 0
    assert told <= count < max(1, 2 * told)


def test_an_event_is_told_with_the_fields_that_may_leave() -> None:
    memory = EventMemory()
    memory.note(WORKER_ENDED.entry({"engine": "echo", "pid": 7, "exit": -11, "seconds": 3.0, "model": "sha256:1"}), 99)
    assert memory.told() == {
        "counts": {"worker_ended": 1},
        "newest": [{"event": "worker_ended", "at_s": 99, "exit": "-11"}],
    }


def test_an_event_of_a_task_is_only_counted() -> None:
    memory = EventMemory()
    for number in range(5):
        memory.note(REVIEW_FILED.entry({"route_id": f"r{number}", "reason_code": "below_floor"}), 99)
    assert memory.told() == {"counts": {"review_filed": 4}, "newest": []}


def test_no_event_that_may_name_a_task_or_a_person_keeps_its_time() -> None:
    memory = EventMemory()
    for event in EVENTS:
        memory.note(event.entry({}), 1)
    told = {one["event"] for one in memory.told()["newest"]}
    assert told == {event.name for event in EVENTS if not OF_TASKS & {*event.fields}}
    assert not told & {"review_filed", "review_claimed", "caller_unread", "gate_stopped", "bundle_decided"}


def test_the_fields_that_leave_are_words_numbers_and_places_in_our_code() -> None:
    assert FIELDS.keys() >= TELLABLE_FIELDS
    assert {FIELDS[name].shape for name in TELLABLE_FIELDS} <= {Shape.WORD, Shape.NUMBER, Shape.PLACES}


def test_only_the_newest_events_are_kept() -> None:
    memory = EventMemory()
    for at_s in range(MOST_EVENTS + 10):
        memory.note(WORKER_ENDED.entry({}), at_s)
    newest = memory.told()["newest"]
    assert (len(newest), newest[0]["at_s"]) == (MOST_EVENTS, 10)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (True, True),
        (7, 7),
        (0.5, 0.5),
        ("", "unset"),
        (None, "unset"),
        (CANARY, "set"),
        ({"desk": CANARY}, 1),
        ((CANARY,), 1),
        (object(), "set"),
    ],
)
def test_a_setting_that_is_text_is_only_set_or_not(value: object, told: object) -> None:
    assert setting(value) == told


def test_a_check_that_may_quote_a_sites_files_is_told_without_its_words() -> None:
    assert finding({"check": "gazetteer", "status": "error", "what": f"line 7: {CANARY}"}) == {
        "check": "gazetteer",
        "status": "error",
    }
    assert finding({"check": "clock", "status": "ok", "what": "the clock says 12:00"})["what"] == "the clock says 12:00"


def test_tasks_are_counted_roughly() -> None:
    told = counts(TaskCounts(outcomes={"answer": 1000, "error": 0}, streams=3, reviews={"waiting": 5}))
    assert told == {"outcomes": {"answer": 512, "error": 0}, "being_answered": 2, "reviews": {"waiting": 4}}


def test_a_specialist_is_told_without_its_note() -> None:
    told = specialists([{"id": "intake", "engine": "echo", "note": CANARY, "loaded": True}])
    assert told == [{"id": "intake", "engine": "echo", "loaded": True}]
    assert CANARY not in json.dumps(told)
