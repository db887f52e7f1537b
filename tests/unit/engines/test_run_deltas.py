from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest

from homebred_engines.api import Delta, FinishReason, GenerateOptions, TokenLogprob
from homebred_engines.run_deltas import read_deltas
from homebred_engines.tool_prompts import AnswerReading


@dataclass
class ScriptedRun:
    """Brings these deltas, each list at once."""

    script: list[list[Delta]]
    reason: FinishReason | None = FinishReason.STOP
    deltas: deque[Delta] = field(default_factory=deque)

    async def next_deltas(self) -> bool:
        if self.script:
            self.deltas.extend(self.script.pop(0))
        return bool(self.deltas)


def likely(text: str, logprob: float) -> TokenLogprob:
    return TokenLogprob(token=text, logprob=logprob)


def delta(text: str, *logprobs: TokenLogprob) -> Delta:
    return Delta(text=text, tokens=1, logprobs=logprobs)


async def read(script: list[list[Delta]], **options: object) -> list[Delta]:
    answer = AnswerReading(GenerateOptions(**options))  # type: ignore[arg-type]  # as named
    return [each async for each in read_deltas(ScriptedRun(script), answer)]


@pytest.mark.asyncio
async def test_what_waits_together_leaves_together() -> None:
    first, second = likely("a", -1.0), likely("b", -2.0)
    assert await read([[delta("a", first), delta("b", second)], [delta("c")]]) == [
        Delta(text="ab", tokens=2, logprobs=(first, second)),
        delta("c"),
    ]


@pytest.mark.asyncio
async def test_tokens_without_text_leave_with_the_next_text_and_at_the_end_with_none() -> None:
    assert await read([[delta("")], [delta("ä")], [delta("")]]) == [Delta(text="ä", tokens=2)]


@pytest.mark.asyncio
async def test_a_stop_string_ends_it_and_what_may_be_one_is_kept_back() -> None:
    assert await read([[delta("one st")], [delta("op two")], [delta("three")]], stop=("stop",)) == [
        delta("one "),
        delta(""),
    ]
    assert await read([[delta("one st")]], stop=("stop",)) == [delta("one "), Delta(text="st", tokens=0)]
