"""Opens what outlives the daemon: the ledger and the review queue; puts in order what a crash left open."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from homebred_daemon import messages
from homebred_daemon.adapters.json_schema import JsonSchemaChecker
from homebred_daemon.adapters.sealing import AesGcmSealer, device_key
from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.adapters.store.review import SqliteReviewStore
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.config import Settings
from homebred_daemon.errors import UnwritableError
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.measures import Measures
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.recovery import recover
from homebred_daemon.services.reviews.review_book import ReviewBook, ReviewTerms
from homebred_daemon.services.reviews.review_desk import ReviewDesk

MEGABYTE = 1_000_000


@asynccontextmanager
async def open_recorder(settings: Settings, measures: Measures) -> AsyncIterator[Recorder]:
    """The ledger's writer; on leaving, everything is written and the file is closed."""
    ledger = SqliteLedger(settings.paths.state_dir / "ledger.sqlite", max_decisions=settings.ledger.max_decisions)
    try:
        recorder = Recorder(ledger, measures)
        async with recorder.running():
            yield recorder
    finally:
        ledger.close()


@asynccontextmanager
async def open_reviews(settings: Settings, clock: SystemClock, journal: Journal) -> AsyncIterator[ReviewDesk]:
    """The review queue; on leaving, what is under way is on the disk and the file is closed."""
    state_dir = settings.paths.state_dir
    sealer = AesGcmSealer(device_key(settings.review.key_file, state_dir, os.environ))
    terms = ReviewTerms(
        max_items=settings.review.max_items,
        max_bytes=settings.review.max_mb * MEGABYTE,
        retention_s=settings.review.retention_h * 3600,
        lease_s=settings.review.lease_s,
    )
    book = ReviewBook(SqliteReviewStore(state_dir / "review.sqlite"), sealer, JsonSchemaChecker(), terms)
    try:
        desk = ReviewDesk(book, terms, clock, new_claim_id=lambda: str(uuid4()), journal=journal)
        async with desk.running():
            yield desk
    finally:
        book.close()


async def recover_at_start(recorder: Recorder, reviews: ReviewDesk, clock: SystemClock, journal: Journal) -> None:
    """Gives every decision that a crash left open its outcome.

    On a full disk the daemon starts all the same: it says how it stands, takes no task, and goes on once there is room.
    """
    try:
        recovered = await recover(recorder, reviews, clock)
    except UnwritableError as error:
        journal.note(messages.RECOVERY_POSTPONED, error_code=error.code)
        return
    if recovered.reviews or recovered.interrupted:
        journal.note(messages.RECOVERED, interrupted=recovered.interrupted, reviews=recovered.reviews)
