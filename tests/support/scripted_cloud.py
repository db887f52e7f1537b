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

TOKEN = re.compile("⟦[^⟧]*⟧")


@dataclass(slots=True)
class ScriptedCloud:
    """`CloudLane` by a script: texts, and an error or the end. A `{n}` in a text is the n-th token that it was sent."""

    script: Sequence[str | CloudError | CloudFinish]
    asked: list[CloudRequest] = field(default_factory=list)
    deadlines_s: list[float] = field(default_factory=list)

    async def ask(self, request: CloudRequest, *, deadline_s: float) -> AsyncGenerator[CloudEvent, None]:
        self.asked.append(request)
        self.deadlines_s.append(deadline_s)
        tokens = TOKEN.findall("\n".join((request.system, *(turn.content for turn in request.turns))))
        for step in self.script:
            match step:
                case CloudError():
                    raise step
                case CloudFinish():
                    yield CloudFinished(reason=step, usage=CloudUsage(input_tokens=7, output_tokens=3))
                case text:
                    yield CloudText(text.format(*tokens))
