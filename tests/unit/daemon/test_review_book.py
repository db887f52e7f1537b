from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import settings
from tests.support.fake_reviews import FakeReviewStore, FakeSealer
from tests.support.review_items import CONTENT, TERMS, after_s, review_item
from tests.support.review_machine import ReviewMachine
from typing_extensions import override

from homebred_daemon.adapters.json_schema import JsonSchemaChecker
from homebred_daemon.core.review import ReviewItem, State
from homebred_daemon.errors import (
    ConflictError,
    HomebredError,
    NotFoundError,
    OverloadedError,
    RequestError,
    StateError,
)
from homebred_daemon.inbound.reviewing import Resolution
from homebred_daemon.ports.review import ReviewStore
from homebred_daemon.services.reviews.review_book import MAX_LEASE_S, MAX_TEXT_BYTES, ReviewBook

SCHEMA = '{"type": "object", "required": ["name"]}'
YES = Resolution(is_answer=True, text="yes")


class Desk:
    """A book, its store, and a reviewer."""

    def __init__(self) -> None:
        self.store = FakeReviewStore()
        self.sealer = FakeSealer()
        self.book = ReviewBook(self.store, self.sealer, JsonSchemaChecker(), TERMS)
        self._claims = count(1)

    def file(self, route_id: str = "r1", *, schema: str = "", filed_s: float = 0) -> None:
        self.book.file(review_item(route_id, filed_s=filed_s), replace(CONTENT, response_schema=schema))

    def claim(self, route_id: str = "", *, lease_s: float = 0, at_s: float = 0) -> ReviewItem:
        claim_id = f"c{next(self._claims)}"
        change = self.book.claim(route_id, by="uid:9", claim_id=claim_id, lease_s=lease_s, now=after_s(at_s))
        assert change.after is not None
        return change.after

    def resolve(self, resolution: Resolution = YES, *, claim_id: str = "c1", at_s: float = 1) -> None:
        self.book.resolve("r1", claim_id=claim_id, resolution=resolution, now=after_s(at_s))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_reviewer_sees_the_conversation_and_the_schema(desk: Desk) -> None:
    desk.file(schema=SCHEMA)
    shown = desk.book.show("r1")
    assert shown.content == replace(CONTENT, response_schema=SCHEMA)
    assert (shown.item, shown.resolution) == (review_item("r1"), "")


def test_no_route_claims_the_oldest_that_waits(desk: Desk) -> None:
    desk.file("r2")
    desk.file("r1")
    assert [desk.claim().route_id, desk.claim().route_id] == ["r2", "r1"]
    with pytest.raises(NotFoundError, match="nothing waits"):
        desk.claim()


def test_a_claim_that_names_no_lease_has_the_devices_own(desk: Desk) -> None:
    desk.file()
    assert desk.claim().claim_ends_at_utc == after_s(TERMS.lease_s)


@pytest.mark.parametrize("lease_s", [-1, MAX_LEASE_S + 1, float("nan")])
def test_a_lease_has_its_bounds(desk: Desk, lease_s: float) -> None:
    desk.file()
    with pytest.raises(RequestError, match="a lease is"):
        desk.claim(lease_s=lease_s)


def test_an_answer_is_kept_for_its_caller(desk: Desk) -> None:
    desk.file()
    desk.claim()
    desk.resolve()
    shown = desk.book.result("r1")
    assert (shown.item.state, shown.resolution, shown.content) == (State.ANSWERED, "yes", None)


def test_a_reason_is_kept_too(desk: Desk) -> None:
    desk.file()
    desk.claim()
    desk.resolve(Resolution(is_answer=False, text="ask a doctor"))
    shown = desk.book.show("r1")
    assert (shown.item.state, shown.resolution) == (State.DECLINED, "ask a doctor")


def test_an_answer_must_fit_the_tasks_schema_and_the_claim_still_holds(desk: Desk) -> None:
    desk.file(schema=SCHEMA)
    desk.claim()
    with pytest.raises(RequestError, match="does not fit the response schema"):
        desk.resolve()
    desk.resolve(Resolution(is_answer=True, text='{"name": "x"}'))


def test_a_reason_need_not_fit_it(desk: Desk) -> None:
    desk.file(schema=SCHEMA)
    desk.claim()
    desk.resolve(Resolution(is_answer=False, text="no"))


@pytest.mark.parametrize("is_answer", [True, False])
def test_nothing_is_no_answer_and_no_reason(desk: Desk, is_answer: bool) -> None:  # noqa: FBT001  # a case's column
    desk.file()
    desk.claim()
    with pytest.raises(RequestError, match="empty"):
        desk.resolve(Resolution(is_answer=is_answer, text=" \n"))


def test_whoever_has_no_claim_is_told_so_before_the_answer_is_looked_at(desk: Desk) -> None:
    desk.file(schema=SCHEMA)
    with pytest.raises(ConflictError):
        desk.resolve(claim_id="guessed")


def test_the_same_answer_again_is_taken_once(desk: Desk) -> None:
    desk.file()
    desk.claim()
    desk.resolve()
    desk.resolve(at_s=5000)
    with pytest.raises(ConflictError):
        desk.resolve(Resolution(is_answer=True, text="no"))
    assert desk.book.counts().answered == 1


def test_what_has_expired_can_be_shown_without_content_and_not_be_resolved(desk: Desk) -> None:
    desk.file()
    desk.claim(lease_s=60)
    desk.book.settle(after_s(60))
    desk.book.settle(after_s(TERMS.retention_s))
    assert (desk.book.show("r1").content, desk.book.result("r1").resolution) == (None, "")
    with pytest.raises(ConflictError, match="expired"):
        desk.resolve(at_s=TERMS.retention_s)


def test_no_answer_and_no_correction_may_be_longer_than_there_is_room_for(desk: Desk) -> None:
    desk.file()
    desk.claim()
    text = "é" * MAX_TEXT_BYTES
    with pytest.raises(RequestError, match="longer than"):
        desk.resolve(Resolution(is_answer=True, text=text))
    with pytest.raises(RequestError, match="longer than"):
        desk.book.keep_correction("r1", text, now=after_s(0))
    desk.resolve(Resolution(is_answer=True, text="x" * MAX_TEXT_BYTES))


ASKS: list[Callable[[Desk], object]] = [
    lambda desk: desk.book.show("r1"),
    lambda desk: desk.book.result("r1"),
    lambda desk: desk.book.item("r1"),
    lambda desk: desk.claim("r1"),
    lambda desk: desk.book.release("r1", claim_id="c1", now=after_s(0)),
    lambda desk: desk.resolve(),
]


@pytest.mark.parametrize("ask", ASKS)
def test_what_is_not_there_is_not_found(desk: Desk, ask: Callable[[Desk], object]) -> None:
    with pytest.raises(NotFoundError):
        ask(desk)


def test_with_a_lost_key_the_queue_still_lists_and_each_item_says_that_it_cannot_be_opened(desk: Desk) -> None:
    desk.file()
    desk.claim()
    desk.sealer.device_key = "another"
    assert len(desk.book.items(frozenset(State), 9)) == 1
    for ask in (ASKS[0], ASKS[5]):
        with pytest.raises(StateError):
            ask(desk)
    desk.file("r2")
    assert desk.book.show("r2").content == CONTENT


def test_a_correction_is_sealed_kept_within_its_retention_and_the_last_one_holds(desk: Desk) -> None:
    for output in ("first", "second"):
        desk.book.keep_correction("r1", output, now=after_s(0))
    kept = desk.store.correction("r1")
    assert kept is not None
    assert desk.sealer.open(kept.data_key, "r1", "correction", kept.content) == b"second"
    desk.book.keep_correction("r1", "", now=after_s(0))
    assert desk.store.correction("r1") is None


def test_corrections_are_as_many_as_items_may_be(desk: Desk) -> None:
    for number in range(TERMS.max_items):
        desk.book.keep_correction(f"r{number}", "x", now=after_s(0))
    with pytest.raises(OverloadedError):
        desk.book.keep_correction("r9", "x", now=after_s(0))


def test_no_error_quotes_what_a_task_says(desk: Desk) -> None:
    desk.file(schema=SCHEMA)
    desk.claim()
    with pytest.raises(HomebredError) as refused:
        desk.resolve(Resolution(is_answer=True, text='{"canary": 1}'))
    assert "canary" not in json.dumps(refused.value.record())


class InMemory(ReviewMachine):
    """A queue that a crash cannot hurt."""

    @override
    def opened(self) -> ReviewStore:
        return FakeReviewStore()

    @override
    def crashed(self) -> ReviewStore:
        return self.store


TestInMemory = InMemory.TestCase
TestInMemory.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
