from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from tests.support.answering_stage import review_desk
from tests.support.fake_ledger import FakeLedger
from tests.support.fake_reviews import FakeReviewStore
from tests.support.ledger_entries import ENTRY, OUTCOME, entries
from tests.support.manual_clock import STARTED, ManualClock

from homebred_daemon.errors import NotFoundError, RequestError, StateError
from homebred_daemon.inbound.reviewing import Verdict
from homebred_daemon.ports.ledger import FeedbackRecord
from homebred_daemon.services.feedback import Feedback
from homebred_daemon.services.recording import Recorder

OWNER = ("uid:7", "gid:9")


class House:
    """A ledger with an answered route r1 of uid:7, and a review queue."""

    def __init__(self) -> None:
        self.ledger, self.store, clock = FakeLedger(), FakeReviewStore(), ManualClock()
        self.recorder, self.desk = Recorder(self.ledger), review_desk(self.store, clock)
        self.feedback = Feedback(self.recorder, self.desk, clock)
        self.ledger.record_decisions([ENTRY, *entries("r2", "r3")])
        self.ledger.record_outcome(OUTCOME)
        self.ledger.record_outcome(replace(OUTCOME, route_id="r2", status="error"))

    async def give(
        self,
        verdict: Verdict = Verdict.GOOD,
        output: str = "",
        *,
        route_id: str = "r1",
        caller: tuple[str, ...] = OWNER,
    ) -> None:
        await self.feedback.give(route_id, caller=caller, verdict=verdict, corrected_output=output)


@asynccontextmanager
async def opened() -> AsyncIterator[House]:
    house = House()
    async with house.recorder.running(), house.desk.running():
        yield house


def said(verdict: str, *, has_correction: bool = False) -> dict[str, FeedbackRecord]:
    record = FeedbackRecord(route_id="r1", recorded_at_utc=STARTED, verdict=verdict, has_correction=has_correction)
    return {"r1": record}


async def test_a_verdict_is_kept_without_content() -> None:
    async with opened() as house:
        await house.give()
        assert house.ledger.feedback == said("good")
        assert house.store.corrections == {}


async def test_a_corrected_output_is_sealed_apart_from_the_verdict() -> None:
    async with opened() as house:
        await house.give(Verdict.CORRECTED, "two teas")
        assert house.ledger.feedback == said("corrected", has_correction=True)
        assert house.store.correction("r1") is not None


async def test_the_last_word_holds_and_takes_an_earlier_correction_with_it() -> None:
    async with opened() as house:
        await house.give(Verdict.CORRECTED, "two teas")
        await house.give(Verdict.BAD)
        assert (house.ledger.feedback, house.store.corrections) == (said("bad"), {})


@pytest.mark.parametrize("verdict", [Verdict.GOOD, Verdict.BAD])
async def test_a_corrected_output_with_another_verdict_is_refused(verdict: Verdict) -> None:
    async with opened() as house:
        with pytest.raises(RequestError, match="comes with the verdict corrected"):
            await house.give(verdict, "two teas")
        assert (house.ledger.feedback, house.store.corrections) == ({}, {})


@pytest.mark.parametrize("caller", [(), ("uid:8",), ("gid:9", "uid:7")])
async def test_nobody_speaks_of_somebody_elses_task(caller: tuple[str, ...]) -> None:
    async with opened() as house:
        with pytest.raises(NotFoundError):
            await house.give(caller=caller)


@pytest.mark.parametrize("route_id", ["r2", "r3", "r9", ""])
async def test_nobody_speaks_of_what_was_not_answered(route_id: str) -> None:
    async with opened() as house:
        with pytest.raises(NotFoundError):
            await house.give(route_id=route_id)


async def test_where_it_cannot_be_stored_the_caller_hears_so() -> None:
    async with opened() as house:
        house.ledger.is_full = True
        with pytest.raises(StateError):
            await house.give()
