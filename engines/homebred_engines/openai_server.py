"""Any server on this device that speaks OpenAI's chat completions, such as llama-server, vLLM or trtllm-serve.

The model's file names it (`openai_server_file.py`); what it honours is found out as it is loaded (`openai_probes.py`).
The server has its own life: nothing is started, stopped or freed here. Where it sends a prompt is its own affair.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from homebred_engines import api
from homebred_engines.local_http import Connections
from homebred_engines.openai_chat import CompletionReading
from homebred_engines.openai_endpoint import Endpoint, found
from homebred_engines.openai_probes import can_be_guided, probed
from homebred_engines.openai_server_file import read_server_file
from homebred_engines.schema_keywords import uncommon_keywords
from homebred_engines.tool_prompts import AnswerReading, asks_for_tools, call_forms

_DEFAULT_SLOTS = 4
_MAX_PROVEN_SCHEMAS = 256


@dataclass(slots=True, kw_only=True)
class _Loaded:
    """A server that was found and probed."""

    stats: api.EngineStats
    endpoint: Endpoint
    proven_schemas: set[str] = field(default_factory=set)


class OpenAiServerEngine(api.WithoutEmbeddings, api.WithoutAdapters):
    """Implements `api.Engine`."""

    def __init__(self) -> None:
        self._loaded: _Loaded | None = None
        self._deltas = 0

    async def load(self, options: api.LoadOptions) -> AsyncGenerator[float, None]:
        """Finds the server and its model, and what of the options it honours."""
        file = read_server_file(options.model_path)
        yield 0.0
        endpoint = await found(file, Connections(file.address))
        context_tokens = _context_tokens(options, endpoint)
        capabilities: list[api.Capability] = []
        probes = 0
        async with aclosing(probed(endpoint)) as findings:
            async for capability in findings:
                probes += 1
                capabilities += [] if capability is None else [capability]
                yield probes / (len(api.Capability) + 1)
        yield 1.0
        self._loaded = _Loaded(
            stats=api.EngineStats(
                engine="openai_server",
                engine_version=endpoint.server,
                capabilities=tuple(capability for capability in api.Capability if capability in capabilities),
                model_digest=options.model_digest,
                slots=options.slots or _DEFAULT_SLOTS,
                context_tokens=context_tokens,
                threads=0,
            ),
            endpoint=endpoint,
        )

    async def generate(
        self, messages: Sequence[api.Message], options: api.GenerateOptions
    ) -> AsyncGenerator[api.Event, None]:
        """Streams one chat completion; closing the stream closes the connection, and the server hears of it so."""
        loaded = self._loaded
        if loaded is None:
            raise api.ModelNotLoadedError("A generation was asked of it.")
        await _refuse_unguided(loaded, options)
        reading, answer = CompletionReading(), AnswerReading(api.GenerateOptions(stop=options.stop))
        started_at, first_at = time.monotonic(), 0.0
        try:
            async with aclosing(loaded.endpoint.completion(messages, options, reading)) as deltas:
                async for delta in deltas:
                    self._deltas += 1
                    first_at = first_at or time.monotonic()
                    yield replace(delta, text=answer.feed(delta.text)) if options.stop else delta
                    if answer.stopped:
                        break
        except api.EngineFailedError:
            if self._loaded is loaded:
                raise
        if kept := answer.finish(is_truncated=False):
            yield api.Delta(text=kept, tokens=0)
        reason = api.FinishReason.STOP if answer.stopped else reading.reason
        if reason is None and self._loaded is loaded:
            raise api.EngineFailedError("The server ended an answer without a reason.")
        ended_at = time.monotonic()
        first_at = first_at or ended_at
        usage = reading.finished_usage(prompt_s=first_at - started_at, completion_s=ended_at - first_at)
        yield _finished(reason or api.FinishReason.CANCELLED, reading.calls() if not answer.stopped else (), usage)

    async def unload(self) -> None:
        """Hangs up; the server stays as it is."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded.endpoint.connections.close()

    def progress(self) -> int:
        """Pieces of answers: of a prompt that is being read, a server says nothing."""
        return self._deltas

    def stats(self) -> api.EngineStats:
        """As loaded."""
        if self._loaded is not None:
            return self._loaded.stats
        return api.EngineStats(engine="openai_server", engine_version="", capabilities=())


def _finished(reason: api.FinishReason, calls: tuple[api.ToolCall, ...], usage: api.Usage) -> api.Finished:
    return api.Finished(reason=api.FinishReason.TOOL_CALLS if calls else reason, usage=usage, tool_calls=calls)


def _context_tokens(options: api.LoadOptions, endpoint: Endpoint) -> int:
    """As asked for, else as the server says; 0: neither says. Raises InvalidRequestError."""
    if options.context_tokens > endpoint.context_tokens > 0:
        raise api.InvalidRequestError(
            f"A context of {options.context_tokens} tokens was asked of a server that gives {endpoint.context_tokens}.",
            hint="Start the server with a larger context, or write a smaller max_context into the manifest.",
        )
    return options.context_tokens or endpoint.context_tokens


async def _refuse_unguided(loaded: _Loaded, options: api.GenerateOptions) -> None:
    """Raises UnsupportedOptionError for a schema that the server would take and not follow."""
    if api.Capability.JSON_SCHEMA not in loaded.stats.capabilities:
        return  # tools alone, which the server guides by itself or not: their calls are checked by who asked
    wanted = [("json_schema", options.parsed_schema())] if options.json_schema else []
    wanted += [("tools", form.schema) for form in call_forms(options) if asks_for_tools(options)]
    for option, schema in wanted:
        if uncommon := uncommon_keywords(schema):
            why = f"A server may drop these keywords of {option} without a word: {', '.join(uncommon)}."
            raise api.UnsupportedOptionError(why, option=option)
        key = repr(schema)
        if key in loaded.proven_schemas:
            continue
        if not await can_be_guided(loaded.endpoint, schema):
            raise api.UnsupportedOptionError(f"The server does not follow the schema in {option}.", option=option)
        if len(loaded.proven_schemas) >= _MAX_PROVEN_SCHEMAS:
            loaded.proven_schemas.clear()
        loaded.proven_schemas.add(key)
