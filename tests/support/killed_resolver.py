"""Ends a process that resolves a review before each of its statements in turn, the way `kill -9` does.

`python -m tests.support.killed_resolver FOLDER` prints for each child how the next start finds the review, up to the
first child that survived; it fails where something is half done, or where the same resolution is not taken then.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

from tests.support.review_items import CONTENT, TERMS, after_s, review_item

from homebred_daemon.adapters.json_schema import JsonSchemaChecker
from homebred_daemon.adapters.sealing import AesGcmSealer
from homebred_daemon.adapters.store.review import SqliteReviewStore
from homebred_daemon.core.review import State
from homebred_daemon.inbound.reviewing import Resolution
from homebred_daemon.services.reviews.review_book import ReviewBook

ANSWER = Resolution(is_answer=True, text="yes")


def main() -> int:
    """Kills children until one survives."""
    root = Path(sys.argv[1])
    for number in range(200):
        path = root / str(number) / "review.sqlite"
        path.parent.mkdir()
        with closing(SqliteReviewStore(path)) as store:
            _book(store).file(review_item("r1"), CONTENT)
            _book(store).claim("r1", by="uid:9", claim_id="c", lease_s=0, now=after_s(0))
        survived = _resolved(path, number)
        sys.stdout.write(f"{_found(path)}\n")
        if survived:
            return 0
    return 1


def _resolved(path: Path, number: int) -> bool:
    """Resolves the review in a child that dies before its n-th statement; whether it got through."""
    child = os.fork()
    if not child:
        try:
            store = SqliteReviewStore(path)
            left = number

            def step(_: str) -> None:
                nonlocal left
                left -= 1
                if left < 0:
                    os._exit(9)

            store._connection.set_trace_callback(step)
            _resolve(store)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _found(path: Path) -> State:
    """How the next start finds the review, which then takes the same resolution once."""
    with closing(SqliteReviewStore(path)) as store:
        shown = _book(store).show("r1")
        is_answered = shown.item.state is State.ANSWERED
        assert (shown.resolution, store.counts().answered) == (("yes", 1) if is_answered else ("", 0))
        _resolve(store)
        assert store.counts().answered == 1
        return shown.item.state


def _resolve(store: SqliteReviewStore) -> None:
    _book(store).resolve("r1", claim_id="c", resolution=ANSWER, now=after_s(1))


def _book(store: SqliteReviewStore) -> ReviewBook:
    return ReviewBook(store, AesGcmSealer(bytes(32)), JsonSchemaChecker(), TERMS)


if __name__ == "__main__":
    sys.exit(main())
