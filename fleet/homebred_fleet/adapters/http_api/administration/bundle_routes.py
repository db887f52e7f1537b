"""/api/v1/bundles: what somebody carries to devices that no network reaches. Its files are fetched one by one."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from homebred_fleet.adapters.http_api.administration.context import May, Parts
from homebred_fleet.adapters.http_api.administration.targeting import Targeted
from homebred_fleet.adapters.http_api.blob_response import BlobResponse
from homebred_fleet.core.admins import Admin
from homebred_fleet.core.director import MIN_LIFE_S
from homebred_fleet.errors import NotFoundError, RequestError

router = APIRouter()
Carrier = Annotated[Admin, Depends(May("bundle.make"))]


class BundleOrder(Targeted):
    """A folder for some devices."""

    lease_s: int = Field(ge=1)


@router.post("/bundles")
def make(doer: Carrier, parts: Parts, body: BundleOrder) -> dict[str, Any]:
    """Signs for each device; from then on its leases hold, whatever becomes of the folder."""
    carrying, whom = parts.carrying, body.target()
    if not MIN_LIFE_S <= body.lease_s <= carrying.max_life_s:
        raise RequestError(
            f"leases of {body.lease_s} s are not given: from {MIN_LIFE_S} s to {carrying.max_life_s // 86_400} d are",
            hint="choose another length; `releases.max_lease_days` of the controller's settings is the most",
        )
    devices = parts.changes.enrolled(whom)
    carrying.bundling.check([device for device, _ in devices])
    parts.changes.note_bundle(doer, whom, devices=len(devices), life_s=body.lease_s)
    bundle = carrying.bundling.make(devices, body.lease_s)
    return {
        "devices": [
            {"device": one.device, "site": one.site, "version": one.version, "expires_at_s": one.expires_at_s}
            for one in bundle.devices
        ],
        "expires_at_s": bundle.expires_at_s,
        "signed": {name: base64.b64encode(one).decode() for name, one in bundle.signed.items()},
        "targets": [{"path": one.path, "length": one.length, "sha256": one.sha256} for one in bundle.targets],
        "blobs": [{"digest": digest, "length": length} for digest, length in sorted(bundle.blobs.items())],
    }


@router.get("/bundles/blobs/{hexadecimal}")
def fetch_blob(_: Carrier, parts: Parts, hexadecimal: str) -> Response:
    """A file of a release, or a range of it."""
    digest = f"sha256:{hexadecimal}"
    path = parts.carrying.blobs.path_of(digest)
    if path is None:
        raise NotFoundError("no release here has such a file", hint="make the bundle once more")
    return BlobResponse(path, digest)
