"""Takes what callers say of the answers they got: a content-free row in the ledger, a corrected output sealed.

It judges nothing and breeds nothing; it only sees to it that a caller speaks of its own tasks.
"""

from __future__ import annotations

from homebred_daemon.errors import NotFoundError, RequestError
from homebred_daemon.inbound.reviewing import Verdict
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.ledger import FeedbackRecord
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.reviews.review_desk import ReviewDesk

ANSWERED = frozenset({"answer", "degraded", "review"})
"""Outcomes that somebody, machine or person, gave."""


class Feedback:
    """Fulfils `inbound.reviewing.Feedbacks`."""

    def __init__(self, recorder: Recorder, reviews: ReviewDesk, clock: Clock) -> None:
        self._recorder = recorder
        self._reviews = reviews
        self._clock = clock

    async def give(self, route_id: str, *, caller: tuple[str, ...], verdict: Verdict, corrected_output: str) -> None:
        """Keeps a verdict; the last one on a route holds. Raises as `Feedbacks.give`."""
        if corrected_output and verdict is not Verdict.CORRECTED:
            raise RequestError(
                f"a corrected output comes with the verdict {Verdict.CORRECTED}, not {verdict}",
                hint="leave it out, or send the other verdict",
            )
        route = await self._recorder.route(route_id)
        if route is None or route.status not in ANSWERED or not caller or route.caller[:1] != caller[:1]:
            raise NotFoundError(
                f"no task of this caller was answered on the route {route_id}",
                hint="name the route_id of the last decision of an answered task, as the user who sent it",
            )
        await self._reviews.keep_correction(route_id, corrected_output)
        await self._recorder.feedback(
            FeedbackRecord(
                route_id=route_id,
                recorded_at_utc=self._clock.now(),
                verdict=verdict.value,
                has_correction=bool(corrected_output),
            )
        )
