"""Errors as OpenAI's clients know them: a status, and a body with what, why and what next."""

from __future__ import annotations

import math
from typing import Any, Final

from homebred_daemon.errors import (
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
    UnattestedError,
)


class ParameterError(RequestError):
    """A parameter of the request cannot be taken."""

    def __init__(self, message: str, *, hint: str = "", parameter: str) -> None:
        super().__init__(message, hint=hint)
        self.parameter = parameter


class ModelNotFoundError(NotFoundError):
    """There is no such model."""

    code = "model_not_found"


class TooLargeError(RequestError):
    """The request is longer than this device takes."""

    code = "too_large"
    hint = "send less, or have requests.max_message_bytes raised"


class TooSlowError(RequestError):
    """The request did not come in time."""

    code = "too_slow"
    hint = "send the whole request at once"


STATUSES: Final[tuple[tuple[type[HomebredError], int, str], ...]] = (  # the first that fits
    (UnattestedError, 401, "authentication_error"),
    (NotPermittedError, 403, "permission_error"),
    (NotFoundError, 404, "not_found_error"),
    (TooSlowError, 408, "invalid_request_error"),
    (ConflictError, 409, "invalid_request_error"),
    (TooLargeError, 413, "invalid_request_error"),
    (NeedsReviewError, 422, "needs_review"),
    (DrainingError, 503, "server_error"),
    (OverloadedError, 429, "rate_limit_error"),
    (RequestError, 400, "invalid_request_error"),
    (EngineUnavailableError, 503, "server_error"),
    (DeadlineError, 504, "server_error"),
    (HomebredError, 500, "server_error"),
)
"""What OpenAI's clients try again by themselves they try again here only where that helps: see `headers_of`."""


def status_of(error: HomebredError) -> int:
    """The HTTP status of an error."""
    return next(status for kind, status, _ in STATUSES if isinstance(error, kind))


def headers_of(error: HomebredError) -> tuple[tuple[str, str], ...]:
    """Whether and when to try again: OpenAI's clients heed x-should-retry before the status."""
    match error:
        case OverloadedError():
            return (("retry-after", str(math.ceil(error.retry_after_s))),)
        case EngineUnavailableError():
            return ()
        case UnattestedError():
            return (("x-should-retry", "false"), ("www-authenticate", "Bearer"))
        case _:
            return (("x-should-retry", "false"),)


def error_body(error: HomebredError, homebred: dict[str, Any] | None = None) -> dict[str, Any]:
    """The body; `homebred` says what was decided about the task, where anything was."""
    said = {
        "message": f"{error.message}; next: {error.hint}",
        "type": next(name for kind, _, name in STATUSES if isinstance(error, kind)),
        "param": error.parameter if isinstance(error, ParameterError) else None,
        "code": error.code,
        "hint": error.hint,
    }
    return {"error": said if homebred is None else said | {"homebred": homebred}}
