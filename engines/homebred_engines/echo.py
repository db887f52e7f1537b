"""A deterministic engine without a model: it answers with the last user message, word by word. For tests and dry runs.

A token is a word with the white space around it. It asks for a tool where the message is the tool's name and a JSON
object, or where one must be asked for. `seed`, `temperature`, `top_p` and `top_k` are accepted and change
nothing. How it misbehaves, and what it answers instead, is told by its model file or the prompt: see `echo_script.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import os
import re
import time
from collections.abc import AsyncGenerator, Sequence

from homebred_engines import api
from homebred_engines.echo_script import EchoAdapter, EchoScript, read_adapter_file, read_model_file, read_prompt
from homebred_engines.echo_tools import tool_calls
from homebred_engines.json_instance import fits, smallest_instance
from homebred_engines.model_room import DEFAULT_CONTEXT_TOKENS, answer_room

_VERSION = "1"
_DEFAULT_SLOTS = 4
_CAPABILITIES = tuple(capability for capability in api.Capability if capability is not api.Capability.PREFIX_CACHE)
_EMBEDDING = (api.Capability.EMBEDDINGS,)
_GENERATING = tuple(capability for capability in _CAPABILITIES if capability not in _EMBEDDING)
_DIMENSIONS = 16
_TOKEN = re.compile(r"\s*\S+\s*")
_FROZEN_S = 3600.0


class EchoEngine:
    """Implements `api.Engine`."""

    def __init__(self) -> None:
        self._options: api.LoadOptions | None = None
        self._script = EchoScript()
        self._adapters: dict[str, EchoAdapter] = {}
        self._unloading = asyncio.Event()
        self._words_sent = 0

    async def load(self, options: api.LoadOptions) -> AsyncGenerator[float, None]:
        """Reads the model file, if one is named, and takes as long as it says."""
        script = read_model_file(options.model_path)
        adapters = _read_adapters(options.adapters, options.model_digest)
        yield 0.0
        if script.crash_on_load:
            os.abort()
        await asyncio.sleep(script.load_delay_s)
        yield 1.0
        self._script, self._options, self._unloading = script, options, asyncio.Event()
        self._adapters = adapters

    async def set_adapters(self, adapters: Sequence[api.Adapter]) -> AsyncGenerator[float, None]:
        """Reads their files, and takes as long as loading the model does."""
        read = _read_adapters(adapters, self.stats().model_digest)
        yield 0.0
        await asyncio.sleep(self._script.load_delay_s)
        self._adapters = read
        yield 1.0

    async def generate(
        self, messages: Sequence[api.Message], options: api.GenerateOptions
    ) -> AsyncGenerator[api.Event, None]:
        """Streams the answer, one word a delta."""
        unloading, context_tokens = self._unloading, self.stats().context_tokens
        script, text = read_prompt(_last_user_text(messages), self._script)
        prompt_tokens = _count_prompt(messages)
        room = answer_room(prompt_tokens, context_tokens=context_tokens)
        calls = tool_calls(text, messages[-1].role, options)
        words, reason = _answer("" if calls else self._said(text, options), options, room=room)
        started_at = first_at = time.monotonic()
        sent = 0
        for word in words:
            await _pause(script.token_delay_s if sent else script.prefill_delay_s, unloading)
            await _misbehave(script, sent, unloading)
            if unloading.is_set():
                reason = api.FinishReason.CANCELLED
                break
            if not sent:
                first_at = time.monotonic()
            sent += 1
            self._words_sent += 1
            logprobs = (api.TokenLogprob(token=word, logprob=script.logprob),) if options.logprobs else ()
            yield api.Delta(text=word, tokens=1, logprobs=logprobs)
        usage = api.Usage(
            prompt_tokens=prompt_tokens,
            completion_tokens=sent,
            prompt_s=first_at - started_at,
            completion_s=time.monotonic() - first_at,
        )
        if calls and reason is api.FinishReason.STOP:
            reason = api.FinishReason.TOOL_CALLS
        yield api.Finished(reason=reason, usage=usage, tool_calls=calls)

    async def embed(self, texts: Sequence[str]) -> api.Embedded:
        """A vector of its words' digests: the same words, the same vector, in whatever order."""
        for text in texts:
            prompt = [api.Message(role="user", content=text)]
            answer_room(_count_prompt(prompt), context_tokens=self.stats().context_tokens)
        tokens = [_TOKEN.findall(text) for text in texts]
        return api.Embedded(vectors=tuple(map(_vector, tokens)), prompt_tokens=sum(map(len, tokens)))

    async def unload(self) -> None:
        """Forgets the script; streams end at their next word."""
        self._options = None
        self._unloading.set()

    def progress(self) -> int:
        """Words."""
        return self._words_sent

    def stats(self) -> api.EngineStats:
        """What the load asked for, on one thread."""
        options = self._options
        if options is None:
            return api.EngineStats(engine="echo", engine_version=_VERSION, capabilities=_CAPABILITIES)
        return api.EngineStats(
            engine="echo",
            engine_version=_VERSION,
            capabilities=_EMBEDDING if options.embeddings else _GENERATING,
            model_digest=options.model_digest,
            slots=options.slots or _DEFAULT_SLOTS,
            context_tokens=options.context_tokens or DEFAULT_CONTEXT_TOKENS,
            threads=1,
            adapters=tuple(sorted(self._adapters)),
        )

    def _said(self, text: str, options: api.GenerateOptions) -> str:
        """The text behind the adapter's word."""
        if not options.adapter:
            return text
        if options.adapter not in self._adapters:
            raise api.AdapterNotLoadedError(f"{options.adapter} was asked for.")
        return text if options.json_schema else f"{self._adapters[options.adapter].says} {text}"


def _read_adapters(adapters: Sequence[api.Adapter], model_digest: str) -> dict[str, EchoAdapter]:
    return {each.digest: read_adapter_file(each, model_digest) for each in adapters}


def _vector(words: Sequence[str]) -> tuple[float, ...]:
    sums = [0.0] * _DIMENSIONS
    for word in words:
        digest = hashlib.sha256(word.strip().casefold().encode()).digest()
        for place in range(_DIMENSIONS):
            sums[place] += digest[place] - 127.5
    length = math.hypot(*sums)
    return tuple(value / length for value in sums)


def _last_user_text(messages: Sequence[api.Message]) -> str:
    return next((message.content for message in reversed(messages) if message.role == "user"), "")


def _count_prompt(messages: Sequence[api.Message]) -> int:
    return sum(1 + len(_TOKEN.findall(message.content)) for message in messages)


def _answer(text: str, options: api.GenerateOptions, *, room: int) -> tuple[list[str], api.FinishReason]:
    """The words to send and why they end: schema first, then stop strings, then the limit."""
    if options.json_schema and text:
        text = _instance_text(text, options)
    ends = [position for position in map(text.find, options.stop) if position >= 0]
    words = _TOKEN.findall(text[: min(ends)] if ends else text)
    limit = min(options.max_tokens or room, room)
    if len(words) > limit:
        return words[:limit], api.FinishReason.LENGTH
    return words, api.FinishReason.STOP


def _instance_text(text: str, options: api.GenerateOptions) -> str:
    schema = options.parsed_schema()
    try:
        if fits(json.loads(text), schema):
            return text
    except (ValueError, RecursionError):
        pass  # not JSON: an instance is made instead
    return json.dumps(smallest_instance(schema))


async def _misbehave(script: EchoScript, sent: int, unloading: asyncio.Event) -> None:
    if sent == script.fail_after:
        raise api.EngineFailedError("Its script said so.")
    if sent == script.crash_after:
        os.abort()
    if sent == script.freeze_after:
        time.sleep(_FROZEN_S)  # noqa: ASYNC251 - a process that no longer answers is what the test asked for
    while sent == script.stall_after:
        with contextlib.suppress(asyncio.CancelledError):  # as native code that does not come back
            await asyncio.sleep(_FROZEN_S)
    if sent == script.hang_after:
        await unloading.wait()


async def _pause(delay_s: float, unloading: asyncio.Event) -> None:
    if delay_s <= 0:
        await asyncio.sleep(0)  # a cancellation may come in at every word
        return
    try:
        await asyncio.wait_for(unloading.wait(), delay_s)
    except asyncio.TimeoutError:
        return
