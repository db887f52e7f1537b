from __future__ import annotations

import pytest
from tests.support.fleet_sync_stage import ReceiptBook
from tests.support.recorded_journal import RecordedJournal

from homebred_daemon.core.fleet_messages import PartReport, PartState
from homebred_daemon.core.fleet_steps import Note
from homebred_daemon.services.fleet.fleet_notes import note, note_part


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (Note("connected", (("connection", 2),)), "fleet_connected"),
        (Note("ended", (("reason", "lost"), ("detail", "x"), ("seconds", 1.5))), "fleet_lost"),
        (Note("ignored", (("kind", ""), ("cause", "topic"))), "fleet_ignored"),
        (Note("held_back", (("code", "schema"), ("seconds", 600.0))), "fleet_holds_back"),
        (Note("impossible", (("stream", "route"), ("seq", 9))), "fleet_ignored"),
        (Note("taken", (("version", 3),)), "desired_taken"),
        (Note("stop_order", (("epoch", 3), ("stopped", 1))), "fleet_stopped"),
        (Note("stop_order", (("epoch", 4), ("stopped", 0))), "fleet_resumed"),
        (Note("stop_unproven", (("epoch", 4), ("stopped", 0), ("cause", "unsigned"))), "stop_unproven"),
    ],
)
def test_each_note_is_an_entry_of_the_log_with_all_that_it_speaks_of(said: Note, name: str) -> None:
    journal, receipts = RecordedJournal(), ReceiptBook()
    note(journal, receipts, said)
    assert journal.names == [name]
    assert receipts.noted == ([("stop", "", "refused", 4)] if name == "stop_unproven" else [])


@pytest.mark.parametrize(
    ("state", "code", "name"),
    [
        (PartState.APPLIED, "", "desired_applied"),
        (PartState.REFUSED, "bad_request", "desired_refused"),
        (PartState.FETCHING, "controller_unreachable", "desired_later"),
        (PartState.STOPPED, "stopped", "desired_later"),
    ],
)
def test_what_became_of_a_part_is_an_entry_with_its_digest_and_code(state: PartState, code: str, name: str) -> None:
    journal, receipts = RecordedJournal(), ReceiptBook()
    report = PartReport(name="policy", digest="sha256:" + "a" * 64, state=state, problem_code=code)
    note_part(journal, receipts, report, version=3)
    assert journal.names == [name]
    is_final = state in (PartState.APPLIED, PartState.REFUSED)
    assert receipts.noted == ([("desired", report.digest, state.value, 3)] if is_final else [])
