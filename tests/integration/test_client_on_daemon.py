"""The client library, waiting and asyncio alike, on a real daemon: restarts, overload, deadlines, callers that go."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.client_speakers import WAYS, speaking
from tests.support.daemon_process import Site

from homebred_protocol.client import (
    Client,
    ConnectionLostError,
    Control,
    DaemonUnreachableError,
    DeadlineError,
    Decision,
    Event,
    Message,
    NeedsReviewError,
    Outcome,
    OverloadedError,
    RequestError,
    Status,
    Task,
    Tool,
)

HELLO = Task("hello there", data_classes=("patient",))
SLOW = Task("word " * 200, data_classes=("patient",))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_texts_are_embedded_and_tools_are_asked_for(site: Site, way: str) -> None:
    site.add_echo("searcher", capabilities=["embeddings"], samples=0)
    site.add_echo("doer", capabilities=["tools"])
    ring = Tool("ring", "rings a bell", {"type": "object", "required": ["times"]})
    with site.daemon():
        async with speaking(way, site.socket) as speaker:
            embedded = await speaker.call("embed", ["two teas", "Two  teas", "a bell"])
            answer = await speaker.call("ask", Task('ring {"times": 2}', data_classes=("patient",), tools=(ring,)))
            result = Message("tool", "It rang.", tool_call_id=answer.tool_calls[0].id)
            asked = Message("assistant", answer.streamed, tool_calls=answer.tool_calls)
            talk = (Message("user", "Go on."), asked, result)
            last = await speaker.call("ask", Task(messages=talk, data_classes=("patient",), tools=(ring,)))
    first, again, other = embedded.vectors
    assert (first, embedded.made_by) == (again, "searcher")
    assert first != other
    assert [(call.name, call.parsed()) for call in answer.tool_calls] == [("ring", {"times": 2})]
    assert (answer.outcome.finish_reason, answer.outcome.answered_by) == ("tool_calls", "doer")
    assert (last.text, last.tool_calls) == ("Go on.", ())


async def test_a_task_is_answered_and_explained(site: Site, way: str) -> None:
    site.add_echo("repeater")
    with site.daemon():
        async with speaking(way, site.socket) as speaker:
            heard: list[Event] = []
            await speaker.events(HELLO, heard)
            answer = await speaker.call("ask", HELLO)
            dry = await speaker.call("route", HELLO)
            status = await speaker.control("status")
    assert (type(heard[0]), type(heard[-1])) == (Decision, Outcome)
    assert answer.text == "hello there" == "".join(event for event in heard if isinstance(event, str))
    assert (answer.status, answer.is_sure, answer.outcome.answered_by) == (Status.ANSWER, True, "repeater")
    assert (dry.reason_code, dry.route_id) == ("local_only", "")
    assert answer.route_id
    assert dict(status.outcomes) == {"answer": 2}


async def test_a_schema_is_a_dict_and_its_answer_parsed(site: Site, way: str) -> None:
    site.add_echo("repeater")
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    with site.daemon():
        async with speaking(way, site.socket) as speaker:
            task = Task('{"n": 3}', data_classes=("patient",), schema=schema)
            assert (await speaker.call("ask", task)).json() == {"n": 3}


async def test_nobody_overlooks_that_a_person_must_answer(site: Site, way: str) -> None:
    with site.daemon():
        async with speaking(way, site.socket) as speaker:
            answer = await speaker.call("ask", HELLO)
    assert answer.needs_review
    with pytest.raises(NeedsReviewError):
        answer.text  # noqa: B018  # reading is the point


async def test_a_bad_task_is_refused_in_the_daemons_words(site: Site, way: str) -> None:
    with site.daemon():
        async with speaking(way, site.socket) as speaker:
            with pytest.raises(RequestError, match="kind") as refused:
                await speaker.call("ask", Task("x", kind="poem"))
    assert refused.value.hint


async def test_a_client_goes_on_after_its_daemon_was_killed_and_started_again(site: Site, way: str) -> None:
    site.add_echo("repeater")
    async with speaking(way, site.socket, patience_s=20) as speaker:
        for killed in (True, True, False):
            with site.daemon(killed=killed):
                assert (await speaker.call("ask", HELLO)).text == "hello there"


async def test_a_call_that_waits_for_a_daemon_is_answered_by_the_next_one(site: Site, way: str) -> None:
    site.add_echo("repeater")
    async with speaking(way, site.socket, patience_s=20) as speaker:
        with site.daemon(killed=True):
            await speaker.call("ask", HELLO)
        asked = asyncio.gather(speaker.call("ask", HELLO), speaker.control("status"))
        await asyncio.sleep(0.3)
        stack = ExitStack()
        await asyncio.to_thread(stack.enter_context, site.daemon())
        try:
            answer, status = await asked
        finally:
            await asyncio.to_thread(stack.close)
    assert answer.text == "hello there"
    assert status.version


async def test_a_task_under_way_when_its_daemon_is_killed_is_lost_not_repeated(site: Site, way: str) -> None:
    site.add_echo("slow", script={"token_delay_s": 0.05})
    async with speaking(way, site.socket, patience_s=20) as speaker:
        heard: list[Event] = []
        with site.daemon(killed=True):

            async def kill_once_heard() -> None:
                await within(lambda: any(isinstance(event, str) for event in heard))
                assert site.process is not None
                site.process.kill()

            with pytest.raises(ConnectionLostError):
                await asyncio.gather(speaker.events(SLOW, heard), kill_once_heard())
    assert sum(isinstance(event, Decision) for event in heard) == 1


async def test_an_idempotent_task_under_way_when_its_daemon_is_killed_is_asked_anew(site: Site, way: str) -> None:
    site.add_echo("slow", script={"token_delay_s": 0.05})
    async with speaking(way, site.socket, patience_s=20) as speaker:
        with site.daemon(killed=True) as daemon:
            asked = asyncio.gather(*(speaker.call("ask", SLOW, idempotent=True) for _ in range(4)))
            await within(lambda: daemon.status().streams == 4)
            await asyncio.sleep(0.2)
            assert site.process is not None
            site.process.kill()
            site.process.wait()
        stack = ExitStack()
        await asyncio.to_thread(stack.enter_context, site.daemon())
        try:
            answers = await asked
        finally:
            await asyncio.to_thread(stack.close)
    assert {(answer.text, len(answer.decisions)) for answer in answers} == {(SLOW.text, 1)}


async def test_an_overloaded_daemon_is_asked_again_until_there_is_room(site: Site, way: str, tmp_path: Path) -> None:
    site.add_echo("slow", script={"token_delay_s": 0.02})
    config = tmp_path / "homebred.toml"
    config.write_text("[requests]\nmax_streams = 1\n[engine]\nslots = 1\n")
    with site.daemon("--config", str(config)), Client(site.socket, patience_s=0) as other:
        async with speaking(way, site.socket, patience_s=20) as speaker:
            stream = other.stream(SLOW)
            assert isinstance(next(stream), Decision)
            with pytest.raises(OverloadedError) as refused:
                other.ask(HELLO)
            assert refused.value.retry_after_s > 0
            threading.Timer(0.3, stream.close).start()
            assert (await speaker.call("ask", HELLO)).text == "hello there"


async def test_a_deadline_is_told_by_the_daemon_itself(site: Site, way: str) -> None:
    site.add_echo("hanging", script={"hang_after": 1})
    heard: list[Event] = []
    with site.daemon():
        async with speaking(way, site.socket) as speaker:
            with pytest.raises(DeadlineError):
                await speaker.events(Task("a b c", data_classes=("patient",), deadline_s=0.5), heard)
            assert dict((await speaker.control("status")).outcomes) == {"error": 1}
    assert isinstance(heard[-1], Outcome)
    assert heard[-1].problem is not None
    assert heard[-1].problem.code == "deadline_exceeded"


async def test_a_caller_that_stops_reading_frees_its_stream(site: Site, way: str) -> None:
    site.add_echo("slow", script={"token_delay_s": 0.05})
    with site.daemon(), Control(site.socket) as control:
        async with speaking(way, site.socket) as speaker:
            await speaker.events(SLOW, [], until=lambda event: isinstance(event, str))
            await within(lambda: control.status().streams == 0)
            assert dict(control.status().outcomes) == {"error": 1}


def test_one_client_serves_many_threads_over_a_restart(site: Site) -> None:
    site.add_echo("repeater")
    with Client(site.socket, patience_s=20) as client, ThreadPoolExecutor(8) as threads:
        for killed in (True, False):
            with site.daemon(killed=killed):
                texts = list(threads.map(lambda number: client.ask(_numbered(number)).text, range(40)))
                assert texts == [f"task {number}" for number in range(40)]


def test_a_daemon_that_is_not_there_is_told_at_once_without_patience(tmp_path: Path) -> None:
    started_s = time.monotonic()
    with Client(tmp_path / "s", patience_s=0) as client, pytest.raises(DaemonUnreachableError, match="does not answer"):
        client.ask(HELLO)
    assert time.monotonic() - started_s < 2


def _numbered(number: int) -> Task:
    return Task(f"task {number}", data_classes=("patient",))


async def within(happened: Callable[[], bool], seconds: float = 10) -> None:
    ends_s = time.monotonic() + seconds
    while not await asyncio.to_thread(happened):
        assert time.monotonic() < ends_s
        await asyncio.sleep(0.02)
