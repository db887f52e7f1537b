"""A cloud lane that plays a script: what it says, token by token, and how it fails."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from homebred_daemon.ports.cloud import (
    CloudError,
    CloudEvent,
    CloudFinish,
    CloudFinished,
    CloudRequest,
    CloudText,
    CloudUsage,
)
from homebred_engines import api

TOKEN = re.compile("⟦[^⟧]*⟧")


@dataclass(frozen=True, slots=True)
class Asks:
    """A tool that the model asks for, the n-th where `name` is a number; `{n}` in the arguments is the n-th token."""

    name: str
    arguments: str


@dataclass(slots=True)
class ScriptedCloud:
    """`CloudLane` by a script: texts, tools, an error or the end. A `{n}` in a text is the n-th token it was sent."""

    script: Sequence[str | Asks | CloudError | CloudFinish]
    asked: list[CloudRequest] = field(default_factory=list)
    deadlines_s: list[float] = field(default_factory=list)

    async def ask(self, request: CloudRequest, *, deadline_s: float) -> AsyncGenerator[CloudEvent, None]:
        self.asked.append(request)
        self.deadlines_s.append(deadline_s)
        tokens = TOKEN.findall("\n".join((request.system, *(turn.content for turn in request.turns))))
        calls: tuple[api.ToolCall, ...] = ()
        for step in self.script:
            match step:
                case CloudError():
                    raise step
                case CloudFinish():
                    usage = CloudUsage(input_tokens=7, output_tokens=3)
                    yield CloudFinished(reason=step, usage=usage, tool_calls=calls)
                case Asks(name=name, arguments=arguments):
                    for number, token in enumerate(tokens):
                        arguments = arguments.replace(f"{{{number}}}", token)
                    name = request.tools[int(name)].name if name.isdecimal() else name
                    calls += (api.ToolCall(id="", name=name, arguments=arguments),)
                case text:
                    yield CloudText(text.format(*tokens))
