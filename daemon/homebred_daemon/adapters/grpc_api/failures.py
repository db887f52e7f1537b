"""Errors as gRPC status with details: ErrorInfo for programs, Problem for people (google.rpc.Status)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from homebred_daemon.adapters.grpc_api.translate import problem_message
from homebred_daemon.errors import (
    ConfigurationError,
    ConflictError,
    DeadlineError,
    DrainingError,
    EngineUnavailableError,
    HomebredError,
    NeedsReviewError,
    NotFoundError,
    NotPermittedError,
    OverloadedError,
    RequestError,
    StateError,
    UnattestedError,
    UnreadError,
    defect,
    release_frames,
)


class CallEndedError(asyncio.CancelledError):
    """The call has ended meanwhile: its caller is gone, or the relay has reset its stream."""


DETAILS_KEY = "grpc-status-details-bin"
DOMAIN = "homebred"

CODES: tuple[tuple[type[HomebredError], grpc.StatusCode], ...] = (  # the first that fits
    (UnattestedError, grpc.StatusCode.UNAUTHENTICATED),
    (NotPermittedError, grpc.StatusCode.PERMISSION_DENIED),
    (NotFoundError, grpc.StatusCode.NOT_FOUND),
    (ConflictError, grpc.StatusCode.ABORTED),
    (UnreadError, grpc.StatusCode.ABORTED),
    (DrainingError, grpc.StatusCode.UNAVAILABLE),
    (OverloadedError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (RequestError, grpc.StatusCode.INVALID_ARGUMENT),
    (DeadlineError, grpc.StatusCode.DEADLINE_EXCEEDED),
    (EngineUnavailableError, grpc.StatusCode.UNAVAILABLE),
    (ConfigurationError, grpc.StatusCode.FAILED_PRECONDITION),
    (NeedsReviewError, grpc.StatusCode.FAILED_PRECONDITION),
    (StateError, grpc.StatusCode.INTERNAL),
    (HomebredError, grpc.StatusCode.INTERNAL),
)


def code_of(error: HomebredError) -> grpc.StatusCode:
    """The status code of an error."""
    return next(code for kind, code in CODES if isinstance(error, kind))


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: HomebredError) -> NoReturn:
    """Ends the call with the error, its details in the trailing metadata."""
    code = code_of(error)
    details = [
        error_details_pb2.ErrorInfo(reason=error.code, domain=DOMAIN, metadata={"hint": error.hint}),
        problem_message(error),
    ]
    if isinstance(error, OverloadedError):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(error.retry_after_s * 1000))
        details.append(retry)
    status = status_pb2.Status(code=code.value[0], message=error.message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    try:
        await context.abort(code, error.message, ((DETAILS_KEY, status.SerializeToString()),))
    except grpc.aio.InternalError:
        raise CallEndedError from None  # nobody is there to hear of the error
    raise AssertionError("abort does not return")


@asynccontextmanager
async def failures_as_status(
    context: grpc.aio.ServicerContext[Any, Any], report_defect: Callable[[BaseException], None]
) -> AsyncIterator[None]:
    """Ends the call with whatever goes wrong in it; our own faults are reported, and told without their words.

    A cancellation that is nobody's is such a fault: grpc.aio would end the call without a word, and its caller would
    wait for ever.
    """
    try:
        yield
    except (CallEndedError, grpc.aio.AbortError):
        raise
    except grpc.aio.InternalError:
        raise CallEndedError from None  # what it wrote could not be sent
    except HomebredError as error:
        failure = error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        failure = defect(error)
    except Exception as error:  # noqa: BLE001  # our own fault; its words may quote a task
        failure = defect(error)
    else:
        return
    try:
        if type(failure) is HomebredError and failure.__cause__ is not None:
            report_defect(failure.__cause__)
        await _abort(context, failure)
    finally:
        release_frames(failure)
