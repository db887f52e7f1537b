from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.support.fake_ledger import FakeLedger
from tests.support.ledger_entries import FEEDBACK, OUTCOME, entry
from tests.support.metrics_reader import counted
from typing_extensions import override

from homebred_daemon.errors import StateError
from homebred_daemon.ports.ledger import LedgerEntry
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.tallying import Tally

ENTRIES = "homebred_ledger_entries_total"


class GatedLedger(FakeLedger):
    """Commits only while its gate stands open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Event()

    @override
    def record_decisions(self, entries: Sequence[LedgerEntry]) -> None:
        self.entered.set()
        assert self.gate.wait(timeout=10)
        super().record_decisions(entries)


async def entered(ledger: GatedLedger) -> None:
    """Returns when the writer's thread stands before the gate."""
    await asyncio.to_thread(ledger.entered.wait, 10)


async def test_a_decision_is_committed_when_the_wait_for_it_ends() -> None:
    ledger = FakeLedger()
    recorder = Recorder(ledger)
    async with recorder.running():
        await recorder.decision(entry("r1"))
        assert [one.route_id for one in ledger.entries] == ["r1"]


async def test_decisions_that_wait_at_the_same_time_share_a_commit() -> None:
    ledger = GatedLedger()
    recorder = Recorder(ledger)
    async with recorder.running(), asyncio.TaskGroup() as group:
        group.create_task(recorder.decision(entry("r0")))
        await entered(ledger)
        for number in range(1, 6):
            group.create_task(recorder.decision(entry(f"r{number}")))
        await asyncio.sleep(0)
        ledger.gate.set()
    assert ledger.commits == [1, 5]
    assert [one.route_id for one in ledger.entries] == [f"r{number}" for number in range(6)]


async def test_a_commit_that_fails_is_told_to_all_who_waited_for_it_and_to_nobody_else() -> None:
    ledger = FakeLedger()
    recorder = Recorder(ledger)
    async with recorder.running():
        ledger.is_full = True
        results = await asyncio.gather(
            recorder.decision(entry("r1")), recorder.decision(entry("r2")), return_exceptions=True
        )
        assert [type(result) for result in results] == [StateError, StateError]
        ledger.is_full = False
        await recorder.decision(entry("r3"))
    assert [one.route_id for one in ledger.entries] == ["r3"]


async def test_an_outcome_that_cannot_be_stored_spoils_no_other() -> None:
    ledger = FakeLedger()
    recorder = Recorder(ledger)
    async with recorder.running():
        await recorder.outcome(OUTCOME)
        twice, other = await asyncio.gather(
            recorder.outcome(OUTCOME), recorder.outcome(replace(OUTCOME, route_id="r2")), return_exceptions=True
        )
        assert (type(twice), other) == (StateError, None)
    assert [one.route_id for one in ledger.outcomes] == ["r1", "r2"]


async def test_what_a_cancelled_caller_was_waiting_for_is_written_all_the_same() -> None:
    ledger = GatedLedger()
    recorder = Recorder(ledger)
    async with recorder.running(), asyncio.TaskGroup() as group:
        waiting = [group.create_task(recorder.decision(entry("r1"))), group.create_task(recorder.outcome(OUTCOME))]
        await entered(ledger)
        for task in waiting:
            task.cancel()
        await asyncio.sleep(0)
        ledger.gate.set()
    assert (len(ledger.entries), len(ledger.outcomes)) == (1, 1)


async def test_on_leaving_what_is_on_its_way_and_what_waits_is_written_and_told() -> None:
    ledger = GatedLedger()
    recorder = Recorder(ledger)
    async with asyncio.TaskGroup() as group:
        async with recorder.running():
            first = group.create_task(recorder.decision(entry("r1")))
            await entered(ledger)
            second = group.create_task(recorder.decision(entry("r2")))
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(ledger.gate.set)
        await first
        await second
    assert ledger.commits == [1, 1]


async def test_a_failure_inside_the_context_comes_out_as_it_is() -> None:
    with pytest.raises(StateError, match="no models"):
        async with Recorder(FakeLedger()).running():
            raise StateError("no models")


async def test_documents_and_counts_go_through_the_same_writer() -> None:
    ledger = FakeLedger()
    recorder = Recorder(ledger)
    async with recorder.running():
        await recorder.keep_document("policy", "sha256:x", b"body")
        await recorder.outcome(OUTCOME)
        assert await recorder.status_counts() == {"answer": 1}
        ledger.is_full = True
        with pytest.raises(StateError):
            await recorder.keep_document("policy", "sha256:y", b"body")


async def test_what_is_stored_and_what_could_not_be_is_counted_and_timed() -> None:
    ledger, tally = FakeLedger(), Tally()
    recorder = Recorder(ledger, tally)
    async with recorder.running():
        await recorder.decision(entry("r1"))
        await recorder.outcome(OUTCOME)
        ledger.is_full = True
        with pytest.raises(StateError):
            await recorder.decision(entry("r2"))
    stored = {kind: counted(tally, ENTRIES, kind=kind, result="stored") for kind in ("decision", "outcome")}
    assert stored == {"decision": 1, "outcome": 1}
    assert counted(tally, ENTRIES, kind="decision", result="failed") == 1
    assert counted(tally, "homebred_ledger_commit_seconds_count") == 3


async def test_whoever_follows_the_ledger_hears_of_outcomes_and_feedback_once_they_are_committed() -> None:
    ledger, heard = FakeLedger(), list[int]()
    recorder = Recorder(ledger)
    recorder.tell(lambda: heard.append(len(ledger.outcomes) + len(ledger.feedback)))
    async with recorder.running():
        await recorder.decision(entry("r1"))
        assert heard == []
        await recorder.outcome(OUTCOME)
        await recorder.feedback(FEEDBACK)
    assert heard == [1, 2]
