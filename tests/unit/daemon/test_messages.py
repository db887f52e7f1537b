"""The catalogue of messages: whole, stable in form, and the source of what is generated from it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from tests.support.committed_files import ROOT, committed_files
from tests.support.generated_documents import message_documents

from homebred_daemon import fleet_messages, messages
from homebred_daemon.log_events import FIELDS, Event, Severity, fields_in
from homebred_daemon.messages import EVENTS

BAD = (Severity.CRITICAL, Severity.ERROR, Severity.WARNING)


def test_every_event_stands_in_the_list_under_its_own_name() -> None:
    both = vars(messages) | vars(fleet_messages)
    named = {name.lower(): value for name, value in both.items() if isinstance(value, Event)}
    assert named == {event.name: event for event in EVENTS}


def test_no_two_events_share_an_id() -> None:
    assert [one for one, times in Counter(event.message_id for event in EVENTS).items() if times > 1] == []


def test_an_event_has_a_128_bit_id_and_a_sentence_that_speaks_of_its_own_fields() -> None:
    for event in EVENTS:
        # sd-id128(3), as MESSAGE_ID= of the journal has it
        assert re.fullmatch("[0-9a-f]{32}", event.message_id), event.name
        assert re.fullmatch(r"[A-Z{].*\.", event.sentence), event.name
        spoken = {*fields_in(event.sentence), *fields_in(event.next_step)}
        assert spoken <= set(event.fields) <= FIELDS.keys(), event.name


def test_who_hears_of_something_bad_hears_what_to_do() -> None:
    assert [event.name for event in EVENTS if bool(event.next_step) != (event.severity in BAD)] == []


def test_every_field_belongs_to_an_event() -> None:
    assert FIELDS.keys() == {name for event in EVENTS for name in event.fields}


def test_every_event_is_noted_somewhere() -> None:
    code = "".join(path.read_text() for path in committed_files("daemon/homebred_daemon/*.py"))
    assert [event.name for event in EVENTS if f"messages.{event.name.upper()}" not in code] == []


@pytest.mark.parametrize(("path", "text"), message_documents().items(), ids=lambda part: getattr(part, "name", ""))
def test_what_is_generated_from_the_catalogue_is_up_to_date(path: Path, text: str) -> None:
    assert path.read_text() == text, f"run packaging/tools/message_docs.py and commit {path.relative_to(ROOT)}"
