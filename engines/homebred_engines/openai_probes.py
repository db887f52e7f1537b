"""What a server that speaks OpenAI's protocol really honours, found out by tiny requests and never by its word.

Many a server takes an option and ignores it. So each is asked for something that comes out only where it is honoured;
what fails, takes too long or comes out otherwise is no capability. How well it is honoured is not measured.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from homebred_engines import api
from homebred_engines.openai_chat import CompletionReading
from homebred_engines.openai_endpoint import Endpoint

_PROBE_TIMEOUT_S = 30.0
_SAY = "Write the word hello ten times, and nothing else."
_FEW_TOKENS = 4
_SOME_TOKENS = 16
_MANY_TOKENS = 120
_MARK = {"const": "yes"}
_MARKED = '{"mark":"yes"'
_TOOL = api.Tool(
    name="homebred_probe",
    description="Marks the answer.",
    parameters=json.dumps(
        {"type": "object", "properties": {"mark": _MARK}, "required": ["mark"], "additionalProperties": False}
    ),
)
_DEFINITIONS = ("$defs", "definitions")


@dataclass(frozen=True, slots=True)
class _Heard:
    text: str
    deltas: tuple[api.Delta, ...]
    reading: CompletionReading


async def probed(endpoint: Endpoint) -> AsyncGenerator[api.Capability | None, None]:
    """Each capability that the server has; None for each that it lacks.

    Raises ModelRefusedError for a server that is of no use: it does not answer, or not within `max_tokens`.
    """
    await _require_answer(endpoint)
    yield api.Capability.STOP  # stop strings are looked for here too
    for capability, probe in _PROBES.items():
        yield capability if await _is_passed(probe, endpoint) else None
    await _require_answer(endpoint)  # it is still there: what failed was refused, and is not for want of a server


async def _is_passed(probe: Callable[[Endpoint], Awaitable[bool]], endpoint: Endpoint) -> bool:
    try:
        return await asyncio.wait_for(probe(endpoint), _PROBE_TIMEOUT_S)
    except (api.EngineError, asyncio.TimeoutError):
        return False


async def can_be_guided(endpoint: Endpoint, schema: dict[str, object]) -> bool:
    """Whether output follows this schema: another one that it stands in is seen to be followed.

    Servers drop a schema that their decoder cannot compile, and answer as if there had been none.
    """
    wrapped = {
        "type": "object",
        "properties": {"mark": _MARK, "answer": {key: part for key, part in schema.items() if key not in _DEFINITIONS}},
        "required": ["mark", "answer"],
        "additionalProperties": False,
        **{key: schema[key] for key in _DEFINITIONS if key in schema},
    }
    options = api.GenerateOptions(temperature=0, max_tokens=_SOME_TOKENS * 2, json_schema=json.dumps(wrapped))
    return "".join((await _heard(endpoint, options)).text.split()).startswith(_MARKED)


async def _require_answer(endpoint: Endpoint) -> None:
    options = api.GenerateOptions(temperature=0, max_tokens=_FEW_TOKENS)
    try:
        heard = await asyncio.wait_for(_heard(endpoint, options), _PROBE_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise api.EngineFailedError(f"The server gave no answer within {_PROBE_TIMEOUT_S:g} s.") from None
    if len(heard.deltas) > _FEW_TOKENS:
        raise api.ModelRefusedError("The server does not keep to max_tokens.", hint="Choose a server that does.")
    if heard.reading.reason is None or not heard.text:
        raise api.ModelRefusedError("The server streams no answer.", hint="Choose a server with chat completions.")


async def _has_json_schema(endpoint: Endpoint) -> bool:
    return await can_be_guided(endpoint, {"enum": ["a", "b"]})


async def _has_logprobs(endpoint: Endpoint) -> bool:
    heard = await _heard(endpoint, api.GenerateOptions(temperature=0, max_tokens=_FEW_TOKENS, logprobs=True))
    return all(delta.logprobs for delta in heard.deltas if delta.text)


async def _has_seed(endpoint: Endpoint) -> bool:
    options = api.GenerateOptions(temperature=1.5, max_tokens=_SOME_TOKENS, seed=7)
    return len({(await _heard(endpoint, options)).text for _ in range(3)}) == 1


async def _has_tools(endpoint: Endpoint) -> bool:
    options = api.GenerateOptions(temperature=0, max_tokens=_MANY_TOKENS, tools=(_TOOL,))
    for choice in ("required", _TOOL.name):
        asked = api.GenerateOptions(
            temperature=0, max_tokens=_MANY_TOKENS, tools=(_TOOL, api.Tool(name="other")), tool_choice=choice
        )
        calls = (await _heard(endpoint, asked)).reading.calls()
        if not calls or not all(_is_probe(call) or (choice == "required" and call.name == "other") for call in calls):
            return False
    await _heard(endpoint, options)  # left to the model: that it is taken at all
    return True


async def _has_prefix_cache(endpoint: Endpoint) -> bool:
    options = api.GenerateOptions(temperature=0, max_tokens=1)
    await _heard(endpoint, options)
    again = (await _heard(endpoint, options)).reading
    return again.finished_usage(prompt_s=0, completion_s=0).cached_tokens > 0


_PROBES: dict[api.Capability, Callable[[Endpoint], Awaitable[bool]]] = {
    api.Capability.JSON_SCHEMA: _has_json_schema,
    api.Capability.LOGPROBS: _has_logprobs,
    api.Capability.SEED: _has_seed,
    api.Capability.TOOLS: _has_tools,
    api.Capability.PREFIX_CACHE: _has_prefix_cache,
}


def _is_probe(call: api.ToolCall) -> bool:
    try:
        return call.name == _TOOL.name and json.loads(call.arguments) == {"mark": "yes"}
    except ValueError:
        return False


async def _heard(endpoint: Endpoint, options: api.GenerateOptions) -> _Heard:
    reading, deltas = CompletionReading(), []
    messages = (api.Message(role="user", content=_SAY),)
    async with aclosing(endpoint.completion(messages, options, reading)) as heard:
        async for delta in heard:
            deltas.append(delta)
            if options.max_tokens and len(deltas) > options.max_tokens:
                break
    return _Heard("".join(delta.text for delta in deltas), tuple(deltas), reading)
