"""What every request of an admin finds: the controller's parts, who asks, and whether they may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, Protocol

from fastapi import Depends, FastAPI, Query, Request

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.http_api.access import admin_of
from homebred_fleet.adapters.publishing import Publishing
from homebred_fleet.adapters.release_shelf import ReleaseShelf
from homebred_fleet.adapters.store.administering import Administering
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.core.admin_actions import ROLE_OF
from homebred_fleet.core.admins import Admin
from homebred_fleet.errors import NotPermittedError
from homebred_fleet.ports.bundling import Bundles
from homebred_fleet.ports.directing import Image
from homebred_fleet.ports.director import StopSigner

STATE: Final = "administration"


class Revokes(Protocol):
    """Takes a device out of the fleet: database, revocation list, broker, living session."""

    def revoke(self, device: str, *, reason: str, by: str) -> bool:
        """From any thread; the broker follows by itself. False: it was out already. Raises FleetError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrying:
    """What is carried to devices is made of these."""

    bundling: Bundles
    blobs: BlobFolder
    """The files of releases."""
    max_life_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Administration:
    """The parts of the controller that admins reach."""

    database: Database
    blobs: BlobFolder
    changes: Administering
    revoking: Revokes
    image: Image
    shelf: ReleaseShelf
    carrying: Carrying
    publishing: Publishing
    stop_signer: StopSigner
    clock: Callable[[], int]
    """Unix seconds."""


def attach(app: FastAPI, administration: Administration) -> None:
    """Has an app's requests find it."""
    setattr(app.state, STATE, administration)


def administration_of(request: Request) -> Administration:
    """What `attach` has left."""
    found: Administration = getattr(request.app.state, STATE)
    return found


class May:
    """A dependency: whoever asks, if they may do this."""

    def __init__(self, action: str) -> None:
        self.action = action
        self._role = ROLE_OF[action]

    def __call__(self, request: Request) -> Admin:
        """Raises UnauthenticatedError, NotPermittedError."""
        admin = admin_of(request)
        require(admin, self.action)
        return admin


def require(admin: Admin, action: str) -> None:
    """Raises NotPermittedError where an admin may not do something."""
    role = ROLE_OF[action]
    if not admin.may(role):
        raise NotPermittedError(
            f"{admin.name} is {admin.role}, and {action} needs the role {role}", hint=f"ask somebody who is {role}"
        )


Parts = Annotated[Administration, Depends(administration_of)]
FilterText = Annotated[str, Query(alias="filter", description="Devices, in the filter language.")]
Limit = Annotated[int, Query(ge=1, le=1000)]
