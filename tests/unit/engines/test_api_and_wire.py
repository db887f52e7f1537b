from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import homebred_engines
import homebred_protocol
from homebred_engines import api, wire
from homebred_protocol.v1 import engine_pb2

_UINT32 = st.integers(0, 2**32 - 1)
_FLOAT32 = st.floats(0, 1e6, width=32)
_content = st.text(max_size=20)
_calls = st.builds(api.ToolCall, id=_content, name=_content, arguments=st.sampled_from(["{}", '{"room": 3}']))
_tools = st.builds(
    api.Tool,
    name=st.from_regex(r"[A-Za-z0-9_-]{9,64}", fullmatch=True),
    description=_content,
    parameters=st.sampled_from(["", '{"type": "object"}']),
)
_messages = st.lists(
    st.builds(api.Message, role=st.sampled_from(["system", "user", "assistant"]), content=_content)
    | st.builds(
        api.Message, role=st.just("assistant"), content=_content, tool_calls=st.lists(_calls, max_size=2).map(tuple)
    )
    | st.builds(api.Message, role=st.just("tool"), content=_content, tool_call_id=st.text(min_size=1, max_size=9)),
    min_size=1,
    max_size=4,
).map(tuple)
_options = st.builds(
    api.GenerateOptions,
    max_tokens=_UINT32,
    temperature=st.none() | _FLOAT32,
    top_p=st.none() | st.floats(0, 1, width=32, exclude_min=True),
    top_k=st.none() | _UINT32,
    seed=st.none() | _UINT32,
    stop=st.lists(st.text(min_size=1, max_size=5), max_size=4).map(tuple),
    json_schema=st.sampled_from(["", '{"type": "object"}']),
    logprobs=st.booleans(),
    tools=st.lists(_tools, max_size=3, unique_by=lambda tool: tool.name).map(tuple),
    tool_choice=st.sampled_from(("auto", "none")),
    adapter=st.text(max_size=20),
)
_usages = st.builds(
    api.Usage,
    prompt_tokens=_UINT32,
    cached_tokens=_UINT32,
    completion_tokens=_UINT32,
    prompt_s=_FLOAT32,
    completion_s=_FLOAT32,
    queued_s=_FLOAT32,
)
_logprobs = st.builds(api.TokenLogprob, token=st.text(max_size=5), logprob=st.floats(-100, 0, width=32))
_events = st.builds(
    api.Delta, text=st.text(max_size=20), tokens=_UINT32, logprobs=st.lists(_logprobs, max_size=3).map(tuple)
) | st.builds(
    api.Finished,
    reason=st.sampled_from(api.FinishReason),
    usage=_usages,
    tool_calls=st.lists(_calls, max_size=2).map(tuple),
)
_adapters = st.lists(
    st.builds(api.Adapter, digest=st.text(min_size=1, max_size=20), path=st.text(min_size=1, max_size=20)),
    max_size=3,
    unique_by=lambda adapter: adapter.digest,
).map(tuple)
_load_options = st.builds(
    api.LoadOptions,
    model_path=st.text(max_size=20),
    model_digest=st.text(min_size=1, max_size=20),
    context_tokens=_UINT32,
    slots=_UINT32,
    threads=_UINT32,
    memory_budget_bytes=st.integers(0, 2**64 - 1),
    adapters=_adapters,
)
_stats = st.builds(
    api.WorkerStats,
    engine=st.builds(
        api.EngineStats,
        engine=st.text(max_size=9),
        engine_version=st.text(max_size=9),
        capabilities=st.lists(st.sampled_from(api.Capability), unique=True).map(tuple),
        model_digest=st.text(max_size=9),
        slots=_UINT32,
        context_tokens=_UINT32,
        threads=_UINT32,
        adapters=st.lists(st.text(max_size=9), max_size=3).map(tuple),
    ),
    running=_UINT32,
    queued=_UINT32,
    queue_limit=_UINT32,
    resident_bytes=st.integers(0, 2**64 - 1),
    generated_tokens=st.integers(0, 2**64 - 1),
    progress=st.integers(0, 2**64 - 1),
    computing=st.integers(0, 2**32 - 1),
)
_ERRORS = [
    api.ModelRefusedError("why"),
    api.ModelConflictError("why"),
    api.ModelNotLoadedError("why", hint="What next."),
    api.AdapterRefusedError("why"),
    api.AdapterRefusedError("why", adapter="sha256:a"),
    api.AdapterNotLoadedError("why"),
    api.InvalidRequestError("why"),
    api.UnsupportedOptionError("why"),
    api.UnsupportedOptionError("why", option="tools"),
    api.ContextExceededError("why", prompt_tokens=9, context_tokens=8),
    api.QueueFullError("why", retry_after_s=1.5),
    api.EngineFailedError("why", exit_code=-11, last_lines="the end"),
]


@given(_messages, _options)
def test_a_request_arrives_as_it_was_sent(messages: tuple[api.Message, ...], options: api.GenerateOptions) -> None:
    request = wire.generate_request(messages, options, request_id="r", fairness_key="f")
    received = engine_pb2.EngineGenerateRequest.FromString(request.SerializeToString())
    assert wire.generate_options(received) == (messages, options)
    assert (received.request_id, received.fairness_key) == ("r", "f")


@given(_adapters)
def test_adapters_arrive_as_they_were_sent(adapters: tuple[api.Adapter, ...]) -> None:
    assert wire.adapters_of(wire.adapters_request(adapters)) == adapters


def test_an_adapter_that_is_named_twice_is_refused() -> None:
    twice = [api.Adapter(digest="sha256:a", path=path) for path in ("one", "other")]
    with pytest.raises(api.InvalidRequestError):
        wire.adapters_of(wire.adapters_request(twice))


@given(_events)
def test_an_event_arrives_as_it_was_sent(event: api.Event) -> None:
    assert wire.read_event(engine_pb2.EngineEvent.FromString(wire.write_event(event).SerializeToString())) == event


@given(_load_options)
def test_load_options_arrive_as_they_were_sent(options: api.LoadOptions) -> None:
    assert wire.load_options(wire.load_request(options)) == options


@given(_stats)
def test_stats_arrive_as_they_were_sent(stats: api.WorkerStats) -> None:
    assert wire.read_stats(wire.write_stats(stats)) == stats


@pytest.mark.parametrize("error", _ERRORS, ids=lambda error: error.code)
def test_an_error_arrives_as_it_was_raised(error: api.EngineError) -> None:
    received = wire.unpack_error(wire.pack_error(error))
    assert type(received) is type(error)
    assert (received.why, received.hint, received.facts) == (error.why, error.hint, error.facts)
    assert str(received) == f"{error.what} why {error.hint}"


def test_every_error_has_a_status_a_code_of_its_own_and_a_sentence() -> None:
    kinds = api.EngineError.__subclasses__()
    assert set(kinds) == set(wire.STATUS_OF_ERROR) == {type(error) for error in _ERRORS}
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(error.what.endswith(".") and error.hint.endswith(".") for error in _ERRORS)


def test_an_error_of_a_newer_worker_becomes_a_failure_that_names_it() -> None:
    received = wire.unpack_error(b'{"code": "too_new", "why": "so.", "hint": "", "facts": {"x": 1}}')
    assert isinstance(received, api.EngineFailedError)
    assert "too_new" in str(received)


def test_fields_of_a_newer_daemon_are_refused() -> None:
    request = engine_pb2.LoadRequest.FromString(b"\xa0\x06\x01")
    with pytest.raises(api.UnsupportedOptionError, match="100"):
        wire.load_options(request)
    message = engine_pb2.EngineMessage.FromString(b"\x0a\x04user\xa0\x06\x01")
    with pytest.raises(api.UnsupportedOptionError):
        wire.generate_options(engine_pb2.EngineGenerateRequest(messages=[message]))


def test_a_request_without_messages_is_refused() -> None:
    with pytest.raises(api.InvalidRequestError):
        wire.generate_options(engine_pb2.EngineGenerateRequest())


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": -1},
        {"temperature": -0.1},
        {"temperature": math.inf},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"seed": 2**32},
        {"stop": ("",)},
        {"stop": tuple("abcdefghijklmnopq")},
        {"json_schema": "{"},
        {"json_schema": "[]"},
        {"json_schema": "[" * 100_000},
    ],
    ids=str,
)
def test_a_value_out_of_its_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(api.InvalidRequestError):
        api.GenerateOptions(**wrong)  # type: ignore[arg-type] # wrong on purpose


def test_an_unknown_role_and_a_model_without_identity_are_refused() -> None:
    with pytest.raises(api.InvalidRequestError, match="wizard"):
        api.Message(role="wizard", content="")
    with pytest.raises(api.InvalidRequestError, match="model_digest"):
        api.LoadOptions(model_path="x", model_digest="")


@pytest.mark.parametrize("package", [homebred_engines, homebred_protocol], ids=lambda package: package.__name__)
def test_what_the_worker_runs_is_python_3_10(package: object) -> None:
    files = sorted(Path(str(package.__file__)).parent.rglob("*.py"))  # type: ignore[attr-defined] # a module
    assert files
    for file in files:
        ast.parse(file.read_text(encoding="utf-8"), filename=str(file), feature_version=(3, 10))
