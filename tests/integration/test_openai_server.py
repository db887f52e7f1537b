"""The engine that asks a server on this device: against a server of its protocol that heeds much, little or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.answering_stage import Actor, Stage, accepted_task, means_of
from tests.support.openai_servers import write_server_file
from tests.support.scripted_openai_server import EVERYTHING, ScriptedServer

from homebred_daemon.adapters.engine_process import EngineProcess
from homebred_daemon.adapters.worker_child import WorkerSettings
from homebred_daemon.ports.engines import Prompt, ServedModel
from homebred_daemon.services.asking import Asking
from homebred_daemon.services.cascading import Cascading
from homebred_engines import api
from homebred_engines.api import Capability, FinishReason, GenerateOptions, Message, Tool
from homebred_engines.openai_server import OpenAiServerEngine

HELLO = (Message(role="user", content="hello"),)
RING = Tool(name="ring", parameters='{"type": "object", "properties": {"times": {"const": 2}}, "required": ["times"]}')
WAIT = Tool(name="wait")

GENERATING = set(Capability) - {Capability.EMBEDDINGS, Capability.ADAPTERS}
"""What there is to find out."""


@asynccontextmanager
async def loaded(server: ScriptedServer, tmp_path: Path, model: str = "") -> AsyncIterator[OpenAiServerEngine]:
    async with server.on_port() as address:
        path = write_server_file(tmp_path / "server.json", address, **({"model": model} if model else {}))
        engine = OpenAiServerEngine()
        steps = [step async for step in engine.load(api.LoadOptions(model_path=str(path), model_digest="sha256:m"))]
        assert steps == sorted(steps)
        assert steps[-1] == 1
        yield engine
        await engine.unload()


async def asked(
    engine: OpenAiServerEngine, options: GenerateOptions, messages: tuple[Message, ...] = HELLO
) -> tuple[str, api.Finished]:
    *deltas, finished = [event async for event in engine.generate(messages, options)]
    assert isinstance(finished, api.Finished)
    return "".join(delta.text for delta in deltas if isinstance(delta, api.Delta)), finished


async def test_what_a_server_heeds_becomes_its_capabilities(tmp_path: Path) -> None:
    async with loaded(ScriptedServer(), tmp_path) as engine:
        assert set(engine.stats().capabilities) == GENERATING


@pytest.mark.parametrize("missing", ["json_schema", "logprobs", "prefix_cache", "seed", "tools"])
async def test_what_it_takes_and_ignores_is_none(missing: str, tmp_path: Path) -> None:
    async with loaded(ScriptedServer(heeds=EVERYTHING - {missing}), tmp_path) as engine:
        assert GENERATING - {*engine.stats().capabilities} == {Capability(missing)}


async def test_a_poor_server_still_answers_and_stops(tmp_path: Path) -> None:
    poor = ScriptedServer(heeds=frozenset({"max_tokens"}))
    async with loaded(poor, tmp_path) as engine:
        assert engine.stats().capabilities == (Capability.STOP,)
        text, finished = await asked(engine, GenerateOptions(max_tokens=3))
        assert (len(text.split()), finished.reason, finished.usage.completion_tokens) == (3, FinishReason.LENGTH, 3)
        whole, _ = await asked(engine, GenerateOptions())
        text, finished = await asked(engine, GenerateOptions(stop=("lo",)))
        assert (text, finished.reason, "lo" in whole) == ("hel", FinishReason.STOP, True)


async def test_a_server_that_does_not_keep_to_max_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(api.ModelRefusedError, match="max_tokens"):
        async with loaded(ScriptedServer(heeds=EVERYTHING - {"max_tokens"}), tmp_path):
            pass


async def test_its_own_tools_are_called(tmp_path: Path) -> None:
    server = ScriptedServer()
    async with loaded(server, tmp_path) as engine:
        for choice, name, arguments in (("required", "ring", '{"times": 2}'), ("wait", "wait", "{}")):
            text, finished = await asked(engine, GenerateOptions(tools=(RING, WAIT), tool_choice=choice))
            assert (text, finished.reason) == ("", FinishReason.TOOL_CALLS)
            assert [(call.id, call.name, call.arguments) for call in finished.tool_calls] == [
                ("call_x", name, arguments)
            ]
        text, finished = await asked(engine, GenerateOptions(tools=(RING,)))
        assert (bool(text), finished.tool_calls) == (True, ())
        call = api.ToolCall(id="c", name="ring", arguments="{}")
        talk = (*HELLO, Message(role="assistant", content="", tool_calls=(call,)))
        await asked(engine, GenerateOptions(), (*talk, Message(role="tool", content="rung", tool_call_id="c")))
        assert [message["role"] for message in server.asked[-1]["messages"]] == ["user", "assistant", "tool"]
        assert server.asked[-1]["messages"][1]["tool_calls"][0]["function"] == {"name": "ring", "arguments": "{}"}


@pytest.mark.parametrize("schema", ['{"not": {"type": "null"}}', '{"properties": {"a": {"pattern": "x"}}}'])
async def test_a_schema_that_a_server_may_not_follow_is_refused(schema: str, tmp_path: Path) -> None:
    async with loaded(ScriptedServer(), tmp_path) as engine:
        with pytest.raises(api.UnsupportedOptionError) as refusal:
            await asked(engine, GenerateOptions(json_schema=schema))
        assert refusal.value.option == "json_schema"


@pytest.mark.parametrize(
    ("models", "model", "told"), [(("a", "b"), "", "a, b"), (("a",), "c", "'c'"), ((), "", "it has none")]
)
async def test_a_model_that_the_server_does_not_have_is_refused(
    models: tuple[str, ...], model: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(api.ModelRefusedError, match=told):
        async with loaded(ScriptedServer(models=models), tmp_path, model):
            pass


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("status 400", api.InvalidRequestError),
        ("status 401", api.EngineFailedError),
        ("status 429", api.QueueFullError),
        ("status 500", api.EngineFailedError),
        ("breaks off", api.EngineFailedError),
        ("no json", api.EngineFailedError),
        ("no http", api.EngineFailedError),
    ],
)
async def test_every_failure_of_a_server_has_its_error(
    fault: str, error: type[api.EngineError], tmp_path: Path
) -> None:
    server = ScriptedServer()
    async with loaded(server, tmp_path) as engine:
        server.fault = fault
        with pytest.raises(error) as caught:
            await asked(engine, GenerateOptions())
        assert caught.value.hint
        if isinstance(caught.value, api.QueueFullError):
            assert caught.value.retry_after_s == 7
        server.fault = ""
        assert (await asked(engine, GenerateOptions()))[0]


async def test_where_nobody_listens_that_is_said(tmp_path: Path) -> None:
    path = write_server_file(tmp_path / "server.json", f"unix:{tmp_path}/none.sock")
    with pytest.raises(api.EngineFailedError, match="There is no server at unix:"):
        async for _ in OpenAiServerEngine().load(api.LoadOptions(model_path=str(path), model_digest="sha256:m")):
            pass


@pytest.mark.parametrize("how", ["closed", "unloaded"])
async def test_a_server_hears_at_once_that_nobody_waits_any_more(how: str, tmp_path: Path) -> None:
    server = ScriptedServer()
    async with loaded(server, tmp_path) as engine, asyncio.TaskGroup() as group:
        server.fault = "hangs"
        asking = group.create_task(asked(engine, GenerateOptions()))
        async with asyncio.timeout(5):
            while not server.asked or server.asked[-1]["messages"][0]["content"] != "hello":  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            if how == "closed":
                asking.cancel()
            else:
                await engine.unload()
                assert (await asking)[1].reason is FinishReason.CANCELLED
            await server.hung_up.wait()


class OneWorker:
    """Fulfils `ports.EnginePool` with one worker process."""

    def __init__(self, worker: EngineProcess) -> None:
        self._worker = worker

    async def generate(self, model: ServedModel, prompt: Prompt) -> AsyncGenerator[api.Event, None]:
        async with aclosing(self._worker.generate(prompt.messages, prompt.options)) as events:
            async for event in events:
                yield event

    async def embed(self, model: ServedModel, texts: Sequence[str], *, fairness_key: str) -> api.Embedded:
        return await self._worker.embed(texts, fairness_key=fairness_key)

    def out_of_service(self) -> frozenset[ServedModel]:
        return frozenset()


async def test_an_answer_of_a_server_that_heeds_no_schema_fits_it_all_the_same(tmp_path: Path) -> None:
    server = ScriptedServer(heeds=frozenset({"max_tokens"}), obeys_words=True)
    settings = WorkerSettings(engine="openai_server", runtime_dir=tmp_path)
    async with server.on_socket(f"{tmp_path}/s") as address, EngineProcess(settings) as worker:
        path = write_server_file(tmp_path / "server.json", address)
        await worker.load(api.LoadOptions(model_path=str(path), model_digest="sha256:m"))
        stage = Stage({"a": Actor()})
        means = replace(means_of(stage), pool=OneWorker(worker))
        task = accepted_task(schema='{"type": "object"}')
        cascading = Cascading(stage.standing(), task, means, note=lambda _: None)
        asking = Asking(stage.standing(), task, means, stage.hear, route_id="r1", cascading=cascading)
        generated = await asking.ask(("a",))
    assert (generated.text, generated.finish_reason, stage.heard) == ("{}", "stop", ["<< {}"])
    said = [message["content"] for message in server.asked[-1]["messages"]]
    assert said[-2:] == ["Sure!", "That does not fit: it is not JSON. Try again."]
