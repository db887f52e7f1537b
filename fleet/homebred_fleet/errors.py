"""What can go wrong in the controller in a way that a person must hear of: what, why, what next.

    FleetError
    ├── ConfigurationError   settings cannot be used
    ├── RequestError         somebody asked for something that cannot be done
    │   ├── UnauthenticatedError
    │   ├── NotPermittedError
    │   ├── NotFoundError
    │   ├── ConflictError
    │   ├── OverloadedError
    │   └── NoRoomError
    ├── StoreError           the database cannot be used
    │   ├── StoreBusyError   … at present: locked, full, away; the same again may succeed
    │   └── NewerStoreError  … by this version: a newer one made it
    ├── StateError           the controller's own files cannot be used
    ├── BrokerError          the broker does not do what it must
    └── ControllerUnreachableError

A class's docstring is its message where none is given.
"""

from __future__ import annotations

import inspect


class FleetError(Exception):
    """Something went wrong."""

    code = "internal"
    """Stable machine code."""
    hint = "read the controller's log"
    """What to do next, where the raiser knows nothing better."""

    def __init__(self, message: str = "", *, hint: str = "", code: str = "") -> None:
        self.message = message or inspect.cleandoc(self.__doc__ or "").splitlines()[0]
        self.hint = hint or type(self).hint
        self.code = code or type(self).code
        super().__init__(self.message)

    def record(self) -> dict[str, str]:
        """The error as its JSON form."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class ConfigurationError(FleetError):
    """The configuration cannot be used."""

    code = "bad_configuration"
    hint = "correct fleet.toml and start again"


class RequestError(FleetError):
    """The request cannot be answered as it stands."""

    code = "bad_request"
    hint = "correct the request and send it again"


class UnauthenticatedError(RequestError):
    """Whoever asks has not shown who they are."""

    code = "certificate_needed"
    hint = "show a certificate that this fleet has issued and not taken back"


class NotPermittedError(RequestError):
    """Whoever asks may not do that."""

    code = "not_permitted"
    hint = "ask somebody with a higher role"


class NotFoundError(RequestError):
    """There is no such thing here."""

    code = "not_found"
    hint = "check its name"


class ConflictError(RequestError):
    """It is not so any more, or somebody else was faster."""

    code = "conflict"
    hint = "look at its present state, then decide again"


class OverloadedError(RequestError):
    """There were too many requests."""

    code = "rate_limited"
    hint = "try again later"

    def __init__(self, message: str = "", *, hint: str = "", retry_after_s: int = 60) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class NoRoomError(RequestError):
    """The controller's disk has no room for it."""

    code = "no_room"
    hint = "make room on the controller's disk"


class StoreError(FleetError):
    """The database cannot be used."""

    code = "store_unusable"
    hint = "look at `database.url`, the disk and the database's own log"


class StoreBusyError(StoreError):
    """The database cannot be used at present."""

    code = "store_busy"
    hint = "nothing is lost: it is tried again; free disk space, or start the database"


class NewerStoreError(StoreError):
    """The database was made by a newer version of homebred-fleet."""

    code = "store_newer"
    hint = "install that version again, or restore the copy of the database that was made before it"


class StateError(FleetError):
    """The controller's own files cannot be used."""

    code = "bad_state"
    hint = "see that the folder is there, on a disk with room, and owned by the controller's user"


class BrokerError(FleetError):
    """The broker does not do what it must."""

    code = "broker"
    hint = "see the broker's own log, and that it runs with the files that `homebred-fleet init` made"


class ControllerUnreachableError(FleetError):
    """The controller does not answer."""

    code = "controller_unreachable"
    hint = "start it with `homebred-fleet serve`, or correct the address in the admin's profile"
