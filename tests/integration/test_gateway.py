"""OpenAI's own client, unmodified, on a real daemon: what it asks for it gets, or hears why not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from pydantic import BaseModel
from tests.support.daemon_process import Site
from tests.support.gateway import OTHER_TOKEN, OpenGateway, gateway_of

PATIENT = {"homebred": {"data_classes": ["patient"]}}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.add_echo("repeater", capabilities=("tools",))
    return site


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenGateway]:
    """One for all that it refuses and forgets."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.add_echo("repeater", capabilities=("tools",))
    with gateway_of(site) as running:
        yield running


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def function_calls(answer: Any) -> list[Any]:
    return list(answer.choices[0].message.tool_calls)


def test_an_answer_comes_whole_with_its_decision_in_the_head_and_in_the_body(site: Site) -> None:
    with gateway_of(site) as gateway, gateway.client() as client:
        raw = client.chat.completions.with_raw_response.create(
            model="homebred", messages=said("good morning to you"), extra_body=PATIENT
        )
    answer = raw.parse()
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("good morning to you", "stop")
    assert answer.usage is not None
    assert (answer.usage.completion_tokens, answer.usage.total_tokens) == (4, 4 + answer.usage.prompt_tokens)
    told: Any = answer.model_extra
    header = json.loads(raw.headers["x-homebred-decision"])
    assert header["route_id"] == told["homebred"]["decision"]["route_id"] == answer.id.removeprefix("chatcmpl-")
    assert header["reason_code"] == told["homebred"]["decision"]["reason_code"] == "local_only"
    assert header["selected_model_or_stack"] == told["homebred"]["outcome"]["answered_by"] == "repeater"
    assert told["homebred"]["outcome"]["status"] == "answer"
    assert raw.headers["x-request-id"] == header["route_id"]


def test_an_answer_streams_piece_by_piece_and_ends_with_what_it_took(site: Site) -> None:
    with gateway_of(site) as gateway, gateway.client() as client:
        chunks = list(
            client.chat.completions.create(
                model="homebred",
                messages=said("one two three"),
                stream=True,
                stream_options={"include_usage": True},
                extra_body=PATIENT,
            )
        )
    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert pieces == ["one ", "two ", "three"]
    assert chunks[0].choices[0].delta.role == "assistant"
    last: Any = chunks[-2]
    assert last.choices[0].finish_reason == "stop"
    assert last.homebred["outcome"]["status"] == "answer"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3


def test_an_answer_is_held_to_constraints_and_rejected_by_its_request_id(site: Site) -> None:
    labels = {"data_classes": ["patient"], "session_id": "s", "constraints": {"excludes": ["evening"]}}

    with gateway_of(site) as gateway, gateway.client() as client:

        def asked(text: str, **more: str) -> Any:
            body = {"homebred": labels | more}
            return client.chat.completions.create(model="homebred", messages=said(text), extra_body=body)

        first = asked("good morning")
        broken = asked("good evening")
        again = asked("good morning", rejects=str(first._request_id))
        with pytest.raises(openai.NotFoundError, match="can be rejected in this session"):
            asked("good morning", rejects="r-0")
    outcomes = [one.homebred["outcome"] for one in (first, broken, again)]
    assert [one["findings"] for one in outcomes] == [[], ["constraint_broken"], ["rejected_by_caller"]]
    assert [one["weak"] for one in outcomes] == [False, True, False]
    assert again.homebred["decision"]["supersedes"] == first._request_id


def test_a_tool_is_asked_for_and_its_result_leads_to_an_answer(site: Site) -> None:
    with gateway_of(site) as gateway, gateway.client() as client:
        asked = client.chat.completions.create(
            model="homebred", messages=said('weather {"town": "Bern"}'), tools=[WEATHER], extra_body=PATIENT
        )
        (call,) = function_calls(asked)
        assert asked.choices[0].finish_reason == "tool_calls"
        assert asked.choices[0].message.content is None
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"town": "Bern"})
        turns: list[Any] = [*said('weather {"town": "Bern"}'), asked.choices[0].message.model_dump()]
        result: Any = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
        answer = client.chat.completions.create(
            model="homebred", messages=[*turns, result], tools=[WEATHER], extra_body=PATIENT
        )
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content


def test_a_tool_that_must_be_asked_for_comes_in_a_stream_too(site: Site) -> None:
    with gateway_of(site) as gateway, gateway.client() as client:
        choice: Any = {"type": "function", "function": {"name": "weather"}}
        with client.chat.completions.stream(
            model="homebred", messages=said("hello"), tools=[WEATHER], tool_choice=choice, extra_body=PATIENT
        ) as stream:
            stream.until_done()
        (call,) = function_calls(stream.get_final_completion())
    assert set(json.loads(call.function.arguments)) == {"town"}


def test_structured_output_is_parsed_by_the_client(site: Site) -> None:
    class Event(BaseModel):
        name: str
        hot: bool

    with gateway_of(site) as gateway, gateway.client() as client:
        parsed = client.chat.completions.parse(
            model="homebred", messages=said("an event"), response_format=Event, extra_body=PATIENT
        )
        any_object = client.chat.completions.create(
            model="homebred", messages=said("an object"), response_format={"type": "json_object"}, extra_body=PATIENT
        )
    assert isinstance(parsed.choices[0].message.parsed, Event)
    assert isinstance(json.loads(any_object.choices[0].message.content or ""), dict)


def test_completions_answer_one_text_whole_and_in_pieces(site: Site) -> None:
    with gateway_of(site) as gateway, gateway.client() as client:
        whole = client.completions.create(model="homebred", prompt="a b c", extra_body=PATIENT)
        chunks = list(client.completions.create(model="homebred", prompt="a b c", stream=True, extra_body=PATIENT))
        cut = client.completions.create(model="homebred", prompt="a b c", max_tokens=2, stop="zzz", extra_body=PATIENT)
    assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("a b c", "stop")
    assert "".join(chunk.choices[0].text for chunk in chunks) == "a b c"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert (cut.choices[0].text.strip(), cut.choices[0].finish_reason) == ("a b", "length")


def test_the_models_are_the_router_and_the_callers_workflows_and_nothing_else_is_taken(site: Site) -> None:
    site.add_echo("sorter", workflow="letter.sort", samples=1000)
    with gateway_of(site) as gateway, gateway.client() as client, gateway.client(OTHER_TOKEN) as door:
        listed = [model.id for model in client.models.list()]
        assert listed == [model.id for model in door.models.list()] == ["homebred", "homebred/letter.sort"]
        answered = client.chat.completions.create(
            model="homebred/letter.sort", messages=said("to whom"), extra_body=PATIENT
        )
        for name in ("repeater", "sorter", "homebred/nowhere", "gpt-4o"):
            with pytest.raises(openai.NotFoundError) as refused:
                client.chat.completions.create(model=name, messages=said("x"), extra_body=PATIENT)
            assert refused.value.code == "model_not_found"
    told: Any = answered.model_extra
    assert told["homebred"]["outcome"]["answered_by"] == "sorter"


def test_a_tokens_profile_adds_its_classes_and_limits_its_workflows(site: Site) -> None:
    with gateway_of(site) as gateway, gateway.client(OTHER_TOKEN) as door:
        answered = door.chat.completions.create(model="homebred/letter.sort", messages=said("x"))
        with pytest.raises(openai.PermissionDeniedError) as refused:
            door.chat.completions.create(model="homebred", messages=said("x"))
    told: Any = answered.model_extra
    assert told["homebred"]["decision"]["classes"] == ["client", "patient"]
    assert refused.value.code == "not_permitted"


def test_labels_may_stand_in_headers(site: Site) -> None:
    with gateway_of(site) as gateway, gateway.client() as client:
        headers = {"X-Homebred-Data-Classes": "student, voice", "X-Homebred-Workflow": "letter.sort"}
        answered = client.chat.completions.create(model="homebred", messages=said("x"), extra_headers=headers)
    told: Any = answered.model_extra
    assert told["homebred"]["decision"]["classes"] == ["student", "voice"]


def test_a_token_may_not_escalate_unless_the_policy_says_so(site: Site) -> None:
    site.add_echo("weak", workflow="essay", fitness=0.1)
    permitted = 'version = 1\n[callers."token:desk"]\nmay_escalate = true\n'
    codes = []
    for policy in ("version = 1\n", permitted):
        with gateway_of(site, '[link]\nstate = "up"\n', policy=policy) as gateway, gateway.client() as client:
            labels = {"allows_escalation": True, "data_classes": ["public"], "minimum_margin": 0.9}
            try:
                raw = client.chat.completions.with_raw_response.create(
                    model="homebred", messages=said("x"), extra_body={"homebred": labels}
                )
            except openai.UnprocessableEntityError as error:
                raw_headers = error.response.headers
            else:
                raw_headers = raw.headers
            codes.append(json.loads(raw_headers["x-homebred-decision"])["selected_runtime"])
    assert codes == ["no_op", "cloud_escalation"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_task_for_a_person_is_an_error_that_says_so_and_where_to_ask(site: Site, stream: bool) -> None:  # noqa: FBT001
    with gateway_of(site) as gateway, gateway.client() as client:
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            client.chat.completions.create(
                model="homebred",
                messages=said("x"),
                stream=stream,
                extra_body={"homebred": {"data_classes": ["patient"], "requires": ["vision"]}},
            )
        body: Any = refused.value.body
        route_id = body["homebred"]["decision"]["route_id"]
        assert gateway.daemon.status().reviews.waiting == 1
    assert refused.value.code == "needs_review"
    assert f"homebred review wait {route_id}" in body["message"]
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert json.loads(refused.value.response.headers["x-homebred-decision"])["route_id"] == route_id


def test_a_degraded_answer_is_told_in_the_body(site: Site) -> None:
    policy = 'version = 1\n[callers."token:desk"]\nmay_escalate = true\n'
    with gateway_of(site, '[link]\nstate = "up"\n', policy=policy) as gateway, gateway.client() as client:
        labels = {"allows_escalation": True, "data_classes": ["public"], "minimum_margin": 0.9}
        answered = client.chat.completions.create(
            model="homebred", messages=said("good day"), extra_body={"homebred": labels}
        )
    told: Any = answered.model_extra
    assert told["homebred"]["outcome"]["status"] == "degraded"
    assert told["homebred"]["outcome"]["findings"] == ["no_cloud_lane"]


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"user": "anna"}, "user"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"extra_body": {"homebred": {"data_clases": ["patient"]}}}, "homebred.data_clases"),
        ({"extra_headers": {"X-Homebred-Data-Clases": "patient"}}, "x-homebred-data-clases"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    gateway: OpenGateway, changes: dict[str, Any], parameter: str
) -> None:
    with gateway.client() as client, pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**({"model": "homebred", "messages": said("x")} | changes))
    assert (refused.value.param or "").startswith(parameter)
    assert "next:" in str(refused.value)


def test_texts_are_embedded_here(site: Site) -> None:
    site.add_echo("searcher", workflow="menu.search", capabilities=("embeddings",))
    with gateway_of(site) as gateway, gateway.client() as client:
        whole = client.embeddings.create(model="homebred/menu.search", input=["two teas", "TWO teas", "a bell"])
        plain = client.embeddings.create(
            model="homebred",
            input="two teas",
            encoding_format="float",
            extra_body={"homebred": {"workflow": "menu.search", "deadline_s": 5}},
        )
        with pytest.raises(openai.BadRequestError, match="no specialist of this device makes embeddings"):
            client.embeddings.create(model="homebred", input="x")
        with pytest.raises(openai.BadRequestError) as refused:
            client.embeddings.create(model="homebred", input="x", dimensions=8)
    first, again, other = (one.embedding for one in whole.data)
    assert first == again == pytest.approx(plain.data[0].embedding)
    assert first != other
    assert (whole.usage.prompt_tokens, refused.value.param) == (6, "dimensions")


def test_a_stream_that_is_closed_frees_its_slot(site: Site) -> None:
    site.add_echo("dripper", workflow="drip", script={"token_delay_s": 0.05})
    with gateway_of(site) as gateway, gateway.client() as client:
        stream = client.chat.completions.create(
            model="homebred/drip", messages=said("word " * 400), stream=True, extra_body=PATIENT
        )
        heard = [next(iter(stream)) for _ in range(3)]
        assert gateway.daemon.status().streams == 1
        stream.close()
        ends_s = time.monotonic() + 5
        while gateway.daemon.status().streams:
            assert time.monotonic() < ends_s
            time.sleep(0.02)
        assert dict(gateway.daemon.status().outcomes) == {"error": 1}
    assert len(heard) == 3


def test_an_engine_that_breaks_in_the_middle_ends_the_stream_with_an_error_not_with_a_whole_answer(site: Site) -> None:
    site.add_echo("broken", workflow="break", script={"crash_after": 3, "token_delay_s": 0.2})  # the words get away
    with gateway_of(site) as gateway, gateway.client() as client:
        heard = ""
        with pytest.raises(openai.APIError) as failed:  # noqa: PT012  # the stream is what fails
            for chunk in client.chat.completions.create(
                model="homebred/break", messages=said("a b c d e f"), stream=True, extra_body=PATIENT
            ):
                assert chunk.choices[0].finish_reason is None
                heard += chunk.choices[0].delta.content or ""
    assert heard.startswith("a b")
    assert failed.value.code == "engine_unavailable"


def test_an_overloaded_daemon_says_when_to_come_again_and_the_client_does(site: Site) -> None:
    site.add_echo("dripper", workflow="drip", script={"token_delay_s": 0.5})
    with gateway_of(site, "[requests]\nmax_streams = 1\n[engine]\nslots = 1\n") as gateway, gateway.client() as client:
        stream = client.chat.completions.create(
            model="homebred/drip", messages=said("w " * 60), stream=True, extra_body=PATIENT
        )
        next(iter(stream))
        with pytest.raises(openai.RateLimitError) as refused:
            client.chat.completions.create(model="homebred", messages=said("x"), extra_body=PATIENT)
        assert refused.value.response.headers["retry-after"] == "1"
        statuses = []

        def ends_the_stream(response: httpx2.Response) -> None:
            statuses.append(response.status_code)
            stream.close()

        with openai.DefaultHttpxClient(event_hooks={"response": [ends_the_stream]}) as http:
            patient = client.with_options(max_retries=5, http_client=http)
            assert patient.chat.completions.create(model="homebred", messages=said("x"), extra_body=PATIENT).choices
        assert (statuses[0], statuses[-1]) == (429, 200)


async def test_the_asynchronous_client_is_served_alike(site: Site) -> None:
    with gateway_of(site) as gateway:
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.client().api_key) as client:
            stream = await client.chat.completions.create(
                model="homebred", messages=said("a b"), stream=True, extra_body=PATIENT
            )
            assert [chunk.choices[0].delta.content async for chunk in stream] == ["", "a ", "b", None]
