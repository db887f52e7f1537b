"""What callers and reviewers ask of the review queue: translates and calls the desk. It decides nothing.

Who may call as a reviewer is settled before a call comes here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import grpc
from typing_extensions import override

from homebred_daemon.adapters.grpc_api.translate import tool_messages, turn_messages
from homebred_daemon.core.review import ReviewItem, State
from homebred_daemon.errors import RequestError
from homebred_daemon.inbound.reviewing import Feedbacks, Resolution, Reviews, Shown, Verdict
from homebred_protocol.v1 import control_pb2 as wire
from homebred_protocol.v1 import control_pb2_grpc, inference_pb2, inference_pb2_grpc

STATES = {
    State.WAITING: inference_pb2.REVIEW_STATE_WAITING,
    State.CLAIMED: inference_pb2.REVIEW_STATE_CLAIMED,
    State.ANSWERED: inference_pb2.REVIEW_STATE_ANSWERED,
    State.DECLINED: inference_pb2.REVIEW_STATE_DECLINED,
    State.EXPIRED: inference_pb2.REVIEW_STATE_EXPIRED,
}
VERDICTS = {
    inference_pb2.VERDICT_GOOD: Verdict.GOOD,
    inference_pb2.VERDICT_BAD: Verdict.BAD,
    inference_pb2.VERDICT_CORRECTED: Verdict.CORRECTED,
}
_READ_STATES = {number: state for state, number in STATES.items()}

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFace:
    """What these calls work with."""

    reviews: Reviews
    feedbacks: Feedbacks
    caller_of: Callable[[Context], tuple[str, ...]]
    """Attested principals of a call, the user first."""
    sees_all: Callable[[Context], bool]
    """Whether a call may ask for tasks of others: reviewers' may, who read their content anyway."""


class AfterwardsRpcs(inference_pb2_grpc.InferenceServicer):
    """The calls of `homebred.v1.Inference` about a task that was sent before."""

    def __init__(self, face: ReviewFace) -> None:
        self._face = face

    @override
    async def GetReview(
        self, request: inference_pb2.GetReviewRequest, context: Context
    ) -> inference_pb2.GetReviewResponse:
        """What became of a task that went to a person."""
        caller = self._face.caller_of(context)
        shown = await self._face.reviews.wait(
            request.route_id, caller=caller, sees_all=self._face.sees_all(context), wait_s=request.wait_s
        )
        return _result(shown)

    @override
    async def Feedback(
        self, request: inference_pb2.FeedbackRequest, context: Context
    ) -> inference_pb2.FeedbackResponse:
        """Takes a verdict on an answer."""
        verdict = VERDICTS.get(request.verdict)
        if verdict is None:
            raise RequestError("the feedback has no verdict", hint="send good, bad or corrected")
        await self._face.feedbacks.give(
            request.route_id,
            caller=self._face.caller_of(context),
            verdict=verdict,
            corrected_output=request.corrected_output,
        )
        return inference_pb2.FeedbackResponse()


class ReviewRpcs(control_pb2_grpc.ControlServicer):
    """The calls of `homebred.v1.Control` that reviewers make."""

    def __init__(self, face: ReviewFace) -> None:
        self._face = face

    @override
    async def ListReviews(self, request: wire.ListReviewsRequest, context: Context) -> wire.ListReviewsResponse:
        """What waits for a person, without its content."""
        items, more = await self._face.reviews.listed(_states(request.states), request.limit)
        return wire.ListReviewsResponse(reviews=[_review(item) for item in items], more=more)

    @override
    async def WatchReviews(
        self, request: wire.WatchReviewsRequest, context: Context
    ) -> AsyncGenerator[wire.Review, None]:
        """What is in the queue, then every change."""
        async with aclosing(self._face.reviews.watch()) as items:
            async for item in items:
                yield _review(item)

    @override
    async def ClaimReview(self, request: wire.ClaimReviewRequest, context: Context) -> wire.ClaimReviewResponse:
        """Takes one for the caller."""
        by = "".join(self._face.caller_of(context)[:1])
        item = await self._face.reviews.claim(request.route_id, by=by, lease_s=request.lease_s)
        return wire.ClaimReviewResponse(review=_review(item), claim_id=item.claim_id)

    @override
    async def ShowReview(self, request: wire.ShowReviewRequest, context: Context) -> wire.ShowReviewResponse:
        """One with its content."""
        shown = await self._face.reviews.show(request.route_id)
        response = wire.ShowReviewResponse(review=_review(shown.item), output=_output(shown), note=_note(shown))
        if shown.content is not None:
            response.response_schema = shown.content.response_schema
            response.messages.extend(turn_messages(shown.content.messages))
            response.tools.extend(tool_messages(shown.content.tools))
            for one in shown.content.attachments:
                response.attachments.add(name=one.name, media_type=one.media_type, data=one.data)
        return response

    @override
    async def ResolveReview(self, request: wire.ResolveReviewRequest, context: Context) -> wire.ResolveReviewResponse:
        """Ends one."""
        item = await self._face.reviews.resolve(request.route_id, request.claim_id, _resolution(request))
        return wire.ResolveReviewResponse(review=_review(item))

    @override
    async def ReleaseReview(self, request: wire.ReleaseReviewRequest, context: Context) -> wire.ReleaseReviewResponse:
        """Gives one back."""
        item = await self._face.reviews.release(request.route_id, request.claim_id)
        return wire.ReleaseReviewResponse(review=_review(item))


def _states(numbers: Any) -> frozenset[State]:
    unknown = [number for number in numbers if number not in _READ_STATES]
    if unknown:
        raise RequestError(f"there is no review state {unknown[0]}", hint="name states of ReviewState, or none")
    return frozenset(_READ_STATES[number] for number in numbers)


def _resolution(request: wire.ResolveReviewRequest) -> Resolution:
    match request.WhichOneof("resolution"):
        case "output":
            return Resolution(is_answer=True, text=request.output)
        case "declined":
            return Resolution(is_answer=False, text=request.declined)
    raise RequestError("the resolution is neither an answer nor a reason", hint="send output or declined")


def _review(item: ReviewItem) -> wire.Review:
    review = wire.Review(
        route_id=item.route_id,
        task_id=item.task_id,
        workflow=item.workflow,
        classes=item.classes,
        reason_code=item.reason_code,
        filed_by=item.filed_by,
        state=STATES[item.state],
        claimed_by=item.claimed_by,
    )
    review.filed_at_utc.FromDatetime(item.filed_at_utc)
    review.expires_at_utc.FromDatetime(item.expires_at_utc)
    if item.claim_ends_at_utc is not None:
        review.claim_ends_at_utc.FromDatetime(item.claim_ends_at_utc)
    return review


def _result(shown: Shown) -> inference_pb2.GetReviewResponse:
    item = shown.item
    response = inference_pb2.GetReviewResponse(
        route_id=item.route_id, state=STATES[item.state], output=_output(shown), note=_note(shown)
    )
    response.filed_at_utc.FromDatetime(item.filed_at_utc)
    response.expires_at_utc.FromDatetime(item.expires_at_utc)
    return response


def _output(shown: Shown) -> str:
    return shown.resolution if shown.item.state is State.ANSWERED else ""


def _note(shown: Shown) -> str:
    return shown.resolution if shown.item.state is State.DECLINED else ""
