"""Of several sources of signed files the first that answers at all gives them, within one look."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from typing_extensions import override

from homebred_daemon.adapters.trust.sources import FirstReachable
from homebred_daemon.core.trust_refusals import Reason, Refusal
from homebred_daemon.errors import UntrustedError


@dataclass
class Scripted:
    """Gives its name, or fails."""

    name: bytes
    reason: Reason | None = None
    asked: list[str] = field(default_factory=list)

    async def fetch(self, name: str, at_most: int) -> bytes:
        self.asked.append(name)
        if self.reason is not None:
            raise Refusal(reason=self.reason, about=name).error()
        return self.name


async def test_the_first_that_answers_gives_this_file_and_all_that_follow() -> None:
    away, there, further = Scripted(b"a", Reason.UNREACHABLE), Scripted(b"b"), Scripted(b"c")
    source = FirstReachable([away, there, further])
    assert [await source.fetch(name, 10) for name in ("one", "two")] == [b"b", b"b"]
    assert (away.asked, there.asked, further.asked) == (["one"], ["one", "two"], [])


async def test_one_that_says_nothing_is_passed_over_as_one_that_cannot_be_reached() -> None:
    silent, there = Scripted(b"a", Reason.TOO_SLOW), Scripted(b"b")
    assert await FirstReachable([silent, there]).fetch("one", 10) == b"b"


async def test_one_that_answers_wrongly_has_answered() -> None:
    wrong, other = Scripted(b"a", Reason.ABSENT), Scripted(b"b")
    with pytest.raises(UntrustedError) as caught:
        await FirstReachable([wrong, other]).fetch("one", 10)
    assert caught.value.reason == Reason.ABSENT
    assert other.asked == []


async def test_where_none_answers_the_last_says_why() -> None:
    with pytest.raises(UntrustedError) as caught:
        await FirstReachable([Scripted(b"a", Reason.UNREACHABLE), Scripted(b"b", Reason.UNREACHABLE)]).fetch("one", 10)
    assert caught.value.reason == Reason.UNREACHABLE


async def test_of_two_who_fetch_at_the_same_time_neither_passes_over_one_that_nobody_has_asked() -> None:
    away, there, further = Slow(b"a", Reason.UNREACHABLE), Slow(b"b"), Slow(b"c")
    source = FirstReachable([away, there, further])
    bodies = await asyncio.gather(source.fetch("one", 10), source.fetch("two", 10))
    assert [*bodies] == [b"b", b"b"]
    assert further.asked == []


class Slow(Scripted):
    """Lets others go on before it answers."""

    @override
    async def fetch(self, name: str, at_most: int) -> bytes:
        await asyncio.sleep(0)
        return await super().fetch(name, at_most)
