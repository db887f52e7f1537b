"""The client library, waiting and asyncio alike, against a real grpc server that says what the test says."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.support.client_speakers import WAYS, Speaker, speaking
from tests.support.scripted_daemon import DRAINING, OVERLOADED, Held, Refusal, ScriptedDaemon, refusal

from homebred_protocol.client import (
    CallError,
    Client,
    ConflictError,
    ConnectionLostError,
    Control,
    DaemonUnreachableError,
    DeadlineError,
    Decision,
    DrainingError,
    EngineUnavailableError,
    Event,
    FailedError,
    NeedsReviewError,
    NotFoundError,
    NotPermittedError,
    Outcome,
    OverloadedError,
    RequestError,
    ReviewState,
    Status,
    Task,
    UnattestedError,
    UnsupportedError,
    Verdict,
)
from homebred_protocol.v1 import control_pb2
from homebred_protocol.v1 import inference_pb2 as wire

DECISION = wire.GenerateEvent(decision=wire.RouteDecision(route_id="r-1", selected_runtime=wire.RUNTIME_LOCAL))
ONE, TWO = wire.GenerateEvent(delta="one "), wire.GenerateEvent(delta="two")
ANSWERED = wire.GenerateEvent(outcome=wire.Outcome(status=wire.OUTCOME_STATUS_ANSWER))
FAILED = wire.GenerateEvent(outcome=wire.Outcome(status=wire.OUTCOME_STATUS_ERROR))
PERSON = wire.GenerateEvent(outcome=wire.Outcome(status=wire.OUTCOME_STATUS_REVIEW))
WHOLE = [DECISION, ONE, TWO, ANSWERED]
ENGINE_DOWN = refusal(grpc.StatusCode.UNAVAILABLE, "engine_unavailable")
SOON_S = 5.0


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    daemon = ScriptedDaemon(tmp_path / "s")
    daemon.start()
    yield daemon
    daemon.stop()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def speaker(way: str, daemon: ScriptedDaemon) -> AsyncIterator[Speaker]:
    async with speaking(way, daemon.socket, patience_s=2.0) as speaker:
        yield speaker


def words(heard: list[Event]) -> str:
    return "".join(event for event in heard if isinstance(event, str))


async def test_a_stream_yields_decision_pieces_and_one_outcome(speaker: Speaker, daemon: ScriptedDaemon) -> None:
    daemon.will("Generate", WHOLE)
    heard: list[Event] = []
    await speaker.events(Task("x"), heard)
    assert [type(event) for event in heard] == [Decision, str, str, Outcome]
    assert words(heard) == "one two"


async def test_the_whole_answer_is_asked_for_in_one_call(speaker: Speaker, daemon: ScriptedDaemon) -> None:
    daemon.will("Generate", WHOLE)
    answer = await speaker.call("ask", "hello")
    assert (answer.text, answer.route_id, answer.status) == ("one two", "r-1", Status.ANSWER)
    (request,) = daemon.requests("Generate")
    assert request.task.text == "hello"
    assert request.task.task_id


async def test_a_task_for_a_person_is_an_outcome_that_nobody_can_overlook(
    speaker: Speaker, daemon: ScriptedDaemon
) -> None:
    daemon.will("Generate", [DECISION, PERSON])
    answer = await speaker.call("ask", "hello")
    assert answer.needs_review
    with pytest.raises(NeedsReviewError) as forgotten:
        answer.text  # noqa: B018  # reading is the point
    assert forgotten.value.route_id == "r-1"


async def test_an_outcome_that_is_an_error_is_followed_by_the_error(speaker: Speaker, daemon: ScriptedDaemon) -> None:
    daemon.will("Generate", [DECISION, ONE, FAILED, ENGINE_DOWN])
    heard: list[Event] = []
    with pytest.raises(EngineUnavailableError, match="engine_unavailable"):
        await speaker.events(Task("x"), heard)
    assert isinstance(heard[-1], Outcome)
    with pytest.raises(EngineUnavailableError):
        await speaker.call("ask", "x")


@pytest.mark.parametrize("events", [[], [DECISION], [DECISION, ONE]])
async def test_an_answer_without_its_outcome_is_a_failure(
    speaker: Speaker, daemon: ScriptedDaemon, events: list[Any]
) -> None:
    daemon.will("Generate", events)
    with pytest.raises(FailedError, match="outcome"):
        await speaker.call("ask", "x")


async def test_events_and_words_of_a_newer_daemon_do_no_harm(speaker: Speaker, daemon: ScriptedDaemon) -> None:
    newer: Any = 99
    outcome = wire.GenerateEvent(outcome=wire.Outcome(status=newer))
    daemon.will("Generate", [DECISION, wire.GenerateEvent(), ONE, outcome])
    answer = await speaker.call("ask", "x")
    assert (answer.status, answer.streamed) == (Status.UNKNOWN, "one ")
    with pytest.raises(FailedError, match="unknown"):
        answer.text  # noqa: B018


async def test_a_call_that_an_older_daemon_does_not_know_says_so(speaker: Speaker) -> None:
    with pytest.raises(UnsupportedError):
        await speaker.call("get_review", "r-1")
    with pytest.raises(UnsupportedError):
        await speaker.control("drain")


@pytest.mark.parametrize("refused", [OVERLOADED, DRAINING, Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED)])
async def test_a_task_that_was_not_taken_is_sent_again_under_the_same_name(
    speaker: Speaker, daemon: ScriptedDaemon, refused: Refusal
) -> None:
    daemon.will("Generate", refused, refused, WHOLE)
    assert (await speaker.call("ask", "x")).text == "one two"
    assert len({request.task.task_id for request in daemon.requests("Generate")}) == 1
    assert len(daemon.heard) == 3


async def test_a_refusal_that_lasts_reaches_the_caller_with_its_advice(way: str, daemon: ScriptedDaemon) -> None:
    daemon.will("Generate", DRAINING)
    async with speaking(way, daemon.socket, patience_s=0.2) as speaker:
        with pytest.raises(DrainingError) as refused:
            await speaker.call("ask", "x")
    assert refused.value.retry_after_s == 0.02
    assert len(daemon.heard) > 2


async def test_without_patience_nothing_is_sent_twice(way: str, daemon: ScriptedDaemon) -> None:
    daemon.will("Generate", OVERLOADED, WHOLE)
    async with speaking(way, daemon.socket, patience_s=0) as speaker:
        with pytest.raises(OverloadedError):
            await speaker.call("ask", "x")


@pytest.mark.parametrize("heard", [[DECISION], [DECISION, ONE]])
async def test_nothing_is_sent_again_once_an_event_was_received(
    speaker: Speaker, daemon: ScriptedDaemon, heard: list[Any]
) -> None:
    daemon.will("Generate", [*heard, OVERLOADED], WHOLE)
    with pytest.raises(OverloadedError):
        await speaker.call("ask", "x")
    assert len(daemon.heard) == 1


REFUSED = {
    grpc.StatusCode.INVALID_ARGUMENT: RequestError,
    grpc.StatusCode.PERMISSION_DENIED: NotPermittedError,
    grpc.StatusCode.UNAUTHENTICATED: UnattestedError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ABORTED: ConflictError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
    grpc.StatusCode.INTERNAL: FailedError,
}


@pytest.mark.parametrize(("status", "kind"), REFUSED.items(), ids=lambda value: getattr(value, "name", ""))
async def test_what_would_fail_again_is_sent_once(
    speaker: Speaker, daemon: ScriptedDaemon, status: grpc.StatusCode, kind: type[CallError]
) -> None:
    for method, call in (("Generate", "ask"), ("Route", "route")):
        daemon.heard.clear()
        daemon.will(method, Refusal(status))
        with pytest.raises(kind):
            await speaker.call(call, "x")
        assert len(daemon.heard) == 1


async def test_a_task_whose_fate_is_unknown_is_not_sent_again(speaker: Speaker, daemon: ScriptedDaemon) -> None:
    daemon.will("Generate", Held())
    with pytest.raises(ConnectionLostError):
        await asyncio.gather(speaker.call("ask", "x"), stopped_once_called(daemon))
    assert len(daemon.heard) == 1


async def test_a_harmless_call_is_made_again_when_the_daemon_is_back(speaker: Speaker, daemon: ScriptedDaemon) -> None:
    daemon.will("Route", Held(), wire.RouteResponse(decision=wire.RouteDecision(reason_code="margin_met")))
    decision, _ = await asyncio.gather(speaker.call("route", "x"), stopped_once_called(daemon, started_again=True))
    assert decision.reason_code == "margin_met"


async def test_a_daemon_that_is_not_there_yet_is_waited_for(way: str, tmp_path: Path) -> None:
    daemon = ScriptedDaemon(tmp_path / "s")
    daemon.will("Generate", WHOLE)
    async with speaking(way, daemon.socket, patience_s=10) as speaker:
        answer, _ = await asyncio.gather(speaker.call("ask", "x"), started(daemon, after_s=0.3))
        assert answer.text == "one two"
    daemon.stop()


async def test_a_daemon_that_never_comes_is_unreachable_after_the_patience(way: str, tmp_path: Path) -> None:
    started_s = time.monotonic()
    async with speaking(way, tmp_path / "s", patience_s=0.3) as speaker:
        with pytest.raises(DaemonUnreachableError, match="does not answer at") as gone:
            await speaker.call("ask", "x")
    assert type(gone.value) is DaemonUnreachableError
    assert time.monotonic() - started_s < SOON_S


async def test_the_deadline_is_for_all_tries_and_each_is_told_what_is_left(
    speaker: Speaker, daemon: ScriptedDaemon
) -> None:
    daemon.will("Generate", OVERLOADED, OVERLOADED, WHOLE)
    await speaker.call("ask", Task("x", deadline_s=20.0))
    told = [request.task.deadline_s for request in daemon.requests("Generate")]
    assert 20.0 >= told[0] > told[1] > told[2] > 15.0
    assert all(one.time_left_s is not None and one.time_left_s > 15.0 for one in daemon.heard)


async def test_a_daemon_that_says_nothing_is_given_up_shortly_after_the_deadline(
    speaker: Speaker, daemon: ScriptedDaemon
) -> None:
    daemon.will("Generate", [DECISION, Held()])
    started_s = time.monotonic()
    with pytest.raises(DeadlineError):
        await speaker.call("ask", Task("x", deadline_s=0.2))
    assert 0.2 < time.monotonic() - started_s < SOON_S
    assert await asyncio.to_thread(daemon.left.wait, SOON_S)


async def test_a_task_without_a_deadline_leaves_it_to_the_device(speaker: Speaker, daemon: ScriptedDaemon) -> None:
    daemon.will("Generate", WHOLE)
    await speaker.call("ask", "x")
    assert not daemon.requests("Generate")[0].task.HasField("deadline_s")
    assert daemon.heard[0].time_left_s is None


async def test_a_short_call_ends_in_its_own_time(way: str, daemon: ScriptedDaemon) -> None:
    daemon.will("Route", Held())
    async with speaking(way, daemon.socket, timeout_s=0.2) as speaker:
        with pytest.raises(DeadlineError):
            await speaker.call("route", "x")


async def test_leaving_a_stream_cancels_the_task(speaker: Speaker, daemon: ScriptedDaemon) -> None:
    daemon.will("Generate", [DECISION, ONE, Held()])
    heard: list[Event] = []
    await speaker.events(Task("x"), heard, until=lambda event: isinstance(event, str))
    assert words(heard) == "one "
    assert await asyncio.to_thread(daemon.left.wait, SOON_S)


async def test_a_message_longer_than_either_side_takes_is_the_callers_mistake(
    speaker: Speaker, daemon: ScriptedDaemon
) -> None:
    daemon.will("Route", wire.RouteResponse())
    with pytest.raises(RequestError, match="too long"):
        await speaker.call("route", "x" * (5 << 20))  # over the server's default of 4 MiB


async def test_a_review_is_polled_until_it_has_ended(speaker: Speaker, daemon: ScriptedDaemon) -> None:
    waiting = wire.GetReviewResponse(route_id="r-1", state=wire.REVIEW_STATE_WAITING)
    daemon.will(
        "GetReview", waiting, wire.GetReviewResponse(route_id="r-1", state=wire.REVIEW_STATE_ANSWERED, output="yes")
    )
    review = await speaker.call("wait_for_review", "r-1", timeout_s=20)
    assert (review.state, review.output) == (ReviewState.ANSWERED, "yes")
    assert [0 < request.wait_s <= 20 for request in daemon.requests("GetReview")] == [True, True]


async def test_a_review_that_takes_longer_is_returned_as_it_stands(speaker: Speaker, daemon: ScriptedDaemon) -> None:
    daemon.will("GetReview", wire.GetReviewResponse(route_id="r-1", state=wire.REVIEW_STATE_CLAIMED))
    review = await speaker.call("wait_for_review", "r-1", timeout_s=0.1)
    assert (review.state, review.ended, review.output) == (ReviewState.CLAIMED, False, None)
    daemon.will("GetReview", refusal(grpc.StatusCode.NOT_FOUND, "not_found"))
    with pytest.raises(NotFoundError):
        await speaker.call("wait_for_review", "r-1", timeout_s=5)


async def test_feedback_is_sent_and_sent_again(speaker: Speaker, daemon: ScriptedDaemon) -> None:
    daemon.will("Feedback", OVERLOADED, wire.FeedbackResponse())
    await speaker.call("feedback", "r-1", Verdict.CORRECTED, corrected_output="tea")
    first, second = daemon.requests("Feedback")
    assert (
        first == second == wire.FeedbackRequest(route_id="r-1", verdict=wire.VERDICT_CORRECTED, corrected_output="tea")
    )


CONTROL: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "GetStatus": ("status", (), {}),
    "ReloadModels": ("reload_models", (), {}),
    "LoadModel": ("load_model", ("m",), {}),
    "UnloadModel": ("unload_model", ("m",), {}),
    "PinModel": ("pin_model", ("m",), {}),
    "GetPolicy": ("get_policy", (), {}),
    "SetPolicy": ("set_policy", (b"x = 1",), {"check_only": True}),
    "Drain": ("drain", (), {}),
    "SetLogLevel": ("set_log_level", ("debug",), {}),
    "ListBundles": ("list_bundles", (), {}),
    "ShowBundle": ("show_bundle", ("c",), {}),
    "DecideBundle": ("decide_bundle", ("c",), {"lets_go": True}),
    "ListReviews": ("list_reviews", ((ReviewState.WAITING,),), {"limit": 3}),
    "ClaimReview": ("claim_review", ("r",), {"lease_s": 60.0}),
    "ShowReview": ("show_review", ("r",), {}),
    "ResolveReview": ("resolve_review", ("r", "c"), {"output": "yes"}),
    "ReleaseReview": ("release_review", ("r", "c"), {}),
}
NOT_BLINDLY = {"LoadModel", "UnloadModel", "SetPolicy", "SetLogLevel", "ClaimReview", "ReleaseReview", "DecideBundle"}


@pytest.mark.parametrize("method", CONTROL)
async def test_every_call_of_control_is_made_and_answered_by_its_own_message(
    speaker: Speaker, daemon: ScriptedDaemon, method: str
) -> None:
    name, arguments, named = CONTROL[method]
    answer = getattr(control_pb2, f"{method}Response")()
    daemon.will(method, OVERLOADED, answer)  # not taken: made again, whatever it does
    assert await speaker.control(name, *arguments, **named) == answer
    first, second = daemon.requests(method)
    assert first == second


@pytest.mark.parametrize("method", CONTROL)
async def test_a_call_of_control_is_made_again_on_a_broken_connection_only_where_twice_is_once(
    speaker: Speaker, daemon: ScriptedDaemon, method: str
) -> None:
    name, arguments, named = CONTROL[method]
    daemon.will(method, Refusal(grpc.StatusCode.UNAVAILABLE), getattr(control_pb2, f"{method}Response")())
    if method in NOT_BLINDLY:
        with pytest.raises(ConnectionLostError):
            await speaker.control(name, *arguments, **named)
    else:
        await speaker.control(name, *arguments, **named)
    assert len(daemon.heard) == (1 if method in NOT_BLINDLY else 2)


async def test_a_watch_tells_of_every_change_until_it_is_closed(speaker: Speaker, daemon: ScriptedDaemon) -> None:
    daemon.will("WatchReviews", [control_pb2.Review(route_id="a"), control_pb2.Review(route_id="b"), Held()])
    assert [review.route_id for review in await speaker.watched(2)] == ["a", "b"]
    assert await asyncio.to_thread(daemon.left.wait, SOON_S)
    daemon.will("WatchReviews", refusal(grpc.StatusCode.PERMISSION_DENIED, "not_permitted"))
    with pytest.raises(NotPermittedError):
        await speaker.watched(1)


def test_one_client_serves_many_threads(daemon: ScriptedDaemon) -> None:
    daemon.will("Generate", WHOLE)
    failed: list[BaseException] = []

    def ask(client: Client) -> None:
        try:
            for _ in range(10):
                assert client.ask("x").text == "one two"
        except BaseException as error:  # noqa: BLE001  # a thread's failure is the test's
            failed.append(error)

    with Client(daemon.socket) as client:
        threads = [threading.Thread(target=ask, args=(client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
    assert len({request.task.task_id for request in daemon.requests("Generate")}) == 80


def test_another_thread_may_close_a_stream_that_waits(daemon: ScriptedDaemon) -> None:
    daemon.will("Generate", [DECISION, Held()])
    with Client(daemon.socket) as client, client.stream("x") as stream:
        assert isinstance(next(stream), Decision)
        threading.Timer(0.1, stream.close).start()
        assert list(stream) == []
    assert daemon.left.wait(SOON_S)


def test_closing_the_client_ends_waiting_for_another_try(tmp_path: Path) -> None:
    client = Client(tmp_path / "s", patience_s=60)
    threading.Timer(0.2, client.close).start()
    started_s = time.monotonic()
    with pytest.raises(DaemonUnreachableError):
        client.route("x")
    assert time.monotonic() - started_s < SOON_S


async def test_cancelling_the_reader_cancels_the_task(daemon: ScriptedDaemon) -> None:
    daemon.will("Generate", [DECISION, ONE, Held()])
    async with speaking("asyncio", daemon.socket) as speaker:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await speaker.call("ask", "x")
        assert await asyncio.to_thread(daemon.left.wait, SOON_S)


async def test_one_asyncio_client_has_many_tasks_in_flight(daemon: ScriptedDaemon) -> None:
    daemon.will("Generate", WHOLE)
    async with speaking("asyncio", daemon.socket) as speaker:
        answers = await asyncio.gather(*(speaker.call("ask", "x") for _ in range(20)))
    assert {answer.text for answer in answers} == {"one two"}


def test_the_table_above_knows_every_call_of_control() -> None:
    offered = {name for name, value in vars(Control).items() if inspect.isfunction(value) and name[0] != "_"}
    assert offered - {name for name, _, _ in CONTROL.values()} == {
        "close",
        "import_releases",
        "resume",
        "watch_reviews",
    }


async def stopped_once_called(daemon: ScriptedDaemon, *, started_again: bool = False) -> None:
    ends_s = time.monotonic() + SOON_S
    while not daemon.heard:
        assert time.monotonic() < ends_s
        await asyncio.sleep(0.005)
    await asyncio.to_thread(daemon.stop)
    if started_again:
        await started(daemon, after_s=0.2)


async def started(daemon: ScriptedDaemon, *, after_s: float) -> None:
    await asyncio.sleep(after_s)
    daemon.start()
