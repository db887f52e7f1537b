"""Turns a call's grpc status into an error of `errors`. It imports protobuf, not grpc."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from google.protobuf.message import DecodeError

from homebred_protocol.client.errors import (
    CallError,
    ConflictError,
    ConnectionLostError,
    DaemonUnreachableError,
    DeadlineError,
    DrainingError,
    EngineUnavailableError,
    FailedError,
    NeedsReviewError,
    NotFoundError,
    NotPermittedError,
    OverloadedError,
    RequestError,
    UnattestedError,
    UnreadError,
    UnsupportedError,
)
from homebred_protocol.v1 import inference_pb2, status_pb2

DETAILS_KEY = "grpc-status-details-bin"
NEVER_CONNECTED = "failed to connect to all addresses"
"""How grpc begins what it says where nothing was sent. Any other UNAVAILABLE may have been: that is the safe side."""
TOO_LONG = "larger than max"

BY_CODE: dict[str, type[CallError]] = {
    kind.code: kind
    for kind in (
        ConflictError,
        DaemonUnreachableError,
        DeadlineError,
        DrainingError,
        EngineUnavailableError,
        NotFoundError,
        NotPermittedError,
        OverloadedError,
        RequestError,
        UnattestedError,
        UnreadError,
        UnsupportedError,
    )
}
BY_STATUS: dict[str, type[CallError]] = {
    "ABORTED": ConflictError,
    "DEADLINE_EXCEEDED": DeadlineError,
    "INVALID_ARGUMENT": RequestError,
    "NOT_FOUND": NotFoundError,
    "PERMISSION_DENIED": NotPermittedError,
    "RESOURCE_EXHAUSTED": OverloadedError,
    "UNAUTHENTICATED": UnattestedError,
    "UNIMPLEMENTED": UnsupportedError,
}
"""For a code that this library does not know, of a newer daemon, and where grpc itself ended the call."""


def failure(
    status: str, details: str | None, trailing_metadata: Iterable[tuple[str, str | bytes]] | None, socket: Path
) -> CallError:
    """The error of a call that ended with a status, by its name, such as `UNAVAILABLE`."""
    problem = _problem(trailing_metadata or ())
    if problem is not None:
        return of_problem(problem, status)
    words = details or ""
    if status in ("UNAVAILABLE", "CANCELLED"):
        if words.startswith(NEVER_CONNECTED):
            return DaemonUnreachableError(f"the daemon does not answer at {socket}")
        return ConnectionLostError(f"the daemon at {socket} went away during the call")
    return _of_grpc(status, words)


def _of_grpc(status: str, words: str) -> CallError:
    """Where grpc itself ended the call, or something that is no homebred."""
    if status == "RESOURCE_EXHAUSTED" and TOO_LONG in words:
        return RequestError(f"the message is too long: {words}", hint="send less text, or raise max_message_bytes")
    if status == "RESOURCE_EXHAUSTED":
        return OverloadedError(f"the daemon takes no more: {words}")
    if status in BY_STATUS:
        return BY_STATUS[status]()
    return FailedError(f"the call to the daemon ended with {status}: {words}")


def of_problem(problem: inference_pb2.Problem, status: str = "") -> CallError:
    """The error that the daemon describes."""
    kind = BY_CODE.get(problem.code) or BY_STATUS.get(status) or FailedError
    if problem.code == NeedsReviewError.code:
        return NeedsReviewError(problem.message, hint=problem.hint)
    return kind(problem.message, hint=problem.hint, code=problem.code, retry_after_s=max(0.0, problem.retry_after_s))


def _problem(trailing_metadata: Iterable[tuple[str, str | bytes]]) -> inference_pb2.Problem | None:
    for key, value in trailing_metadata:
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                details = status_pb2.StatusDetails.FromString(value).details
            except DecodeError:  # of something that is no homebred
                return None
            for detail in details:
                problem = inference_pb2.Problem()
                if detail.Is(problem.DESCRIPTOR) and detail.Unpack(problem):
                    return problem
    return None
