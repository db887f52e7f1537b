"""The calls about reviews as gRPC serves them to several users; who calls is told in the call's metadata here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.support.answering_stage import accepted_task, review_desk
from tests.support.fake_ledger import FakeLedger
from tests.support.fake_reviews import FakeReviewStore
from tests.support.ledger_entries import ENTRY, OUTCOME, entry
from tests.support.manual_clock import ManualClock
from typing_extensions import override

from homebred_daemon.adapters.grpc_api.access import AccessInterceptor
from homebred_daemon.adapters.grpc_api.reviews import AfterwardsRpcs, ReviewFace, ReviewRpcs
from homebred_daemon.core.access import AccessRules, Peer
from homebred_daemon.core.review import State
from homebred_daemon.inbound.reviewing import Shown
from homebred_daemon.services.feedback import Feedback
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.reviews.review_desk import ReviewDesk
from homebred_protocol.v1 import control_pb2, control_pb2_grpc, inference_pb2, inference_pb2_grpc

REVIEWER = "uid:9"
RULES = AccessRules(
    own_uid=0,
    callers=frozenset({"uid:7", "uid:8", "uid:9", "uid:10"}),
    operators=frozenset(),
    reviewers=frozenset({"uid:9", "uid:10"}),
)


class House:
    """A desk with a task r1 of uid:7, and the stubs to call it."""

    def __init__(self, desk: ReviewDesk, recorder: Recorder, channel: grpc.aio.Channel) -> None:
        self.desk, self.recorder = desk, recorder
        self.inference: Any = inference_pb2_grpc.InferenceStub(channel)
        self.control: Any = control_pb2_grpc.ControlStub(channel)
        self.defects: list[BaseException] = []

    async def get(self, uid: str, wait_s: float = 0) -> Any:
        request = inference_pb2.GetReviewRequest(route_id="r1", wait_s=wait_s)
        return await self.inference.GetReview(request, metadata=(("uid", uid),))

    async def give(self, uid: str, verdict: int = inference_pb2.VERDICT_GOOD) -> None:
        request = inference_pb2.FeedbackRequest(route_id="r1", verdict=verdict)  # type: ignore[arg-type]  # any number
        await self.inference.Feedback(request, metadata=(("uid", uid),))

    async def claim(self, uid: str, **fields: Any) -> Any:
        return await self.control.ClaimReview(control_pb2.ClaimReviewRequest(**fields), metadata=(("uid", uid),))


def peer_of(context: Any) -> Peer:
    uid = dict(context.invocation_metadata()).get("uid", REVIEWER)
    return Peer(uid=int(uid.removeprefix("uid:")), gids=(), pid=1)


def caller_of(context: Any) -> tuple[str, ...]:
    return peer_of(context).principals


@asynccontextmanager
async def opened(tmp_path: Path, desk: ReviewDesk | None = None) -> AsyncIterator[House]:
    clock, ledger = ManualClock(), FakeLedger()
    ledger.record_decisions([ENTRY])
    ledger.record_outcome(OUTCOME)
    desk, recorder = desk or review_desk(FakeReviewStore(), clock), Recorder(ledger)
    defects: list[BaseException] = []
    guard = AccessInterceptor(peer_of, RULES, max_streams=8, report_defect=defects.append)
    server = grpc.aio.server(interceptors=[guard])
    face = ReviewFace(
        reviews=desk,
        feedbacks=Feedback(recorder, desk, clock),
        caller_of=caller_of,
        sees_all=lambda context: REVIEWER in caller_of(context),
    )
    control_pb2_grpc.add_ControlServicer_to_server(ReviewRpcs(face), server)  # type: ignore[abstract]  # half of it
    inference_pb2_grpc.add_InferenceServicer_to_server(AfterwardsRpcs(face), server)  # type: ignore[abstract]
    server.add_insecure_port(f"unix:{tmp_path}/s")
    async with desk.running(), recorder.running():
        await server.start()
        async with grpc.aio.insecure_channel(f"unix:{tmp_path}/s") as channel:
            house = House(desk, recorder, channel)
            house.defects = defects
            await desk.file("r1", accepted_task(caller=("uid:7",)), entry("r1").decision)
            yield house
        await server.stop(0)


async def code(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code()


async def test_only_who_sent_a_task_and_those_who_see_all_learn_of_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        assert (await house.get("uid:7")).state == inference_pb2.REVIEW_STATE_WAITING
        assert (await house.get(REVIEWER)).route_id == "r1"
        assert await code(house.get("uid:8")) is grpc.StatusCode.NOT_FOUND
        assert (await house.get("uid:7", wait_s=float("nan"))).route_id == "r1"


async def test_only_who_got_an_answer_says_how_good_it_was(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        await house.give("uid:7")
        assert await code(house.give("uid:8")) is grpc.StatusCode.NOT_FOUND
        assert await code(house.give(REVIEWER)) is grpc.StatusCode.NOT_FOUND
        for verdict in (0, 99):
            assert await code(house.give("uid:7", verdict)) is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_claim_bears_the_name_of_its_caller_and_another_is_told_of_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        claim = await house.claim(REVIEWER)
        assert (claim.review.claimed_by, claim.claim_id) == (REVIEWER, "c1")
        assert await code(house.claim("uid:10", route_id="r1")) is grpc.StatusCode.ABORTED
        assert await code(house.claim("uid:10")) is grpc.StatusCode.NOT_FOUND
        assert await code(house.claim("uid:10", route_id="r1", lease_s=-1)) is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_is_no_resolution_and_no_state_is_a_bad_request(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        resolve = control_pb2.ResolveReviewRequest(route_id="r1", claim_id="c1")
        assert await code(house.control.ResolveReview(resolve)) is grpc.StatusCode.INVALID_ARGUMENT
        listing = control_pb2.ListReviewsRequest(states=[inference_pb2.REVIEW_STATE_UNSPECIFIED])
        assert await code(house.control.ListReviews(listing)) is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_watcher_who_vanishes_gives_its_place_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        for _ in range(30):
            call = house.control.WatchReviews(control_pb2.WatchReviewsRequest())
            assert (await call.read()).route_id == "r1"
            call.cancel()
            await asyncio.sleep(0.01)


async def test_our_own_fault_is_told_without_its_words(tmp_path: Path) -> None:
    class Broken(ReviewDesk):
        @override
        async def show(self, route_id: str) -> Shown:
            raise ValueError("may Xylophonia go home?")

    broken = Broken.__new__(Broken)
    broken.__dict__ = review_desk(FakeReviewStore(), ManualClock()).__dict__
    async with opened(tmp_path, broken) as house:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await house.control.ShowReview(control_pb2.ShowReviewRequest(route_id="r1"))
        assert refused.value.code() is grpc.StatusCode.INTERNAL
        assert "Xylophonia" not in f"{refused.value.details()}{refused.value.trailing_metadata()}"
        assert [type(one) for one in house.defects] == [ValueError]
        items, _ = await house.desk.listed(frozenset({State.WAITING}), 0)
        assert len(items) == 1
