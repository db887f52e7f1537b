"""How a call ends that fails: with the error's status, and our own faults without their words."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import pytest

from homebred_daemon.adapters.grpc_api.failures import CallEndedError, failures_as_status
from homebred_daemon.errors import NotFoundError, defect
from homebred_protocol.v1 import inference_pb2, status_pb2

Metadata = tuple[tuple[str, bytes], ...]
CANARY = "Ms Zorblatt's canary"


class AbortedError(Exception):
    """What grpc raises to end a call."""


@dataclass(slots=True)
class Call:
    """A call's context that hears how it is ended."""

    ended: list[tuple[grpc.StatusCode, str, inference_pb2.Problem]] = field(default_factory=list)

    async def abort(
        self, code: grpc.StatusCode, details: str, trailing_metadata: tuple[tuple[str, bytes], ...]
    ) -> None:
        status = status_pb2.StatusDetails.FromString(trailing_metadata[0][1])
        problem = inference_pb2.Problem()
        assert status.details[1].Unpack(problem)
        self.ended.append((code, details, problem))
        raise AbortedError


@dataclass(slots=True)
class Ended:
    """How a call ended, and what was reported of it."""

    code: grpc.StatusCode
    details: str
    problem: inference_pb2.Problem
    reported: list[BaseException]


async def ended(failure: BaseException) -> Ended:
    call, reported = Call(), list[BaseException]()
    with pytest.raises(AbortedError):
        async with failures_as_status(cast("Any", call), reported.append):
            raise failure
    ((code, details, problem),) = call.ended
    return Ended(code, details, problem, reported)


async def test_an_error_ends_the_call_with_its_status_its_words_and_what_next() -> None:
    how = await ended(NotFoundError("no such model", hint="list them"))
    assert (how.code, how.details) == (grpc.StatusCode.NOT_FOUND, "no such model")
    assert (how.problem.code, how.problem.message, how.problem.hint) == ("not_found", "no such model", "list them")
    assert how.reported == []


@pytest.mark.parametrize("failure", [ValueError(CANARY), defect(ValueError(CANARY))])
async def test_a_fault_of_our_own_is_reported_and_told_without_its_words(failure: Exception) -> None:
    how = await ended(failure)
    assert (how.code, how.problem.code) == (grpc.StatusCode.INTERNAL, "internal")
    assert CANARY not in how.details + how.problem.message + how.problem.hint
    assert [str(cause) for cause in how.reported] == [CANARY]


async def test_a_cancellation_that_is_nobodys_is_a_fault_of_our_own() -> None:
    how = await ended(asyncio.CancelledError())
    assert (how.code, len(how.reported)) == (grpc.StatusCode.INTERNAL, 1)


async def test_a_failure_that_was_told_lets_go_of_what_it_passed_through() -> None:
    failure = NotFoundError("no such model")
    await ended(failure)
    assert failure.__traceback__ is None


@pytest.mark.parametrize(
    ("end", "leaves"),
    [
        (CallEndedError(), CallEndedError),
        (grpc.aio.AbortError(), grpc.aio.AbortError),
        (grpc.aio.InternalError("the batch failed"), CallEndedError),  # a write into a call that is gone
    ],
)
async def test_a_call_that_has_ended_already_is_not_ended_again(
    end: BaseException, leaves: type[BaseException]
) -> None:
    call, reported = Call(), list[BaseException]()
    with pytest.raises(leaves):
        async with failures_as_status(cast("Any", call), reported.append):
            raise end
    assert (call.ended, reported) == ([], [])
