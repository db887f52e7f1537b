"""The deltas of a run that fills a deque, as whoever asked for the generation gets them."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from homebred_engines.api import Delta, FinishReason
from homebred_engines.tool_prompts import AnswerReading


class DeltaRun(Protocol):
    """A generation that some library runs."""

    deltas: deque[Delta]
    """Not yet read."""
    reason: FinishReason | None
    """Once it has ended."""

    async def next_deltas(self) -> bool:
        """Waits for deltas; False when there will be none."""
        ...


async def read_deltas(run: DeltaRun, answer: AnswerReading) -> AsyncGenerator[Delta, None]:
    """What waits together leaves together; tokens without text leave with the next text."""
    waiting: list[Delta] = []
    while not answer.stopped and await run.next_deltas():
        waiting += [run.deltas.popleft() for _ in range(len(run.deltas))]
        if any(delta.text for delta in waiting):
            yield _joined(waiting, answer)
            waiting = []
    if kept := answer.finish(is_truncated=run.reason is FinishReason.LENGTH):
        yield Delta(text=kept, tokens=0)


def _joined(deltas: Sequence[Delta], answer: AnswerReading) -> Delta:
    return Delta(
        text=answer.feed("".join(delta.text for delta in deltas)),
        tokens=sum(delta.tokens for delta in deltas),
        logprobs=tuple(each for delta in deltas for each in delta.logprobs),
    )
