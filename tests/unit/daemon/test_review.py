from __future__ import annotations

from functools import partial
from itertools import product

import pytest
from tests.support.review_items import TERMS, after_s, review_item

from homebred_daemon.core.review import OPEN, TRANSITIONS, Act, ReviewItem, State, claimed, passed, released, resolved
from homebred_daemon.errors import ConflictError

KEEP_S = TERMS.retention_s
WAITING = review_item()


def claim(item: ReviewItem = WAITING, *, at_s: float = 0, claim_id: str = "c1", lease_s: float = 60) -> ReviewItem:
    return claimed(item, by="uid:9", claim_id=claim_id, lease_s=lease_s, now=after_s(at_s))


def resolve(
    item: ReviewItem, *, act: Act = Act.ANSWER, claim_id: str = "c1", mark: str = "m", at_s: float = 1
) -> ReviewItem:
    return resolved(item, act=act, claim_id=claim_id, mark=mark, keep_s=KEEP_S, now=after_s(at_s))


def release(item: ReviewItem, *, claim_id: str = "c1", at_s: float = 1) -> ReviewItem:
    return released(item, claim_id=claim_id, now=after_s(at_s))


def test_a_claim_names_its_holder_and_its_end() -> None:
    item = claim(at_s=5)
    assert (item.state, item.claimed_by, item.claim_id, item.claim_ends_at_utc) == (
        State.CLAIMED,
        "uid:9",
        "c1",
        after_s(65),
    )


def test_a_lease_never_outlasts_the_item() -> None:
    assert claim(lease_s=10 * KEEP_S).claim_ends_at_utc == WAITING.expires_at_utc


def test_a_claimed_item_cannot_be_claimed_and_says_who_has_it_and_until_when() -> None:
    with pytest.raises(ConflictError, match=r"review r1 is claimed by uid:9 until 2026-11-23T09:01:00"):
        claim(claim(), at_s=59, claim_id="c2")


def test_once_its_lease_is_over_it_can_be_claimed_again() -> None:
    assert claim(claim(), at_s=60, claim_id="c2").claim_id == "c2"


def test_a_released_item_waits_and_forgets_the_claim() -> None:
    assert release(claim()) == WAITING


@pytest.mark.parametrize("act", [Act.ANSWER, Act.DECLINE])
def test_a_resolved_item_has_ended_and_can_be_asked_for_a_while(act: Act) -> None:
    item = resolve(claim(), act=act)
    assert item.state is TRANSITIONS[State.CLAIMED, act]
    assert (item.is_open, item.resolution_mark, item.claimed_by) == (False, "m", "uid:9")
    assert item.expires_at_utc == item.due_at_utc == after_s(1 + KEEP_S)


def test_the_same_resolution_of_the_same_claim_is_taken_once_and_succeeds_again() -> None:
    item = resolve(claim())
    assert resolve(item, at_s=5000) == item


@pytest.mark.parametrize("other", [{"mark": "n"}, {"claim_id": "c2"}, {"act": Act.DECLINE}])
def test_another_resolution_of_an_ended_item_is_refused(other: dict[str, str]) -> None:
    with pytest.raises(ConflictError, match="the review is answered"):
        resolve(resolve(claim()), **other)  # type: ignore[arg-type]  # one of its arguments


@pytest.mark.parametrize("act", [partial(resolve), partial(release)])
@pytest.mark.parametrize("case", ["not claimed", "another's", "lapsed", "claimed again"])
def test_only_a_claim_that_holds_moves_an_item(act: partial[ReviewItem], case: str) -> None:
    item, at_s = {
        "not claimed": (WAITING, 1),
        "another's": (claim(claim_id="c2"), 1),
        "lapsed": (claim(), 60),
        "claimed again": (claim(claim(), at_s=60, claim_id="c2"), 61),
    }[case]
    with pytest.raises(ConflictError, match="this claim on review r1 does not hold"):
        act(item, at_s=at_s)


def test_time_leaves_an_item_alone_until_it_is_due() -> None:
    for item in (WAITING, claim(), resolve(claim())):
        assert passed(item, keep_s=KEEP_S, now=after_s(59)) == item


def test_at_a_leases_end_the_item_waits_again() -> None:
    assert passed(claim(), keep_s=KEEP_S, now=after_s(60)) == WAITING


@pytest.mark.parametrize("item", [WAITING, claim(lease_s=10 * KEEP_S)])
def test_at_its_retentions_end_an_open_item_expires_and_can_be_asked_for_a_while(item: ReviewItem) -> None:
    expired = passed(item, keep_s=KEEP_S, now=after_s(KEEP_S))
    assert expired is not None
    assert (expired.state, expired.claimed_by, expired.due_at_utc) == (State.EXPIRED, "", after_s(2 * KEEP_S))
    assert passed(expired, keep_s=KEEP_S, now=after_s(2 * KEEP_S)) is None


def test_what_was_overlooked_for_long_is_erased_at_once() -> None:
    assert passed(WAITING, keep_s=KEEP_S, now=after_s(2 * KEEP_S)) is None


def test_an_expired_item_can_neither_be_claimed_nor_resolved() -> None:
    for act in (partial(claim, WAITING), partial(resolve, claim(lease_s=10 * KEEP_S))):
        with pytest.raises(ConflictError, match="end of its retention"):
            act(at_s=KEEP_S)


def test_whatever_is_open_can_end_and_what_has_ended_stays_so() -> None:
    for state, act in product(State, Act):
        assert ((state, act) in TRANSITIONS) <= (state in OPEN)
    assert {to for (state, _), to in TRANSITIONS.items() if to not in OPEN} == set(State) - OPEN
