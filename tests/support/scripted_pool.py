"""An engine pool whose specialists follow a script: what each says, how long it takes, and how it fails.

A script holds one play for each time the specialist is asked; the last play is repeated. It loads nothing and
generates nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.manual_clock import ManualClock

from homebred_daemon.ports.engines import Prompt, ServedModel
from homebred_engines import api

USAGE = api.Usage(prompt_tokens=7, cached_tokens=2, completion_tokens=3)


@dataclass(frozen=True, slots=True)
class Takes:
    """Time passes."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Sure:
    """A piece of text whose one token had this probability's logarithm."""

    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Ends:
    """The generation's last event."""

    reason: api.FinishReason = api.FinishReason.STOP
    tool_calls: tuple[api.ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Hangs:
    """Nothing more comes, until the stream is closed."""


Step = str | Sure | Takes | Ends | Hangs | Exception
Play = Sequence[Step]


def asks_for(name: str, arguments: str, *pieces: str) -> Play:
    """A play that says these pieces and asks for a tool."""
    call = api.ToolCall(id="call_0", name=name, arguments=arguments)
    return (*pieces, Ends(api.FinishReason.TOOL_CALLS, (call,)))


def says(*pieces: str) -> Play:
    """A play that says these pieces and ends in good order."""
    return (*pieces, Ends())


@dataclass(slots=True)
class ScriptedPool:
    """Fulfils `ports.EnginePool`; a model's path is its specialist's id."""

    clock: ManualClock
    script: Mapping[str, Sequence[Play]]
    """By specialist."""
    asked: list[tuple[str, Prompt]] = field(default_factory=list)
    """Who was asked what, in order."""
    closed: list[str] = field(default_factory=list)
    """Whose streams have ended, in whatever way."""
    embedded: list[tuple[str, tuple[str, ...], str]] = field(default_factory=list)
    """Who embedded what, for whom."""
    resting: frozenset[ServedModel] = frozenset()
    """Models that are not asked now."""

    async def generate(self, model: ServedModel, prompt: Prompt) -> AsyncGenerator[api.Event, None]:
        plays = self.script[model.path]
        play = plays[min(sum(name == model.path for name, _ in self.asked), len(plays) - 1)]
        self.asked.append((model.path, prompt))
        try:
            for step in play:
                await asyncio.sleep(0)
                if isinstance(step, Takes):
                    self.clock.pass_s(step.seconds)
                elif isinstance(step, Hangs):
                    await asyncio.Event().wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    yield _event(step)
        finally:
            self.closed.append(model.path)

    async def embed(self, model: ServedModel, texts: Sequence[str], *, fairness_key: str) -> api.Embedded:
        """As many vectors, each of which says who made it; or its first play's error."""
        play = self.script[model.path][0]
        for step in play:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, Hangs):
                await asyncio.Event().wait()
        self.embedded.append((model.path, tuple(texts), fairness_key))
        return api.Embedded(vectors=tuple((1.0,) for _ in texts), prompt_tokens=len(texts))

    def out_of_service(self) -> frozenset[ServedModel]:
        return self.resting


def _event(step: str | Sure | Ends) -> api.Event:
    match step:
        case str(text):
            return api.Delta(text=text, tokens=1)
        case Sure(text=text, logprob=logprob):
            return api.Delta(text=text, tokens=1, logprobs=(api.TokenLogprob(token=text, logprob=logprob),))
        case Ends(reason=reason, tool_calls=calls):
            return api.Finished(reason=reason, usage=USAGE, tool_calls=calls)
