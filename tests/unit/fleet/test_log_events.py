"""The controller's log holds names and numbers, never what somebody sent."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.committed_files import committed_files

from homebred_fleet import messages
from homebred_fleet.adapters.logs import BURST, StructuredJournal, defect
from homebred_fleet.errors import ConfigurationError
from homebred_fleet.log_events import Event, Severity, fields_in
from homebred_fleet.messages import EVENTS

BAD = (Severity.CRITICAL, Severity.ERROR, Severity.WARNING)


def test_an_event_speaks_of_its_own_fields_and_says_what_to_do_where_it_is_bad() -> None:
    for event in EVENTS:
        assert event.sentence.endswith("."), event.name
        assert {*fields_in(event.sentence), *fields_in(event.next_step)} <= set(event.fields), event.name
        assert bool(event.next_step) == (event.severity in BAD), event.name


def test_every_event_stands_in_the_list_and_is_noted_somewhere() -> None:
    named = {name.lower(): value for name, value in vars(messages).items() if isinstance(value, Event)}
    assert named == {event.name: event for event in EVENTS}
    code = "".join(path.read_text() for path in committed_files("fleet/homebred_fleet/*.py"))
    assert [event.name for event in EVENTS if f"messages.{event.name.upper()}" not in code] == []


@given(text=st.lists(st.text(st.characters(categories=["L"]), min_size=1), min_size=2).map(" ".join))
def test_no_field_holds_a_sentence(text: str) -> None:
    entry = messages.ENROLLED.entry({"device": text, "serial": "ff", "other": 1})
    assert (dict(entry.fields), set(entry.refused)) == ({"serial": "ff"}, {"device", "other"})
    assert entry.sentence == "? was let in, from ?."


def journal(level: str = "info") -> tuple[StructuredJournal, list[str], list[float]]:
    written: list[str] = []
    clock = [0.0]
    kept = StructuredJournal(written.append, level, lambda line: str(line["event"]), monotonic_s=lambda: clock[0])
    return kept, written, clock


def test_what_is_one_too_many_is_left_out_and_counted() -> None:
    kept, written, clock = journal()
    for _ in range(BURST + 5):
        kept.note(messages.ENROLLED)
    clock[0] = 11.0
    kept.note(messages.ENROLLED)
    assert Counter(written) == {"enrolled\n": BURST + 1, "entries_held_back\n": 1}


def test_what_is_less_severe_than_asked_for_is_not_written() -> None:
    kept, written, _ = journal("error")
    kept.note(messages.ENROLLED)
    kept.note(messages.START_REFUSED, error_code="x")
    assert written == ["start_refused\n"]
    with pytest.raises(ConfigurationError, match="no log level"):
        journal("loud")


def test_a_fault_is_told_by_its_kind_and_place_and_never_in_its_words() -> None:
    lines: list[dict[str, object]] = []

    def render(line: dict[str, object]) -> str:
        lines.append(line)
        return ""

    kept = StructuredJournal(lambda _: None, "info", render)
    defect(kept, ExceptionGroup("several", [ValueError("a patient's name"), KeyError("another")]))
    assert [line["error_type"] for line in lines] == ["ValueError", "KeyError"]
    assert "patient" not in str(lines)


def test_a_log_that_cannot_be_written_fails_nobody_and_says_so_later() -> None:
    written: list[str] = []
    full = [True, True, False, False]

    def write(line: str) -> None:
        if full.pop(0):
            raise OSError(28, "No space left on device")
        written.append(line)

    kept = StructuredJournal(write, "info", lambda line: f"{line['event']} {line.get('count', '')}")
    for _ in range(3):
        kept.note(messages.STOPPING)
    assert written == ["stopping \n", "entries_lost 2\n"]
