from __future__ import annotations

from dataclasses import replace

from tests.support.answering_stage import review_desk
from tests.support.fake_ledger import FakeLedger
from tests.support.fake_reviews import FakeReviewStore
from tests.support.ledger_entries import OUTCOME, entries, entry
from tests.support.manual_clock import ManualClock
from tests.support.review_items import BOUNDS, SEALED, review_item

from homebred_daemon.ports.review import Bounds
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.recovery import AT_ONCE, Recovered, recover


async def recovered(ledger: FakeLedger, store: FakeReviewStore | None = None) -> Recovered:
    clock = ManualClock()
    recorder, desk = Recorder(ledger), review_desk(store or FakeReviewStore(), clock)
    async with recorder.running(), desk.running():
        return await recover(recorder, desk, clock)


def ends(ledger: FakeLedger) -> list[str]:
    return [f"{one.route_id} {one.status} {one.error_code}" for one in ledger.outcomes if one is not OUTCOME]


async def test_a_ledger_in_good_order_is_left_as_it_is() -> None:
    ledger = FakeLedger()
    ledger.record_decisions([entry("r1")])
    ledger.record_outcome(OUTCOME)
    assert await recovered(ledger) == Recovered()
    assert ledger.outcomes == [OUTCOME]


async def test_a_task_that_a_crash_ended_has_an_error_for_its_outcome() -> None:
    ledger = FakeLedger()
    ledger.record_decisions(entries("r1", "r2"))
    ledger.record_outcome(OUTCOME)
    assert await recovered(ledger) == Recovered(interrupted=1)
    assert ends(ledger) == ["r2 error interrupted"]
    assert ledger.check().unfinished == 0


async def test_a_task_that_was_filed_before_the_crash_is_with_a_person() -> None:
    ledger, store = FakeLedger(), FakeReviewStore()
    ledger.record_decisions(entries("r1", "r2"))
    store.file(review_item("r2"), SEALED, BOUNDS)
    assert await recovered(ledger, store) == Recovered(reviews=1, interrupted=1)
    assert ends(ledger) == ["r1 error interrupted", "r2 review needs_review"]


async def test_an_item_whose_decision_the_ledger_lost_stays_valid() -> None:
    store = FakeReviewStore()
    store.file(review_item("r9"), SEALED, BOUNDS)
    assert await recovered(FakeLedger(), store) == Recovered()
    assert store.item("r9") == review_item("r9")


async def test_many_are_taken_some_at_a_time() -> None:
    ledger, store = FakeLedger(), FakeReviewStore()
    ledger.record_decisions([entry(f"r{number}") for number in range(2 * AT_ONCE + 1)])
    store.file(review_item("r3"), SEALED, Bounds(max_open=9, max_bytes=99))
    ledger.record_outcome(replace(OUTCOME, route_id="r1"))
    assert await recovered(ledger, store) == Recovered(reviews=1, interrupted=2 * AT_ONCE - 1)
    assert ledger.check().unfinished == 0
