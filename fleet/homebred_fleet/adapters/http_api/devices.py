"""What a device asks over HTTPS with its certificate: where the broker is, documents and releases' files by digest."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response

from homebred_fleet.adapters.http_api.access import device_of
from homebred_fleet.adapters.http_api.blob_response import BlobResponse
from homebred_fleet.adapters.tuf_repository.serving import Root
from homebred_fleet.core.enrolment import Device
from homebred_fleet.errors import NotFoundError
from homebred_fleet.ports.documents import Documents

OCTETS = "application/octet-stream"
HEXADECIMAL = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceParts:
    """What the paths work with."""

    documents: Documents
    blobs: Documents
    """The files of releases."""
    broker: tuple[str, int]
    """Host and port that devices are told."""
    roots: Callable[[], tuple[Root | None, Root | None]]
    """The newest roots of the image repository and of the director, as they are served; None: it was not published."""
    now_s: Callable[[], int]
    store_address: Callable[[str, str], str] | None = None
    """Where a file that is not here may be asked for, by its digest and the request's method; None: nowhere."""


def device_router(parts: DeviceParts) -> APIRouter:
    """The paths under /device/v1."""
    router = APIRouter(prefix="/device/v1")

    @router.get("/enrolment")
    def enrolment(device: Annotated[Device, Depends(device_of)]) -> Response:
        host, port = parts.broker
        image, director = parts.roots()
        return JSONResponse(
            {
                "device_id": device.id,
                "site": device.site,
                "labels": dict(device.labels),
                "broker_host": host,
                "broker_port": port,
                "server_time_s": parts.now_s(),
                "image_root": None if image is None else asdict(image),
                "director_root": None if director is None else asdict(director),
            }
        )

    @router.get("/documents/{digest}")
    def document(digest: str, device: Annotated[Device, Depends(device_of)]) -> Response:
        path = parts.documents.for_site(digest, device.site)
        if path is None:
            raise NotFoundError("there is no such document for this site", hint="ask for what desired state names")
        return FileResponse(path, media_type=OCTETS, headers={"ETag": f'"{digest}"'})

    @router.api_route("/blobs/sha256/{hexadecimal}", methods=["GET", "HEAD"])
    def blob(hexadecimal: str, request: Request, device: Annotated[Device, Depends(device_of)]) -> Response:
        digest = f"sha256:{hexadecimal}"
        path = parts.blobs.for_site(digest, device.site)
        if path is None and parts.store_address is not None and HEXADECIMAL.fullmatch(hexadecimal):
            address = parts.store_address(digest, request.method)  # it is a secret for as long as it holds
            return RedirectResponse(address, status_code=307, headers={"Cache-Control": "no-store"})
        if path is None:
            raise NotFoundError("no release here has such a file", hint="ask for what the release's manifest names")
        return BlobResponse(path, digest)

    return router
