"""Errors as gRPC status with details: ErrorInfo for programs, Problem for people (google.rpc.Status)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, NoReturn, Protocol, TypeVar

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
)


class CallEndedError(asyncio.CancelledError):
    """The call has ended meanwhile: its caller is gone, or the relay has reset its stream."""


class Reporting(Protocol):
    """A servicer that says where its own faults go."""

    @property
    def report_defect(self) -> Callable[[BaseException], None]:
        """Hears of a fault of our own."""
        ...


Servicer = TypeVar("Servicer", bound=Reporting)
Request = TypeVar("Request")
Response = TypeVar("Response")
Context = TypeVar("Context", bound="grpc.aio.ServicerContext[Any, Any]")

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


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: HomebredError) -> NoReturn:
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


def aborting(
    call: Callable[[Servicer, Request, Context], Awaitable[Response]],
) -> Callable[[Servicer, Request, Context], Awaitable[Response]]:
    """A unary call that ends with the error's status where it fails; our own faults keep their words to themselves."""

    @wraps(call)
    async def answered(self: Servicer, request: Request, context: Context) -> Response:
        try:
            return await call(self, request, context)
        except HomebredError as error:
            await abort(context, error)
        except Exception as error:  # noqa: BLE001  # our own fault; its words may quote a task
            self.report_defect(error)
            await abort(context, defect(error))

    return answered
