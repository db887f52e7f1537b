"""What can go wrong in the controller in a way that a person must hear of: what, why, what next.

    FleetError
    ├── ConfigurationError   settings cannot be used
    ├── RequestError         somebody asked for something that cannot be done
    └── StoreError           the database cannot be used
        ├── StoreBusyError   … at present: locked, full, away; the same again may succeed
        └── NewerStoreError  … by this version: a newer one made it

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
