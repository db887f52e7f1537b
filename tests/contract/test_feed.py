"""What every feed promises: the ledger's in SQLite, and the one in memory that unit tests trust."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Protocol

import pytest
from tests.support.ledger_entries import NOW, entry
from tests.support.memory_feed import MemoryFeed

from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.adapters.store.ledger_feed import SqliteFeed
from homebred_daemon.core.telemetry import Ended, Route, Said
from homebred_daemon.ports.feed import Feed
from homebred_daemon.ports.ledger import FeedbackRecord, OutcomeRecord
from homebred_protocol.digests import digest_of

ENDED = OutcomeRecord(
    route_id="", recorded_at_utc=NOW, status="answer", answered_by="a", findings=("slow",), total_ms=7.5, confidence=0.5
)


class Followed(Protocol):
    """Something that a feed follows."""

    @property
    def feed(self) -> Feed:
        """What follows it."""

    def end(self, *route_ids: str) -> None:
        """Routes end."""

    def say(self, route_id: str, verdict: str) -> None:
        """A caller says something of one."""

    def drop(self, number: int) -> None:
        """The oldest decisions are dropped, with all that became of them."""

    def name_registry(self, digest: str, body: bytes) -> None:
        """A registry document is kept."""


def route_of(route_id: str, said: Said | None = None) -> Route:
    made = entry(route_id)
    decision = made.decision
    return Route(
        route_id=route_id,
        supersedes="",
        runtime=decision.selected_runtime,
        stack=decision.selected_model_or_stack,
        local_reason=decision.local_reason,
        redaction_required=decision.redaction_required,
        evidence_required=decision.evidence_required,
        fallback=decision.fallback_target,
        created_at_utc=NOW,
        reason=decision.reason_code,
        classes=decision.classes,
        policy_digest=decision.policy_digest,
        workflow="intake.normalise",
        registry_digest=made.inputs.registry.digest,
        link=made.inputs.link,
        ended=Ended(
            at_utc=NOW,
            status="answer",
            answered_by="a",
            findings=("slow",),
            prompt_tokens=0,
            completion_tokens=0,
            first_token_ms=None,
            total_ms=7.5,
            confidence=0.5,
        ),
        said=said,
    )


class InMemory:
    def __init__(self) -> None:
        self.feed = MemoryFeed()

    def end(self, *route_ids: str) -> None:
        self.feed.entries += map(route_of, route_ids)

    def say(self, route_id: str, verdict: str) -> None:
        self.feed.entries.append(route_of(route_id, Said(at_utc=NOW, verdict=verdict, has_correction=False)))

    def drop(self, number: int) -> None:
        gone = [one.route_id for one in self.feed.entries if one is not None and one.said is None][:number]
        self.feed.entries = [None if one and one.route_id in gone else one for one in self.feed.entries]

    def name_registry(self, digest: str, body: bytes) -> None:
        self.feed.registries[digest] = body


class InSqlite:
    """A ledger that holds 20 decisions; it is filled up so that the next ones drop old ones."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.ledger = stack.enter_context(closing(SqliteLedger(path, max_decisions=20)))
        self.feed: Feed = stack.enter_context(closing(SqliteFeed(path)))

    def end(self, *route_ids: str) -> None:
        self.ledger.record_decisions([entry(route_id) for route_id in route_ids])
        for route_id in route_ids:
            values = {name: getattr(ENDED, name) for name in ENDED.__slots__}
            self.ledger.record_outcome(OutcomeRecord(**values | {"route_id": route_id}))

    def say(self, route_id: str, verdict: str) -> None:
        self.ledger.record_feedback(
            FeedbackRecord(route_id=route_id, recorded_at_utc=NOW, verdict=verdict, has_correction=False)
        )

    def drop(self, number: int) -> None:
        held = sum(1 for _ in self.ledger.decisions())
        self.ledger.record_decisions([entry(f"filler {n}") for n in range(20 - held)])
        assert number == 11, "at its bound a ledger drops half, and what is one too many"
        self.ledger.record_decisions([entry("the last straw")])

    def name_registry(self, digest: str, body: bytes) -> None:
        self.ledger.keep_document("registry", digest, body)


@pytest.fixture(params=["sqlite", "memory"])
def followed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Followed]:
    with ExitStack() as stack:
        yield InMemory() if request.param == "memory" else InSqlite(tmp_path / "ledger.sqlite", stack)


def ids(routes: object) -> list[str]:
    return [route.route_id for route in routes]  # type: ignore[attr-defined]  # of either feed


def test_an_empty_feed_has_an_end_and_nothing_in_it(followed: Followed) -> None:
    cursor = followed.feed.end()
    page = followed.feed.read(cursor, limit=9)
    assert (list(page.routes), page.lost, page.is_last) == ([], 0, True)
    assert page.cursor == cursor


def test_what_ended_comes_in_the_order_recorded_and_whole(followed: Followed) -> None:
    start = followed.feed.end()
    followed.end("c", "a", "b")
    page = followed.feed.read(start, limit=9)
    assert list(page.routes) == [route_of("c"), route_of("a"), route_of("b")]
    assert (page.lost, page.is_last) == (0, True)


def test_a_registry_that_decisions_name_is_found_and_another_is_none(followed: Followed) -> None:
    body = b'{"specialists": []}'
    followed.name_registry(digest_of(body), body)
    assert followed.feed.registry(digest_of(body)) == body
    assert followed.feed.registry(digest_of(b"another")) is None


def test_pages_follow_each_other(followed: Followed) -> None:
    start = followed.feed.end()
    followed.end(*"abcde")
    first = followed.feed.read(start, limit=2)
    second = followed.feed.read(first.cursor, limit=2)
    third = followed.feed.read(second.cursor, limit=2)
    assert [ids(page.routes) for page in (first, second, third)] == [["a", "b"], ["c", "d"], ["e"]]
    assert [page.is_last for page in (first, second, third)] == [False, False, True]
    assert third.cursor == followed.feed.end()


def test_whoever_begins_at_the_end_hears_of_what_comes_later_alone(followed: Followed) -> None:
    followed.end("a")
    cursor = followed.feed.end()
    followed.end("b")
    assert ids(followed.feed.read(cursor, limit=9).routes) == ["b"]


def test_what_was_said_of_a_task_comes_after_its_end(followed: Followed) -> None:
    start = followed.feed.end()
    followed.end("a", "b")
    followed.say("a", "corrected")
    routes = followed.feed.read(start, limit=9).routes
    assert [(route.route_id, route.said.verdict if route.said else "") for route in routes] == [
        ("a", ""),
        ("b", ""),
        ("a", "corrected"),
    ]


def test_what_was_dropped_unread_is_counted_and_what_was_read_is_not(followed: Followed) -> None:
    start = followed.feed.end()
    followed.end(*"abcdefghijklmn")
    cursor = followed.feed.read(start, limit=4).cursor
    followed.drop(11)
    page = followed.feed.read(cursor, limit=99)
    assert (ids(page.routes), page.lost) == (["l", "m", "n"], 7)
    assert followed.feed.read(page.cursor, limit=9).lost == 0


def test_dropped_ones_at_the_very_end_are_counted_too(followed: Followed) -> None:
    start = followed.feed.end()
    followed.end(*"abcdefghij")
    followed.say("a", "bad")
    followed.drop(11)
    page = followed.feed.read(start, limit=99)
    assert (ids(page.routes), page.lost, page.is_last) == ([], 11, True)
