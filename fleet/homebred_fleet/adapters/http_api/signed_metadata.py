"""What a device fetches to know what it may run: the published image repository, and the director's word to it alone.

All of it is signed by keys that this server does not have, or checked by the device all the same: nothing is trusted
because it came from here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse, Response

from homebred_fleet.adapters.http_api.access import device_of
from homebred_fleet.adapters.signed_files import SignedFiles
from homebred_fleet.core.enrolment import Device
from homebred_fleet.errors import NotFoundError
from homebred_protocol.trusted_files import director_metadata

JSON: Final = "application/json"
OCTETS: Final = "application/octet-stream"


def metadata_router(files: SignedFiles) -> APIRouter:
    """The paths under /device/v1/image and /device/v1/director. Enrolled devices alone come this far."""
    router = APIRouter(prefix="/device/v1", dependencies=[Depends(device_of)])

    @router.get("/image/metadata/{name}")
    def image_metadata(name: str, device: Annotated[Device, Depends(device_of)]) -> Response:
        return _response(files.find(device.id, f"image/metadata/{name}"), media_type=JSON)

    @router.get("/image/targets/{path:path}")
    def image_target(path: str, device: Annotated[Device, Depends(device_of)]) -> Response:
        return _response(files.find(device.id, f"image/targets/{path}"), media_type=OCTETS)

    @router.get("/director/metadata/{name}")
    def director(name: str, device: Annotated[Device, Depends(device_of)]) -> Response:
        return _response(files.find(device.id, director_metadata(device.id) + name), media_type=JSON)

    return router


def _response(found: Path | bytes | None, *, media_type: str) -> Response:
    match found:
        case None:
            raise NotFoundError("there is no such metadata", hint="ask for timestamp.json first, and for what it names")
        case bytes():
            return Response(found, media_type=media_type)
        case _:
            return FileResponse(found, media_type=media_type)
