"""What every review store promises: SQLite's, and the one in memory that the unit tests trust."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.support.fake_reviews import FakeReviewStore
from tests.support.review_items import BOUNDS, HOUR_S, SEALED, TERMS, after_s, review_item

from homebred_daemon.adapters.store.review import SqliteReviewStore
from homebred_daemon.core.review import Act, ReviewItem, State, claimed, passed, resolved
from homebred_daemon.errors import ConflictError, NotFoundError, OverloadedError, StateError
from homebred_daemon.ports.review import Bounds, Change, ReviewCounts, ReviewStore, Sealed

KEEP_S = TERMS.retention_s
ALL = frozenset(State)


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReviewStore]:
    if request.param == "memory":
        yield FakeReviewStore()
        return
    opened = SqliteReviewStore(tmp_path / "review.sqlite")
    yield opened
    opened.close()


def fill(store: ReviewStore, *route_ids: str, bounds: Bounds = BOUNDS) -> None:
    for number, route_id in enumerate(route_ids):
        store.file(review_item(route_id, filed_s=number), SEALED, bounds)


def claim(store: ReviewStore, route_id: str, *, at_s: float = 0, lease_s: float = 60) -> Change:
    rule = partial(claimed, by="uid:9", claim_id=f"c-{route_id}", lease_s=lease_s, now=after_s(at_s))
    return store.change(route_id, rule)


def answer(store: ReviewStore, route_id: str, *, at_s: float = 1, act: Act = Act.ANSWER) -> Change:
    rule = partial(resolved, act=act, claim_id=f"c-{route_id}", mark="m", keep_s=KEEP_S, now=after_s(at_s))
    return store.change(route_id, rule, resolution=b"resolution")


def settle(store: ReviewStore, at_s: float, *, max_ended: int = 3, limit: int = 10) -> list[tuple[str, str]]:
    now = after_s(at_s)
    changes = store.settle(now, partial(passed, keep_s=KEEP_S, now=now), max_ended=max_ended, limit=limit)
    return [
        (change.before.route_id, change.after.state if change.after else "erased")
        for change in changes
        if change.before
    ]


def route_ids(items: object) -> list[str]:
    return [item.route_id for item in items]  # type: ignore[attr-defined]  # items of either store


def test_a_new_queue_is_empty(store: ReviewStore) -> None:
    assert (store.items(ALL, 9), store.counts(), store.next_due()) == ([], ReviewCounts(), None)
    assert (store.item("r1"), store.sealed("r1"), store.correction("r1")) == (None, None, None)
    assert (store.open_items(), store.content_bytes()) == (0, 0)


def test_an_item_comes_back_as_it_was_filed_with_its_sealed_content(store: ReviewStore) -> None:
    fill(store, "r1")
    assert (store.item("r1"), store.sealed("r1")) == (review_item("r1"), SEALED)
    assert (store.open_items(), store.content_bytes()) == (1, 10)


def test_items_come_in_the_order_filed_by_state_and_at_most_so_many(store: ReviewStore) -> None:
    fill(store, "z", "m", "a")
    claim(store, "m")
    assert route_ids(store.items(ALL, 9)) == ["z", "m", "a"]
    assert route_ids(store.items(ALL, 2)) == ["z", "m"]
    assert route_ids(store.items(frozenset({State.WAITING}), 9)) == ["z", "a"]


def test_a_task_is_filed_once(store: ReviewStore) -> None:
    fill(store, "r1")
    with pytest.raises(StateError):
        fill(store, "r1")


def test_a_full_queue_takes_no_more_until_something_ends(store: ReviewStore) -> None:
    fill(store, "a", "b", "c")
    with pytest.raises(OverloadedError) as refused:
        fill(store, "d")
    assert refused.value.retry_after_s > 0
    assert (store.item("d"), store.sealed("d")) == (None, None)
    claim(store, "a")
    answer(store, "a")
    fill(store, "d")


def test_content_beyond_its_space_is_refused_whole(store: ReviewStore) -> None:
    bounds = Bounds(max_open=9, max_bytes=25)
    fill(store, "a", "b", bounds=bounds)
    with pytest.raises(OverloadedError):
        fill(store, "c", bounds=bounds)
    assert route_ids(store.items(ALL, 9)) == ["a", "b"]


def test_a_transition_is_kept_and_told_before_and_after(store: ReviewStore) -> None:
    fill(store, "r1")
    change = claim(store, "r1")
    assert change.before == review_item("r1")
    assert change.after == store.item("r1")
    assert change.after is not None
    assert (change.after.state, change.after.claim_id) == (State.CLAIMED, "c-r1")


def test_a_rule_that_refuses_changes_nothing(store: ReviewStore) -> None:
    fill(store, "r1")
    with pytest.raises(ConflictError):
        answer(store, "r1")
    assert (store.item("r1"), store.sealed("r1")) == (review_item("r1"), SEALED)


def test_a_resolution_is_kept_beside_the_content_and_counted_once(store: ReviewStore) -> None:
    fill(store, "r1")
    claim(store, "r1")
    first = answer(store, "r1")
    again = store.change("r1", lambda item: item, resolution=b"other")
    assert (again.before, again.after) == (first.after, first.after)
    assert store.sealed("r1") == Sealed(data_key=b"key", content=b"content", resolution=b"resolution")
    assert (store.counts().answered, store.open_items(), store.content_bytes()) == (1, 0, 20)


def test_what_is_not_there_cannot_be_changed(store: ReviewStore) -> None:
    with pytest.raises(NotFoundError):
        claim(store, "r1")


def test_time_gives_a_lapsed_claim_back_and_is_due_next_at_the_retentions_end(store: ReviewStore) -> None:
    fill(store, "r1")
    claim(store, "r1")
    assert store.next_due() == after_s(60)
    assert settle(store, 59.999) == []
    assert settle(store, 60) == [("r1", "waiting")]
    assert (store.item("r1"), store.next_due()) == (review_item("r1"), after_s(KEEP_S))


def test_what_expires_is_counted_and_its_content_shredded(store: ReviewStore) -> None:
    fill(store, "r1")
    assert settle(store, KEEP_S) == [("r1", "expired")]
    assert (store.sealed("r1"), store.content_bytes()) == (None, 0)
    assert store.counts() == ReviewCounts(expired=1)
    assert settle(store, 2 * KEEP_S) == [("r1", "erased")]
    assert store.item("r1") is None
    assert store.counts() == ReviewCounts(expired=1, erased=1)


@pytest.mark.parametrize(
    ("act", "counts"),
    [(Act.ANSWER, ReviewCounts(answered=1, erased=1)), (Act.DECLINE, ReviewCounts(declined=1, erased=1))],
)
def test_an_answer_is_erased_after_its_retention_and_stays_counted(
    store: ReviewStore, act: Act, counts: ReviewCounts
) -> None:
    fill(store, "r1")
    claim(store, "r1")
    answer(store, "r1", act=act, at_s=HOUR_S / 100)
    assert settle(store, KEEP_S) == []
    assert settle(store, KEEP_S + HOUR_S / 100) == [("r1", "erased")]
    assert (store.item("r1"), store.sealed("r1")) == (None, None)
    assert store.counts() == counts


def test_what_was_overlooked_for_long_is_expired_and_erased_at_once(store: ReviewStore) -> None:
    fill(store, "r1")
    assert settle(store, 3 * KEEP_S) == [("r1", "erased")]
    assert store.counts() == ReviewCounts(expired=1, erased=1)


def test_time_works_some_items_at_once_the_longest_due_first(store: ReviewStore) -> None:
    fill(store, "a", "b", "c")
    assert settle(store, KEEP_S + 9, limit=2) == [("a", "expired"), ("b", "expired")]
    assert settle(store, KEEP_S + 9, limit=2) == [("c", "expired")]


def test_of_the_ended_only_so_many_are_kept_and_the_oldest_go(store: ReviewStore) -> None:
    for number, route_id in enumerate("abcd"):
        fill(store, route_id)
        claim(store, route_id, at_s=number)
        answer(store, route_id, at_s=number)
    assert settle(store, 10, max_ended=2) == [("a", "erased"), ("b", "erased")]
    assert store.counts() == ReviewCounts(answered=4, erased=2)
    assert store.sealed("a") is None


def test_the_oldest_open_item_is_told(store: ReviewStore) -> None:
    fill(store, "a", "b", "c")
    claim(store, "b")
    assert store.counts() == ReviewCounts(waiting=2, claimed=1, oldest_filed_at_utc=after_s(0))


def test_it_knows_which_routes_it_has(store: ReviewStore) -> None:
    fill(store, "a", "b")
    assert store.filed_among(["b", "x"]) == {"b"}


def keep(store: ReviewStore, route_id: str, sealed: Sealed | None = SEALED, *, until_s: float = 60) -> None:
    store.keep_correction(route_id, sealed, until=after_s(until_s), max_corrections=2)


def test_the_last_correction_of_a_route_holds(store: ReviewStore) -> None:
    keep(store, "r1")
    keep(store, "r1", Sealed(data_key=b"other", content=b"word"))
    assert store.correction("r1") == Sealed(data_key=b"other", content=b"word")
    keep(store, "r1", None)
    assert store.correction("r1") is None


def test_corrections_are_bounded_and_refused_beyond(store: ReviewStore) -> None:
    keep(store, "a")
    keep(store, "b")
    with pytest.raises(OverloadedError):
        keep(store, "c")
    keep(store, "b")
    assert store.correction("c") is None


def test_corrections_are_erased_when_their_time_is_over(store: ReviewStore) -> None:
    keep(store, "a", until_s=60)
    keep(store, "b", until_s=90)
    assert store.next_due() == after_s(60)
    assert settle(store, 60) == []
    assert (store.correction("a"), store.correction("b")) == (None, SEALED)


def test_items_of_every_state_and_field_survive_the_way_to_the_store_and_back(store: ReviewStore) -> None:
    item = review_item("r1")
    odd = ReviewItem(
        **{name: getattr(item, name) for name in item.__dataclass_fields__}
        | {"task_id": "t\u00e9'\"", "classes": (), "workflow": "", "filed_at_utc": after_s(0.000001)}
    )
    store.file(odd, SEALED, BOUNDS)
    assert store.item("r1") == odd
