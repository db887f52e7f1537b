"""Gives an outcome to what a crash left without one, before the daemon takes new tasks (I7).

A decision in the ledger without an outcome is of a task that was under way when power or process went. Where the review
queue has it, a person answers it; else its caller saw the call break, and the ledger says so. Nothing is asked again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from homebred_daemon.errors import NeedsReviewError
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.ledger import OutcomeRecord
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.reviews.review_desk import ReviewDesk

INTERRUPTED = "interrupted"
"""Error code of a task that a crash ended."""
AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What was found open."""

    reviews: int = 0
    """With a person."""
    interrupted: int = 0


async def recover(recorder: Recorder, reviews: ReviewDesk, clock: Clock) -> Recovered:
    """Closes every open route of the ledger.

    Raises:
        StateError: the ledger or the review queue cannot be used.
    """
    found = Recovered()
    while route_ids := await recorder.unfinished(AT_ONCE):
        filed = await reviews.filed_among(route_ids)
        await asyncio.gather(*(recorder.outcome(_outcome(each, each in filed, clock)) for each in route_ids))
        found = Recovered(
            reviews=found.reviews + len(filed), interrupted=found.interrupted + len(route_ids) - len(filed)
        )
    return found


def _outcome(route_id: str, is_filed: bool, clock: Clock) -> OutcomeRecord:  # noqa: FBT001  # a fact about the route beside it
    status, code = ("review", NeedsReviewError.code) if is_filed else ("error", INTERRUPTED)
    return OutcomeRecord(route_id=route_id, recorded_at_utc=clock.now(), status=status, error_code=code, total_ms=0.0)
