"""What a field of a log entry may hold: nothing that is a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon import messages
from homebred_daemon.log_events import FIELDS, Event, Severity, Shape
from homebred_daemon.messages import EVENTS

EVERYTHING = Event(
    name="everything", severity=Severity.INFO, message_id="0" * 32, sentence="All of it.", fields=tuple(FIELDS)
)
SENTENCES = st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), min_size=9).map(" ".join)


def test_an_entry_is_filled_in_for_people() -> None:
    entry = messages.WORKER_HUNG.entry({"pid": 7, "seconds": 61.5, "engine": "echo", "model": "sha256:00"})
    assert entry.sentence == "Worker 7 made no progress and was ended, after 61.500 s of service."
    assert entry.next_step.startswith("See `homebred status`")
    assert entry.refused == ()


def test_what_was_not_given_is_a_question_mark() -> None:
    assert messages.WORKER_GONE.entry({}).sentence == "Worker ? is gone."


@given(sentence=SENTENCES)
def test_no_field_holds_a_sentence(sentence: str) -> None:
    entry = EVERYTHING.entry(dict.fromkeys(FIELDS, sentence))
    assert entry.fields == {}
    assert set(entry.refused) == FIELDS.keys()


@given(text=st.text(min_size=1), event=st.sampled_from(EVENTS))
def test_whatever_is_given_no_entry_breaks_a_line(text: str, event: Event) -> None:
    entry = event.entry(dict.fromkeys(event.fields, text + "\n" + text))
    assert "\n" not in entry.sentence + entry.next_step + "".join(entry.fields.values())


@given(name=st.text(min_size=1))
def test_a_field_that_the_event_does_not_have_is_refused(name: str) -> None:
    entry = messages.RESUMED.entry({name: 1})
    assert (entry.fields, entry.refused) == ({}, (name,))


@pytest.mark.parametrize(
    ("shape", "fits", "does_not"),
    [
        (Shape.NUMBER, ("0", "-11", "0.050", "1234"), ("007", "1e9", "NaN", "", "1 2", "٣")),
        (Shape.WORD, ("exit", "engine_failed", "homebredd", "0.1.0"), ("two words", "", "a" * 65, "Größe")),
        (Shape.ID, ("uid:1001", "sha256:00ff", "intake-v2"), ("a b", "", "a" * 129)),
        (Shape.PLACE, ("/run/homebred/homebred.sock", "/srv/my models"), ("relative", "/a\nb", "/" + "a" * 256)),
        (Shape.PLACES, ("a.py:1:f b.py:2:<lambda>", ""), (" ".join("abcdefghi"), "a\tb")),
    ],
)
def test_a_shape_takes_what_it_is_for(shape: Shape, fits: tuple[str, ...], does_not: tuple[str, ...]) -> None:
    (name,) = [name for name, field in FIELDS.items() if field.shape is shape][:1]
    assert [text for text in fits if EVERYTHING.entry({name: text}).refused] == []
    assert [text for text in does_not if not EVERYTHING.entry({name: text}).refused] == []
