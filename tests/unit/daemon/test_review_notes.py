"""What the log says of the review queue."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.recorded_journal import RecordedJournal
from tests.support.review_items import review_item

from homebred_daemon.core.review import State
from homebred_daemon.ports.review import Change
from homebred_daemon.services.reviews.review_notes import note_change

WAITING = review_item()
CLAIMED = replace(WAITING, state=State.CLAIMED, claimed_by="uid:9")


@pytest.mark.parametrize(
    ("change", "noted"),
    [
        (Change(before=None, after=WAITING), "review_filed"),
        (Change(before=WAITING, after=CLAIMED), "review_claimed"),
        (Change(before=CLAIMED, after=WAITING), "review_given_back"),
        (Change(before=CLAIMED, after=replace(CLAIMED, state=State.ANSWERED)), "review_ended"),
        (Change(before=CLAIMED, after=replace(CLAIMED, state=State.DECLINED)), "review_ended"),
        (Change(before=WAITING, after=replace(WAITING, state=State.EXPIRED)), "review_expired"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_every_change_of_an_item_is_noted_by_its_route(change: Change, noted: str) -> None:
    journal = RecordedJournal()
    note_change(journal, change)
    (entry,) = journal.entries
    assert (entry.event.name, entry.fields["route_id"]) == (noted, "r1")


def test_an_item_that_was_erased_is_nobodys_concern() -> None:
    journal = RecordedJournal()
    note_change(journal, Change(before=replace(WAITING, state=State.EXPIRED), after=None))
    assert journal.entries == []
