"""Items to fill a review queue with."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.support.manual_clock import STARTED

from homebred_daemon.core.review import ReviewItem
from homebred_daemon.ports.review import Bounds, ReviewContent, Sealed
from homebred_daemon.services.reviews.review_book import ReviewTerms
from homebred_engines import api

HOUR_S = 3600.0
TERMS = ReviewTerms(max_items=3, max_bytes=100_000, retention_s=10 * HOUR_S, lease_s=900)
BOUNDS = Bounds(max_open=3, max_bytes=1000)
SEALED = Sealed(data_key=b"key", content=b"content")
CONTENT = ReviewContent(messages=(api.Message(role="user", content="may Xylophonia go home?"),))


def after_s(seconds: float) -> datetime:
    """So long after the tests' clock started."""
    return STARTED + timedelta(seconds=seconds)


def review_item(route_id: str = "r1", *, filed_s: float = 0, filed_by: str = "uid:7") -> ReviewItem:
    """An item that waits, with ten hours to live."""
    return ReviewItem(
        route_id=route_id,
        task_id="t",
        workflow="intake.normalise",
        classes=("patient", "public"),
        reason_code="no_candidate",
        filed_by=filed_by,
        filed_at_utc=after_s(filed_s),
        expires_at_utc=after_s(filed_s + TERMS.retention_s),
    )
