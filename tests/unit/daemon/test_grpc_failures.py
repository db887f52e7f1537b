"""How a call ends that fails: with the error's status, and our own faults without their words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import pytest

from homebred_daemon.adapters.grpc_api.failures import aborting
from homebred_daemon.errors import NotFoundError
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
class Servicer:
    """Fails as it is told."""

    failure: Exception
    reported: list[BaseException] = field(default_factory=list)

    def report_defect(self, cause: BaseException) -> None:
        self.reported.append(cause)

    @aborting
    async def answer(self, request: str, context: Any) -> str:
        raise self.failure


async def ended(servicer: Servicer) -> tuple[grpc.StatusCode, str, inference_pb2.Problem]:
    call = Call()
    with pytest.raises(AbortedError):
        await servicer.answer("request", cast("Any", call))
    (how,) = call.ended
    return how


async def test_an_error_ends_the_call_with_its_status_its_words_and_what_next() -> None:
    servicer = Servicer(NotFoundError("no such model", hint="list them"))
    code, details, problem = await ended(servicer)
    assert (code, details) == (grpc.StatusCode.NOT_FOUND, "no such model")
    assert (problem.code, problem.message, problem.hint) == ("not_found", "no such model", "list them")
    assert servicer.reported == []


async def test_a_fault_of_our_own_is_reported_and_told_without_its_words() -> None:
    servicer = Servicer(ValueError(CANARY))
    code, details, problem = await ended(servicer)
    assert (code, problem.code) == (grpc.StatusCode.INTERNAL, "internal")
    assert CANARY not in details + problem.message + problem.hint
    assert [str(cause) for cause in servicer.reported] == [CANARY]
