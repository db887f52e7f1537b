"""What can go wrong in a way that a person must hear of: what, why, what next.

    HomebredError
    ├── ConfigurationError   settings, policy, registry or ceiling cannot be used
    ├── RequestError         a caller asked for something that cannot be done
    │   ├── UnattestedError
    │   ├── NotPermittedError
    │   ├── NotFoundError
    │   ├── ConflictError
    │   ├── UnreadError
    │   └── OverloadedError
    │       └── DrainingError
    ├── StateError           the device's own files cannot be used
    │   └── UnwritableError  … written: a full disk, as a rule
    │   └── SecondDaemonError
    ├── DaemonUnreachableError
    ├── EngineUnavailableError
    ├── FleetError           the fleet's controller did not do what was asked of it
    │   ├── ControllerUnreachableError
    │   ├── ControllerUntrustedError
    │   ├── EnrolmentRefusedError
    │   └── ClockWrongError
    ├── TransferError        the bytes of a release could not be brought here
    │   ├── SourceAwayError
    │   ├── SourceRefusesError
    │   └── SourceWrongError
    ├── UntrustedError       something signed for this device was not taken
    ├── BuildError           what an engine serves could not be built
    ├── DetectionError       a text could not be searched: it must not leave the house
    ├── DeadlineError        time was up before there was an answer
    └── NeedsReviewError     a person must answer: no error of anybody, but the caller must hear it

A class's docstring is its message where none is given. Errors of the engine itself are `homebred_engines.api`'s.
"""

from __future__ import annotations

import inspect


class HomebredError(Exception):
    """Something went wrong."""

    code = "internal"
    """Stable machine code."""
    hint = "run `homebred doctor`"
    """What to do next, where the raiser knows nothing better."""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        self.message = message or inspect.cleandoc(self.__doc__ or "").splitlines()[0]
        self.hint = hint or type(self).hint
        super().__init__(self.message)

    def record(self) -> dict[str, str]:
        """The error as its JSON form."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class ConfigurationError(HomebredError):
    """The configuration cannot be used."""

    code = "bad_configuration"
    hint = "run `homebred config show` to see what holds and where it came from"


class RequestError(HomebredError):
    """The request cannot be answered as it stands."""

    code = "bad_request"
    hint = "correct the request and send it again"


class UnattestedError(RequestError):
    """The kernel has not told who makes this call."""

    code = "unattested"
    hint = "call the daemon's own socket; the private one behind it takes nobody else's calls"


class NotPermittedError(RequestError):
    """This caller may not do that."""

    code = "not_permitted"
    hint = "ask the device's administrator for a caller profile that allows it"


class NotFoundError(RequestError):
    """There is no such thing here, or it is not the caller's."""

    code = "not_found"
    hint = "check its name"


class ConflictError(RequestError):
    """Somebody else was faster."""

    code = "conflict"
    hint = "look at its present state, then decide again"


class UnreadError(RequestError):
    """The caller did not read its answer."""

    code = "unread"
    hint = "read the answer as it comes, or cancel the call"


class OverloadedError(RequestError):
    """The device has as much work as it takes."""

    code = "overloaded"
    hint = "try again later"

    def __init__(self, message: str = "", *, hint: str = "", retry_after_s: float) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class DrainingError(OverloadedError):
    """The daemon takes no more tasks: it is about to stop, or an operator drains it."""

    code = "draining"
    hint = "send the task again in a moment; `homebred status` says how it stands"


class StateError(HomebredError):
    """The device's own files cannot be used."""

    code = "bad_state"


class UnwritableError(StateError):
    """The device's own files cannot be written; they can be read."""


class SecondDaemonError(StateError):
    """Another daemon serves here already."""

    code = "second_daemon"
    hint = "stop that one first, or give this one folders of its own"


class DaemonUnreachableError(HomebredError):
    """The daemon does not answer."""

    code = "daemon_unreachable"
    hint = "start it with `systemctl start homebred`, or name its socket with --socket"


class EngineUnavailableError(HomebredError):
    """No engine could answer."""

    code = "engine_unavailable"
    hint = "run `homebred status` to see why; the task may be sent again"


class FleetError(HomebredError):
    """The fleet's controller did not do what was asked of it."""

    code = "fleet_failed"
    hint = "try again later; the controller's own log says more"


class ControllerUnreachableError(FleetError):
    """The fleet's controller does not answer."""

    code = "controller_unreachable"
    hint = "check the address, the network, and whether homebred-fleet runs there"


class ControllerUntrustedError(FleetError):
    """Whoever answers has not proven to be the fleet's controller; nothing was sent to it."""

    code = "controller_untrusted"
    hint = "compare the fingerprint with the one that `homebred-fleet init` printed; somebody may be in between"


class EnrolmentRefusedError(FleetError):
    """The controller gives this device no certificate."""

    code = "enrolment_refused"
    hint = "ask the fleet's administrator for another token"

    def __init__(self, message: str = "", *, hint: str = "", reason: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        """The controller's own word for it, such as `token_used`."""


class ClockWrongError(FleetError):
    """This device's clock and the controller's are too far apart for certificates to be judged."""

    code = "clock_wrong"
    hint = "set the clock: `timedatectl set-ntp true`, or by hand where there is no network time"


class TransferError(HomebredError):
    """The bytes of a release could not be brought to this device."""

    code = "transfer_failed"
    hint = "check that the release's bytes are where the device looks for them, then assign it again"


class SourceAwayError(TransferError):
    """A source of bytes does not answer, or broke off."""

    code = "source_away"
    hint = "nothing: it is asked again, and what came so far is kept"

    def __init__(self, message: str = "", *, hint: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s
        """How long it asks to be left alone."""


class SourceRefusesError(TransferError):
    """A source does not give these bytes to this device."""

    code = "source_refuses"
    hint = "publish the release's bytes there, or renew the address that the device was given"


class SourceWrongError(TransferError):
    """A source sent something else than it was asked for; none of it was kept."""

    code = "source_wrong"
    hint = "look at what stands between: a proxy that changes what passes, or a server with another file"


class UntrustedError(HomebredError):
    """Something signed for this device could not be taken."""

    code = "untrusted"
    hint = "what the device trusted before still holds; docs/trust.md has every reason"

    def __init__(self, message: str = "", *, hint: str = "", reason: str, detail: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        """Why, as a word of `core.trust_refusals.Reason`."""
        self.detail = detail
        """What was found."""


class BuildError(HomebredError):
    """What an engine serves could not be built."""

    code = "build_failed"
    hint = "correct what its last lines name, and build again"


class DetectionError(HomebredError):
    """The text could not be searched for what must not leave the house."""

    code = "detection_failed"
    hint = "the cloud lane stays closed for this text; send the task again"


class DeadlineError(HomebredError):
    """The task was not answered in time."""

    code = "deadline_exceeded"
    hint = "allow more time with deadline_s, or ask for less with max_tokens"


class NeedsReviewError(HomebredError):
    """No machine may or can answer this; it waits for a person."""

    code = "needs_review"
    hint = "ask for the person's answer with GetReview, or run `homebred review wait`"


def release_frames(error: BaseException | None) -> None:
    """Lets go of the frames that an error passed through, once it was told.

    A frame that holds its own error is freed by the garbage collector alone, late, and the whole task's text with it.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # an error may be its own cause: "raise error from error"
        seen.add(id(error))
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def defect(cause: BaseException) -> HomebredError:
    """An error of our own making, without its words: they may quote a task."""
    error = HomebredError(
        f"homebred has a defect ({type(cause).__name__})", hint="report it; the daemon's log says where it happened"
    )
    error.__cause__ = cause
    return error
