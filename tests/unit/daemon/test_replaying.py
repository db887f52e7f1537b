from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.support.fake_ledger import FakeLedger
from tests.support.ledger_entries import DECIDER, POLICY_BODY, REGISTRY_BODY, entries, entry, keep_documents

from homebred_daemon.core.decision import RouteDecision
from homebred_daemon.ports.ledger import LedgerCheck, RecordedDecision
from homebred_daemon.services.replaying import Mismatch, replay
from homebred_protocol.digests import digest_of


@dataclass
class Altered:
    """A ledger, read through someone's alterations."""

    ledger: FakeLedger
    alter: Callable[[RecordedDecision], RecordedDecision] = field(default=lambda recorded: recorded)
    found: LedgerCheck = field(default_factory=LedgerCheck)

    def document(self, kind: str, digest: str) -> bytes | None:
        return self.ledger.document(kind, digest)

    def decisions(self) -> Iterator[RecordedDecision]:
        return map(self.alter, self.ledger.decisions())

    def check(self) -> LedgerCheck:
        return self.found


@pytest.fixture
def ledger() -> FakeLedger:
    filled = FakeLedger()
    keep_documents(filled)
    filled.record_decisions(
        [
            *entries("r1"),
            entry("r2", workflow=None, data_classes=("patient",)),
            entry("r3", kind="synthesis", data_classes=("public",), allows_escalation=True, minimum_margin=1.0),
        ]
    )
    return filled


def test_what_nobody_touched_comes_out_again(ledger: FakeLedger) -> None:
    report = replay(ledger)
    assert (report.decisions, report.mismatches, report.check) == (3, (), LedgerCheck(unfinished=3))
    assert report.is_sound


def test_an_empty_ledger_holds_nothing_to_complain_of() -> None:
    assert replay(FakeLedger()).decisions == 0


@pytest.mark.parametrize("name", RouteDecision.__dataclass_fields__)
def test_each_field_of_a_decision_is_compared(ledger: FakeLedger, name: str) -> None:
    def alter(recorded: RecordedDecision) -> RecordedDecision:
        return replace(recorded, decision=recorded.decision | {name: "something else"})

    report = replay(Altered(ledger, alter))
    assert report.mismatches == tuple(Mismatch(route_id=f"r{number}", fields=(name,)) for number in (1, 2, 3))


def test_an_altered_row_is_a_mismatch_even_where_the_decision_comes_out_again(ledger: FakeLedger) -> None:
    report = replay(Altered(ledger, lambda recorded: replace(recorded, intact=recorded.route_id != "r2")))
    assert report.mismatches == (Mismatch(route_id="r2", fields=("record",)),)


@pytest.mark.parametrize("inputs", [None, [], 7, "text", {}, {"task": None}, {"registry_digest": []}])
def test_inputs_that_are_none_are_a_mismatch_and_stop_nothing(ledger: FakeLedger, inputs: Any) -> None:
    report = replay(Altered(ledger, lambda recorded: replace(recorded, inputs=inputs, intact=False)))
    assert report.decisions == 3
    assert {one.fields for one in report.mismatches} == {("record",)}


def test_a_document_that_is_gone_leaves_its_decisions_unproven() -> None:
    ledger = FakeLedger()
    ledger.record_decisions(entries("r1"))
    assert replay(ledger).mismatches == (Mismatch(route_id="r1", fields=("documents",)),)


def test_a_document_that_is_no_longer_itself_counts_as_gone() -> None:
    ledger = FakeLedger()
    ledger.keep_document("policy", DECIDER.policy.digest, POLICY_BODY + b"air_gap = true\n")
    ledger.keep_document("registry", digest_of(REGISTRY_BODY), REGISTRY_BODY)
    ledger.record_decisions(entries("r1"))
    assert replay(ledger).mismatches == (Mismatch(route_id="r1", fields=("documents",)),)


@pytest.mark.parametrize("name", [name for name in LedgerCheck.__dataclass_fields__ if name != "unfinished"])
def test_whatever_the_rows_lack_makes_a_ledger_unsound(ledger: FakeLedger, name: str) -> None:
    found = replace(LedgerCheck(), **{name: 1})
    report = replay(Altered(ledger, found=found))
    assert (report.mismatches, report.check, report.is_sound) == ((), found, False)


def test_a_decision_that_does_not_come_out_again_makes_a_ledger_unsound(ledger: FakeLedger) -> None:
    assert not replay(Altered(ledger, lambda recorded: replace(recorded, intact=False))).is_sound
