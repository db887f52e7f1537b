"""Reviewers, time and crashes at one review queue, in any order; what must hold of it whatever they do.

A model beside it remembers what was acknowledged. Which store the queue has, and what a crash does to it, a subclass
says. It looks at the book alone: the desk adds nothing to what may happen.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support.fake_reviews import FakeSealer
from tests.support.review_items import CONTENT, TERMS, after_s, review_item

from homebred_daemon.adapters.json_schema import JsonSchemaChecker
from homebred_daemon.core.review import State
from homebred_daemon.errors import ConflictError, NotFoundError, OverloadedError
from homebred_daemon.inbound.reviewing import Resolution
from homebred_daemon.ports.review import ReviewStore
from homebred_daemon.services.reviews.review_book import ReviewBook

ROUTES = st.sampled_from(["r1", "r2", "r3", "r4", "r5"])
RESOLUTIONS = st.sampled_from(
    [
        Resolution(is_answer=True, text="yes"),
        Resolution(is_answer=True, text="no"),
        Resolution(is_answer=False, text="no"),
    ]
)


class ReviewMachine(RuleBasedStateMachine):
    """One queue; `opened` and `crash` are the subclass's."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed_s = 0.0
        self.claims: list[tuple[str, str]] = []
        """Every claim ever granted: route and claim id."""
        self.filed: set[str] = set()
        self.taken: dict[str, Resolution] = {}
        """What was acknowledged as the end of a route."""
        self.expired: set[str] = set()

    def opened(self) -> ReviewStore:
        """The queue's store."""
        raise NotImplementedError

    def crashed(self) -> ReviewStore:
        """The store as the next start finds it."""
        raise NotImplementedError

    @initialize()
    def start(self) -> None:
        self.store = self.opened()
        self._open_book()

    def _open_book(self) -> None:
        self.book = ReviewBook(self.store, FakeSealer(), JsonSchemaChecker(), TERMS)

    @property
    def now(self) -> datetime:
        return after_s(self.elapsed_s)

    @rule(route_id=ROUTES)
    def file(self, route_id: str) -> None:
        if route_id in self.filed:
            return
        try:
            self.book.file(review_item(route_id, filed_s=self.elapsed_s), CONTENT)
        except OverloadedError:
            assert self.book.open_items() == TERMS.max_items
        else:
            self.filed.add(route_id)

    @rule(route_id=st.one_of(st.just(""), ROUTES), lease_s=st.sampled_from([0.0, 10.0, 3600.0]))
    def claim(self, route_id: str, lease_s: float) -> None:
        claim_id = f"c{len(self.claims)}"
        try:
            change = self.book.claim(route_id, by="uid:9", claim_id=claim_id, lease_s=lease_s, now=self.now)
        except (ConflictError, NotFoundError):
            return
        assert change.before is not None
        assert change.after is not None
        held_until = change.before.claim_ends_at_utc
        assert held_until is None or held_until <= self.now, "taken from somebody whose lease was running"
        self.claims.append((change.after.route_id, claim_id))

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), resolution=RESOLUTIONS, again=st.booleans())
    def resolve(self, data: Any, resolution: Resolution, again: bool) -> None:  # noqa: FBT001  # drawn
        route_id, claim_id = data.draw(st.sampled_from(self.claims))
        for _ in range(1 + again):
            try:
                self.book.resolve(route_id, claim_id=claim_id, resolution=resolution, now=self.now)
            except (ConflictError, NotFoundError):
                return
            assert self.taken.setdefault(route_id, resolution) == resolution, "two different ends"
            assert route_id not in self.expired

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def release(self, data: Any) -> None:
        route_id, claim_id = data.draw(st.sampled_from(self.claims))
        try:
            self.book.release(route_id, claim_id=claim_id, now=self.now)
        except (ConflictError, NotFoundError):
            return
        assert route_id not in self.taken

    @rule(seconds=st.sampled_from([1.0, 30.0, 1000.0, TERMS.retention_s / 2, TERMS.retention_s]))
    def pass_time(self, seconds: float) -> None:
        self.elapsed_s += seconds

    @rule()
    def settle(self) -> None:
        for change in self.book.settle(self.now):
            assert change.before is not None
            if change.before.is_open and (change.after is None or not change.after.is_open):
                self.expired.add(change.before.route_id)

    @rule()
    def crash(self) -> None:
        self.store = self.crashed()
        self._open_book()

    @invariant()
    def nothing_acknowledged_is_lost_or_changed(self) -> None:
        counts = self.book.counts()
        held = {item.route_id: item for item in self.book.items(frozenset(State), 99)}
        assert counts.answered == sum(taken.is_answer for taken in self.taken.values())
        assert counts.declined == len(self.taken) - counts.answered
        assert counts.expired == len(self.expired)
        assert len(held) + counts.erased == len(self.filed)
        for route_id, item in held.items():
            taken = self.taken.get(route_id)
            assert item.is_open == (taken is None and route_id not in self.expired)
            shown = self.book.show(route_id)
            assert shown.resolution == ("" if taken is None else taken.text)
            assert (shown.content is None) == (item.state is State.EXPIRED)
