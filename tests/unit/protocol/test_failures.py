from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2

from homebred_daemon.adapters.grpc_api.failures import CODES, code_of
from homebred_daemon.errors import HomebredError, OverloadedError
from homebred_protocol.client import errors
from homebred_protocol.client.failures import BY_CODE, failure
from homebred_protocol.v1 import inference_pb2 as wire
from homebred_protocol.v1 import status_pb2 as own_status_pb2

SOCKET = Path("/run/homebred/homebred.sock")
NEVER = "failed to connect to all addresses; last error: FAILED_PRECONDITION: unix:/s: Connection refused"


def trailing(problem: wire.Problem) -> list[tuple[str, str | bytes]]:
    """As the daemon sends it, with google's own messages."""
    status = status_pb2.Status(code=8, message=problem.message)
    for detail in (error_details_pb2.ErrorInfo(reason=problem.code), problem):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return [("x-other", "text"), ("grpc-status-details-bin", status.SerializeToString())]


def daemons_own() -> list[HomebredError]:
    return [
        kind("why", hint="next", retry_after_s=2) if issubclass(kind, OverloadedError) else kind("why", hint="next")
        for kind, _ in CODES
    ]


@pytest.mark.parametrize("sent", daemons_own(), ids=lambda error: error.code)
def test_every_error_of_the_daemon_arrives_with_its_code_words_and_advice(sent: HomebredError) -> None:
    advice_s = sent.retry_after_s if isinstance(sent, OverloadedError) else 0
    problem = wire.Problem(code=sent.code, message=sent.message, hint=sent.hint, retry_after_s=advice_s)
    got = failure(code_of(sent).name, sent.message, trailing(problem), SOCKET)
    assert (got.code, got.message, got.hint, got.retry_after_s) == (sent.code, "why", "next", advice_s)
    assert type(got) is BY_CODE.get(
        sent.code, errors.NeedsReviewError if sent.code == "needs_review" else errors.FailedError
    )


def test_every_error_of_the_daemon_that_a_caller_can_act_on_has_its_own_class() -> None:
    without = {error.code for error in daemons_own()} - set(BY_CODE)
    assert without == {"bad_configuration", "bad_state", "internal", "needs_review"}


@pytest.mark.parametrize(
    ("status", "details", "kind"),
    [
        ("UNAVAILABLE", NEVER, errors.DaemonUnreachableError),
        ("UNAVAILABLE", "Stream removed (Socket closed)", errors.ConnectionLostError),
        ("UNAVAILABLE", "", errors.ConnectionLostError),
        ("CANCELLED", "Channel closed!", errors.ConnectionLostError),
        ("RESOURCE_EXHAUSTED", "Concurrent RPC limit exceeded!", errors.OverloadedError),
        ("RESOURCE_EXHAUSTED", "SERVER: Received message larger than max (5 vs. 4)", errors.RequestError),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", errors.DeadlineError),
        ("UNIMPLEMENTED", "Method not found!", errors.UnsupportedError),
        ("INTERNAL", "boom", errors.FailedError),
        ("UNKNOWN", None, errors.FailedError),
        ("SOMETHING_NEW", "", errors.FailedError),
    ],
)
def test_what_grpc_itself_says_has_its_meaning(status: str, details: str | None, kind: type[errors.CallError]) -> None:
    got = failure(status, details, None, SOCKET)
    assert type(got) is kind
    assert got.message
    assert got.hint


def test_a_code_of_a_newer_daemon_is_kept_and_told_by_its_status() -> None:
    problem = wire.Problem(code="too_warm", message="the device is too warm", hint="wait", retry_after_s=9)
    got = failure("RESOURCE_EXHAUSTED", "", trailing(problem), SOCKET)
    assert type(got) is errors.OverloadedError
    assert (got.code, got.retry_after_s) == ("too_warm", 9)
    assert type(failure("OUT_OF_RANGE", "", trailing(problem), SOCKET)) is errors.FailedError


@pytest.mark.parametrize("value", [b"\xff\xff", b"", "text"])
def test_details_of_something_that_is_no_homebred_change_nothing(value: str | bytes) -> None:
    got = failure("INVALID_ARGUMENT", "no", [("grpc-status-details-bin", value)], SOCKET)
    assert type(got) is errors.RequestError


def test_the_message_of_our_own_is_googles_field_for_field() -> None:
    def fields(message: type) -> list[tuple[str, int, int]]:
        return [(one.name, one.number, one.type) for one in message.DESCRIPTOR.fields]  # type: ignore[attr-defined]

    assert fields(own_status_pb2.StatusDetails) == fields(status_pb2.Status)
