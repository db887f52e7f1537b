"""What can go wrong with a call to the daemon: what, why, what next.

    CallError
    ├── DaemonUnreachableError      nothing was sent: the daemon does not answer
    │   └── ConnectionLostError     it went away during the call: whether it did what was asked is unknown
    ├── RequestError                it cannot be done as asked; sent again as it is, it fails again
    │   ├── NotPermittedError
    │   ├── UnattestedError
    │   ├── NotFoundError
    │   ├── ConflictError           somebody else was faster
    │   ├── UnreadError             the answer was not read for too long, and is lost
    │   └── UnsupportedError        the daemon is older than this library
    ├── OverloadedError             not now: `retry_after_s` says when
    │   └── DrainingError
    ├── DeadlineError
    ├── EngineUnavailableError
    ├── NeedsReviewError            there is no answer, a person must give it; raised by `Answer.text` alone
    └── FailedError                 all else; `code` says what

A class's docstring is its message where none is given. It imports neither grpc nor protobuf.
"""

from __future__ import annotations

import inspect


class CallError(Exception):
    """The call did not do what was asked."""

    code = "internal"
    """Stable machine code, the daemon's own word."""
    hint = "run `homebred doctor` on the device"
    """What to do next, where the daemon says nothing better."""
    retry_after_s = 0.0
    """When to try again by the daemon's own reckoning, seconds; 0: it gave no advice."""

    def __init__(self, message: str = "", *, hint: str = "", code: str = "", retry_after_s: float = 0.0) -> None:
        self.message = message or inspect.cleandoc(self.__doc__ or "").splitlines()[0]
        self.hint = hint or type(self).hint
        self.code = code or type(self).code
        self.retry_after_s = retry_after_s
        super().__init__(self.message)

    def record(self) -> dict[str, str]:
        """The error as its JSON form."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class DaemonUnreachableError(CallError):
    """The daemon does not answer; nothing was sent to it."""

    code = "daemon_unreachable"
    hint = "start it with `systemctl start homebred`, or name its socket"


class ConnectionLostError(DaemonUnreachableError):
    """The daemon went away during the call; whether it did what was asked is unknown."""

    hint = "send the task again if doing it twice does no harm"


class RequestError(CallError):
    """The request cannot be answered as it stands."""

    code = "bad_request"
    hint = "correct the request and send it again"


class NotPermittedError(RequestError):
    """This caller may not do that."""

    code = "not_permitted"
    hint = "ask the device's administrator for a role or a caller profile that allows it"


class UnattestedError(RequestError):
    """The kernel has not told who makes this call."""

    code = "unattested"
    hint = "call the daemon's own socket; the private one behind it takes nobody else's calls"


class NotFoundError(RequestError):
    """There is no such thing here, or it is not the caller's."""

    code = "not_found"
    hint = "check its name"


class ConflictError(RequestError):
    """Somebody else was faster."""

    code = "conflict"
    hint = "look at its present state, then decide again"


class UnreadError(RequestError):
    """The answer was not read for so long that the daemon dropped it."""

    code = "unread"
    hint = "read the answer as it comes, or close the stream"


class UnsupportedError(RequestError):
    """The daemon does not know this call: it is older than this library."""

    code = "unsupported"
    hint = "update the daemon, or do without this call"


class OverloadedError(CallError):
    """The device has as much work as it takes."""

    code = "overloaded"
    hint = "try again later"


class DrainingError(OverloadedError):
    """The daemon takes no more tasks: it is about to stop, or an operator drains it."""

    code = "draining"
    hint = "send the task again in a moment"


class DeadlineError(CallError):
    """There was no answer in time."""

    code = "deadline_exceeded"
    hint = "allow more time with deadline_s, or ask for less with max_tokens"


class EngineUnavailableError(CallError):
    """No engine could answer."""

    code = "engine_unavailable"
    hint = "run `homebred status` to see why; the task may be sent again"


class NeedsReviewError(CallError):
    """No machine may or can answer this: a person must, and `route_id` asks for what that person says."""

    code = "needs_review"
    hint = "ask wait_for_review with its route_id, now or later, or tell the user that somebody will answer"

    def __init__(self, message: str = "", *, hint: str = "", code: str = "", route_id: str = "") -> None:
        super().__init__(message, hint=hint, code=code)
        self.route_id = route_id


class FailedError(CallError):
    """The daemon, its files or this library failed."""
