"""The engine protocol's values as messages and back: the one module that knows both sides.

Worker and daemon share it, so that whatever one writes the other reads. It does no I/O. Messages with fields that this
build does not know are refused: an option is never ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import grpc
from google.protobuf.message import Message as WireMessage
from google.protobuf.unknown_fields import UnknownFieldSet

from homebred_engines import api
from homebred_protocol.v1 import engine_pb2

ERROR_METADATA_KEY = "homebred-error-bin"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024

STATUS_OF_ERROR: dict[type[api.EngineError], grpc.StatusCode] = {
    api.ModelRefusedError: grpc.StatusCode.FAILED_PRECONDITION,
    api.ModelConflictError: grpc.StatusCode.ALREADY_EXISTS,
    api.ModelNotLoadedError: grpc.StatusCode.FAILED_PRECONDITION,
    api.AdapterRefusedError: grpc.StatusCode.FAILED_PRECONDITION,
    api.AdapterNotLoadedError: grpc.StatusCode.FAILED_PRECONDITION,
    api.InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    api.UnsupportedOptionError: grpc.StatusCode.UNIMPLEMENTED,
    api.ContextExceededError: grpc.StatusCode.OUT_OF_RANGE,
    api.QueueFullError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    api.EngineFailedError: grpc.StatusCode.INTERNAL,
}
_ERROR_OF_CODE = {error.code: error for error in STATUS_OF_ERROR}

_WIRE_REASON = {
    api.FinishReason.STOP: engine_pb2.FINISH_REASON_STOP,
    api.FinishReason.LENGTH: engine_pb2.FINISH_REASON_LENGTH,
    api.FinishReason.CANCELLED: engine_pb2.FINISH_REASON_CANCELLED,
    api.FinishReason.TOOL_CALLS: engine_pb2.FINISH_REASON_TOOL_CALLS,
}
_REASON_OF_WIRE = {wire: reason for reason, wire in _WIRE_REASON.items()}


def pack_error(error: api.EngineError) -> bytes:
    """The error as trailing metadata."""
    report = {"code": error.code, "why": error.why, "hint": error.hint, "facts": error.facts}
    return json.dumps(report).encode()


def unpack_error(packed: bytes) -> api.EngineError:
    """The same typed error again; an unknown code becomes EngineFailedError."""
    report = json.loads(packed)
    error_class = _ERROR_OF_CODE.get(report["code"])
    if error_class is None:
        return api.EngineFailedError(f"{report['code']}: {report['why']}", hint=report["hint"])
    return error_class(report["why"], hint=report["hint"], **report["facts"])


def refuse_unknown_fields(request: WireMessage) -> None:
    """Raises UnsupportedOptionError for a field that a newer peer knows and this build does not."""
    fields = UnknownFieldSet(request)
    unknown = sorted({fields[position].field_number for position in range(len(fields))})
    if unknown:
        numbers = ", ".join(map(str, unknown))
        raise api.UnsupportedOptionError(
            f"{type(request).__name__} holds fields that this worker does not know: {numbers}.",
            hint="Bring worker and daemon to the same version.",
        )


def load_request(options: api.LoadOptions) -> engine_pb2.LoadRequest:
    """Daemon side of `load_options`."""
    return engine_pb2.LoadRequest(
        model_path=options.model_path,
        model_digest=options.model_digest,
        context_tokens=options.context_tokens,
        slots=options.slots,
        threads=options.threads,
        memory_budget_bytes=options.memory_budget_bytes,
        embeddings=options.embeddings,
        adapters=_write_adapters(options.adapters),
    )


def load_options(request: engine_pb2.LoadRequest) -> api.LoadOptions:
    """Worker side of `load_request`. Raises InvalidRequestError, UnsupportedOptionError."""
    for part in (request, *request.adapters):
        refuse_unknown_fields(part)
    return api.LoadOptions(
        model_path=request.model_path,
        model_digest=request.model_digest,
        context_tokens=request.context_tokens,
        slots=request.slots,
        threads=request.threads,
        memory_budget_bytes=request.memory_budget_bytes,
        embeddings=request.embeddings,
        adapters=_read_adapters(request.adapters),
    )


def adapters_request(adapters: Iterable[api.Adapter]) -> engine_pb2.SetAdaptersRequest:
    """Daemon side of `adapters_of`."""
    return engine_pb2.SetAdaptersRequest(adapters=_write_adapters(adapters))


def adapters_of(request: engine_pb2.SetAdaptersRequest) -> tuple[api.Adapter, ...]:
    """Worker side of `adapters_request`. Raises InvalidRequestError, UnsupportedOptionError."""
    for part in (request, *request.adapters):
        refuse_unknown_fields(part)
    adapters = _read_adapters(request.adapters)
    api.require_distinct(adapters)
    return adapters


def embed_request(texts: Iterable[str], *, fairness_key: str) -> engine_pb2.EngineEmbedRequest:
    """Daemon side of `embed_texts`."""
    return engine_pb2.EngineEmbedRequest(texts=texts, fairness_key=fairness_key)


def embed_texts(request: engine_pb2.EngineEmbedRequest) -> tuple[str, ...]:
    """Worker side of `embed_request`. Raises InvalidRequestError, UnsupportedOptionError."""
    refuse_unknown_fields(request)
    if not request.texts or not all(request.texts):
        raise api.InvalidRequestError("There is no text to embed, or an empty one.")
    return tuple(request.texts)


def write_embedded(embedded: api.Embedded) -> engine_pb2.EngineEmbedResponse:
    """Worker side of `read_embedded`."""
    vectors = [engine_pb2.EngineVector(values=vector) for vector in embedded.vectors]
    return engine_pb2.EngineEmbedResponse(vectors=vectors, prompt_tokens=embedded.prompt_tokens)


def read_embedded(message: engine_pb2.EngineEmbedResponse) -> api.Embedded:
    """Daemon side of `write_embedded`."""
    vectors = tuple(tuple(vector.values) for vector in message.vectors)
    return api.Embedded(vectors=vectors, prompt_tokens=message.prompt_tokens)


def generate_request(
    messages: Iterable[api.Message], options: api.GenerateOptions, *, request_id: str, fairness_key: str
) -> engine_pb2.EngineGenerateRequest:
    """Daemon side of `generate_options`."""
    return engine_pb2.EngineGenerateRequest(
        request_id=request_id,
        fairness_key=fairness_key,
        messages=[_write_message(message) for message in messages],
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        seed=options.seed,
        stop=options.stop,
        json_schema=options.json_schema,
        logprobs=options.logprobs,
        tools=[
            engine_pb2.EngineTool(name=tool.name, description=tool.description, parameters=tool.parameters)
            for tool in options.tools
        ],
        tool_choice=options.tool_choice,
        adapter=options.adapter,
    )


def generate_options(
    request: engine_pb2.EngineGenerateRequest,
) -> tuple[tuple[api.Message, ...], api.GenerateOptions]:
    """Worker side of `generate_request`. Raises InvalidRequestError, UnsupportedOptionError."""
    refuse_unknown_fields(request)
    for part in (*request.messages, *request.tools):
        refuse_unknown_fields(part)
    messages = tuple(_read_message(message) for message in request.messages)
    if not messages:
        raise api.InvalidRequestError("The request holds no message.")
    options = api.GenerateOptions(
        max_tokens=request.max_tokens,
        temperature=request.temperature if request.HasField("temperature") else None,
        top_p=request.top_p if request.HasField("top_p") else None,
        top_k=request.top_k if request.HasField("top_k") else None,
        seed=request.seed if request.HasField("seed") else None,
        stop=tuple(request.stop),
        json_schema=request.json_schema,
        logprobs=request.logprobs,
        tools=tuple(
            api.Tool(name=tool.name, description=tool.description, parameters=tool.parameters) for tool in request.tools
        ),
        tool_choice=request.tool_choice or "auto",
        adapter=request.adapter,
    )
    return messages, options


def write_event(event: api.Event) -> engine_pb2.EngineEvent:
    """Worker side of `read_event`."""
    if isinstance(event, api.Delta):
        # Most deltas carry no log-probabilities: building the message in one call keeps the path of a token short.
        if not event.logprobs:
            return engine_pb2.EngineEvent(delta=engine_pb2.EngineDelta(text=event.text, tokens=event.tokens))
        logprobs = [engine_pb2.TokenLogprob(token=each.token, logprob=each.logprob) for each in event.logprobs]
        return engine_pb2.EngineEvent(
            delta=engine_pb2.EngineDelta(text=event.text, tokens=event.tokens, logprobs=logprobs)
        )
    usage = engine_pb2.EngineUsage(
        prompt_tokens=event.usage.prompt_tokens,
        cached_tokens=event.usage.cached_tokens,
        completion_tokens=event.usage.completion_tokens,
        prompt_seconds=event.usage.prompt_s,
        completion_seconds=event.usage.completion_s,
        queued_seconds=event.usage.queued_s,
    )
    calls = _write_calls(event.tool_calls)
    finished = engine_pb2.EngineFinished(reason=_WIRE_REASON[event.reason], usage=usage, tool_calls=calls)
    return engine_pb2.EngineEvent(finished=finished)


def read_event(message: engine_pb2.EngineEvent) -> api.Event:
    """Daemon side of `write_event`."""
    if message.WhichOneof("event") == "delta":
        delta = message.delta
        logprobs = tuple(api.TokenLogprob(token=each.token, logprob=each.logprob) for each in delta.logprobs)
        return api.Delta(text=delta.text, tokens=delta.tokens, logprobs=logprobs)
    usage = message.finished.usage
    return api.Finished(
        reason=_REASON_OF_WIRE[message.finished.reason],
        usage=api.Usage(
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            prompt_s=usage.prompt_seconds,
            completion_s=usage.completion_seconds,
            queued_s=usage.queued_seconds,
        ),
        tool_calls=_read_calls(message.finished.tool_calls),
    )


def write_stats(stats: api.WorkerStats) -> engine_pb2.DescribeResponse:
    """Worker side of `read_stats`."""
    engine = stats.engine
    return engine_pb2.DescribeResponse(
        engine=engine.engine,
        engine_version=engine.engine_version,
        capabilities=[capability.value for capability in engine.capabilities],
        model_digest=engine.model_digest,
        slots=engine.slots,
        running=stats.running,
        queued=stats.queued,
        queue_limit=stats.queue_limit,
        context_tokens=engine.context_tokens,
        threads=engine.threads,
        resident_bytes=stats.resident_bytes,
        generated_tokens=stats.generated_tokens,
        progress=stats.progress,
        computing=stats.computing,
        adapters=engine.adapters,
    )


def read_stats(message: engine_pb2.DescribeResponse) -> api.WorkerStats:
    """Daemon side of `write_stats`; capabilities that this build does not know are dropped: it cannot use them."""
    known = {capability.value for capability in api.Capability}
    return api.WorkerStats(
        engine=api.EngineStats(
            engine=message.engine,
            engine_version=message.engine_version,
            capabilities=tuple(api.Capability(name) for name in message.capabilities if name in known),
            model_digest=message.model_digest,
            slots=message.slots,
            context_tokens=message.context_tokens,
            threads=message.threads,
            adapters=tuple(message.adapters),
        ),
        running=message.running,
        queued=message.queued,
        queue_limit=message.queue_limit,
        resident_bytes=message.resident_bytes,
        generated_tokens=message.generated_tokens,
        progress=message.progress,
        computing=message.computing,
    )


def _write_message(message: api.Message) -> engine_pb2.EngineMessage:
    return engine_pb2.EngineMessage(
        role=message.role,
        content=message.content,
        tool_calls=_write_calls(message.tool_calls),
        tool_call_id=message.tool_call_id,
    )


def _read_message(message: engine_pb2.EngineMessage) -> api.Message:
    return api.Message(
        role=message.role,
        content=message.content,
        tool_calls=_read_calls(message.tool_calls),
        tool_call_id=message.tool_call_id,
    )


def _write_calls(calls: Iterable[api.ToolCall]) -> list[engine_pb2.EngineToolCall]:
    return [engine_pb2.EngineToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in calls]


def _read_calls(calls: Iterable[engine_pb2.EngineToolCall]) -> tuple[api.ToolCall, ...]:
    return tuple(api.ToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in calls)


def _write_adapters(adapters: Iterable[api.Adapter]) -> list[engine_pb2.EngineAdapter]:
    return [engine_pb2.EngineAdapter(digest=each.digest, path=each.path) for each in adapters]


def _read_adapters(adapters: Iterable[engine_pb2.EngineAdapter]) -> tuple[api.Adapter, ...]:
    return tuple(api.Adapter(digest=each.digest, path=each.path) for each in adapters)
