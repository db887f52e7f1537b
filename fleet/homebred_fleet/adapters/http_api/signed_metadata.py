"""What a device fetches to know what it may run: the published image repository, and the director's word to it alone.

All of it is signed by keys that this server does not have, or checked by the device all the same: nothing is trusted
because it came from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse, Response

from homebred_fleet.adapters.http_api.access import device_of
from homebred_fleet.core.enrolment import Device
from homebred_fleet.errors import NotFoundError
from homebred_fleet.ports.directing import Answers
from homebred_protocol.targets import read_target

JSON: Final = "application/json"
OCTETS: Final = "application/octet-stream"
_METADATA: Final = re.compile(r"(?:[1-9][0-9]{0,18}\.)?[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?\.json")
_HASHED: Final = re.compile(
    r"(?P<folder>[a-z0-9/._-]{1,150}/)(?P<hash>[0-9a-f]{64})\.(?P<name>[1-9][0-9]{0,15}\.[a-z]{4})"
)
"""A target under its consistent name: its hash stands before the last part of its path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataParts:
    """What the paths work with."""

    image: Callable[[], Path | None]
    """Folder of the published image repository, with `metadata` and `targets`; None: nothing was published yet."""
    director_roots: Callable[[], Path | None]
    """Folder whose `metadata` has the director's roots, `1.root.json` and so on; None: nothing was published yet."""
    directing: Answers


def metadata_router(parts: MetadataParts) -> APIRouter:
    """The paths under /device/v1/image and /device/v1/director. Enrolled devices alone come this far."""
    router = APIRouter(prefix="/device/v1", dependencies=[Depends(device_of)])

    @router.get("/image/metadata/{name}")
    def image_metadata(name: str) -> Response:
        return _file(parts.image(), "metadata", name if _METADATA.fullmatch(name) else "", media_type=JSON)

    @router.get("/image/targets/{path:path}")
    def image_target(path: str) -> Response:
        return _file(parts.image(), "targets", path if _is_target(path) else "", media_type=OCTETS)

    @router.get("/director/metadata/{name}")
    def director_metadata(name: str, device: Annotated[Device, Depends(device_of)]) -> Response:
        if name.endswith(".root.json"):
            return _file(parts.director_roots(), "metadata", name if _METADATA.fullmatch(name) else "", media_type=JSON)
        body = parts.directing.metadata(device.id, name)
        if body is None:
            raise _absent()
        return Response(body, media_type=JSON)

    return router


def _is_target(path: str) -> bool:
    found = _HASHED.fullmatch(path)
    return found is not None and read_target(found["folder"] + found["name"]) is not None


def _file(folder: Path | None, below: str, name: str, *, media_type: str) -> Response:
    path = folder / below / name if folder is not None and name else None
    if path is None or not path.is_file():
        raise _absent()
    return FileResponse(path, media_type=media_type)


def _absent() -> NotFoundError:
    return NotFoundError("there is no such metadata", hint="ask for timestamp.json first, and for what it names")
