"""What every ledger promises: SQLite's, and the one in memory that the unit tests trust."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.fake_ledger import FakeLedger
from tests.support.ledger_entries import DECIDER, ENTRY, FEEDBACK, OUTCOME, POLICY_BODY, entries, keep_documents

from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.core.records import decision_record, read_inputs
from homebred_daemon.errors import StateError
from homebred_daemon.ports.ledger import Ledger, LedgerCheck, RecordedRoute
from homebred_daemon.services.replaying import replay
from homebred_protocol.digests import digest_of


@pytest.fixture(params=["sqlite", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "memory":
        yield FakeLedger()
        return
    opened = SqliteLedger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


def route_ids(ledger: Ledger) -> list[str]:
    return [recorded.route_id for recorded in ledger.decisions()]


def test_a_new_ledger_is_empty(ledger: Ledger) -> None:
    assert (route_ids(ledger), ledger.check(), ledger.status_counts()) == ([], LedgerCheck(), {})
    assert ledger.document("policy", DECIDER.policy.digest) is None


def test_decisions_come_back_in_the_order_made_whatever_their_ids(ledger: Ledger) -> None:
    ledger.record_decisions(entries("z", "a"))
    ledger.record_decisions(entries("m"))
    assert route_ids(ledger) == ["z", "a", "m"]
    assert all(recorded.intact for recorded in ledger.decisions())


def test_a_decision_comes_back_with_exactly_what_it_depended_on(ledger: Ledger) -> None:
    ledger.record_decisions([ENTRY])
    (recorded,) = ledger.decisions()
    assert recorded.decision == decision_record(ENTRY.decision)
    assert read_inputs(recorded.inputs, registry=DECIDER.registry, policy=DECIDER.policy) == ENTRY.inputs


def test_decisions_are_stored_all_or_none(ledger: Ledger) -> None:
    ledger.record_decisions(entries("a"))
    with pytest.raises(StateError):
        ledger.record_decisions(entries("b", "a"))
    assert route_ids(ledger) == ["a"]
    ledger.record_decisions(entries("b"))
    assert route_ids(ledger) == ["a", "b"]


def test_no_decisions_at_all_are_stored_too(ledger: Ledger) -> None:
    ledger.record_decisions([])
    assert route_ids(ledger) == []


def test_a_route_has_one_outcome(ledger: Ledger) -> None:
    ledger.record_decisions([ENTRY])
    ledger.record_outcome(OUTCOME)
    with pytest.raises(StateError):
        ledger.record_outcome(replace(OUTCOME, status="error"))
    assert ledger.status_counts() == {"answer": 1}
    assert ledger.check() == LedgerCheck()


def test_a_route_tells_whose_it_was_and_how_it_ended(ledger: Ledger) -> None:
    ledger.record_decisions([ENTRY, *entries("r2")])
    ledger.record_outcome(OUTCOME)
    assert ledger.route("r1") == RecordedRoute(caller=("uid:7",), status="answer")
    assert ledger.route("r2") == RecordedRoute(caller=("uid:7",), status="")
    assert ledger.route("r3") is None


def test_the_last_word_on_a_route_holds_and_is_no_fault(ledger: Ledger) -> None:
    ledger.record_decisions([ENTRY])
    ledger.record_outcome(OUTCOME)
    for verdict in ("good", "bad"):
        ledger.record_feedback(replace(FEEDBACK, verdict=verdict))
    assert ledger.check() == LedgerCheck()


def test_feedback_on_what_nobody_decided_is_not_kept(ledger: Ledger) -> None:
    ledger.record_feedback(FEEDBACK)
    assert ledger.check() == LedgerCheck()


def test_unfinished_routes_come_the_oldest_first_and_at_most_so_many(ledger: Ledger) -> None:
    assert ledger.unfinished(9) == []
    ledger.record_decisions([*entries("a"), ENTRY, *entries("b", "c")])
    ledger.record_outcome(OUTCOME)
    assert ledger.unfinished(2) == ["a", "b"]
    for route_id in ("a", "c"):
        ledger.record_outcome(replace(OUTCOME, route_id=route_id))
    assert ledger.unfinished(9) == ["b"]
    ledger.record_outcome(replace(OUTCOME, route_id="b"))
    ledger.record_decisions(entries("d"))
    assert ledger.unfinished(9) == ["d"]


def test_decisions_without_outcomes_are_counted_and_no_fault(ledger: Ledger) -> None:
    ledger.record_decisions([ENTRY, *entries("a", "b")])
    ledger.record_outcome(OUTCOME)
    assert ledger.check() == LedgerCheck(unfinished=2)
    assert ledger.check().is_sound


def test_an_outcome_that_nobody_decided_is_found(ledger: Ledger) -> None:
    ledger.record_outcome(OUTCOME)
    assert ledger.check() == LedgerCheck(stray_outcomes=1)
    assert not ledger.check().is_sound


def test_outcomes_are_counted_by_status(ledger: Ledger) -> None:
    for number, status in enumerate(["answer", "error", "answer", "review", "degraded"]):
        ledger.record_outcome(replace(OUTCOME, route_id=str(number), status=status))
    assert ledger.status_counts() == {"answer": 2, "degraded": 1, "error": 1, "review": 1}


def test_a_document_is_kept_once_and_comes_back_byte_for_byte(ledger: Ledger) -> None:
    digest = digest_of(POLICY_BODY)
    ledger.keep_document("policy", digest, POLICY_BODY)
    ledger.keep_document("policy", digest, POLICY_BODY)
    assert ledger.document("policy", digest) == POLICY_BODY
    assert ledger.document("ceiling", digest) is None


def test_the_same_bytes_may_be_a_policy_and_a_ceiling(ledger: Ledger) -> None:
    digest = digest_of(POLICY_BODY)
    ledger.keep_document("policy", digest, POLICY_BODY)
    ledger.keep_document("ceiling", digest, POLICY_BODY)
    assert ledger.document("ceiling", digest) == ledger.document("policy", digest) == POLICY_BODY


def test_a_document_that_does_not_fit_its_digest_is_as_good_as_absent(ledger: Ledger) -> None:
    ledger.keep_document("policy", digest_of(b"other"), POLICY_BODY)
    assert ledger.document("policy", digest_of(b"other")) is None
    assert ledger.check() == LedgerCheck(altered_documents=1)


def test_what_was_recorded_replays_without_a_mismatch(ledger: Ledger) -> None:
    keep_documents(ledger)
    ledger.record_decisions(entries("a", "b", "c"))
    report = replay(ledger)
    assert (report.decisions, report.mismatches, report.is_sound) == (3, (), True)
