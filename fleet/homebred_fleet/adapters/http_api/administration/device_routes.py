"""/api/v1/devices and /cohorts: who is in the fleet, how each one is and why, and by what names they are meant."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from homebred_fleet.adapters.http_api.administration.context import FilterText, Limit, May, Parts
from homebred_fleet.adapters.store import cohorts, device_records, devices
from homebred_fleet.adapters.store.administering import tree_of
from homebred_fleet.core.admins import Admin
from homebred_fleet.core.device_explanation import explain
from homebred_fleet.errors import NotFoundError

router = APIRouter()


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Selector(_Body):
    """What a cohort asks for."""

    selector: str = Field(max_length=500)


class Revocation(_Body):
    """Why a device is taken out."""

    reason: str = Field(min_length=1, max_length=200)


@router.get("/devices")
def list_devices(
    _: Annotated[Admin, Depends(May("device.read"))],
    parts: Parts,
    filter_text: FilterText = "",
    after: str = "",
    limit: Limit = 100,
) -> dict[str, Any]:
    """A page of devices, by id."""
    tree = tree_of(filter_text)
    with parts.database.reading() as connection:
        page = devices.page(connection, tree, now_s=parts.clock(), after=after, limit=limit)
    return {"devices": [device_records.facts_json(one) for one in page.devices], "after": page.after}


@router.get("/devices/{device}")
def show_device(_: Annotated[Admin, Depends(May("device.read"))], parts: Parts, device: str) -> dict[str, Any]:
    """One device whole."""
    with parts.database.reading() as connection:
        shown = device_records.whole(connection, device)
    if shown is None:
        raise _unknown(device)
    return shown


@router.get("/devices/{device}/why")
def explain_device(_: Annotated[Admin, Depends(May("device.read"))], parts: Parts, device: str) -> dict[str, Any]:
    """Why a device is as it is: a finding of each rule."""
    now_s = parts.clock()
    with parts.database.reading() as connection:
        record = device_records.record_of(connection, device, now_s)
    if record is None:
        raise _unknown(device)
    return {"device": device, "at_s": now_s, "findings": [asdict(one) for one in explain(record, now_s)]}


@router.patch("/devices/{device}/labels")
def label_device(
    doer: Annotated[Admin, Depends(May("device.label"))], parts: Parts, device: str, labels: dict[str, str | None]
) -> dict[str, Any]:
    """Sets labels, and removes those that are null."""
    return {"labels": parts.changes.relabel(doer, device, labels)}


@router.post("/devices/{device}/revoke")
def revoke_device(
    doer: Annotated[Admin, Depends(May("device.revoke"))], parts: Parts, device: str, body: Revocation
) -> dict[str, Any]:
    """Takes a device out of the fleet, at once."""
    was_in = parts.revoking.revoke(device, reason=body.reason, by=doer.name)
    return {"device": device, "revoked": was_in}


@router.get("/cohorts")
def list_cohorts(_: Annotated[Admin, Depends(May("cohort.read"))], parts: Parts) -> dict[str, Any]:
    """Every cohort, with how many devices it means now."""
    now_s = parts.clock()
    with parts.database.reading() as connection:
        found = cohorts.every(connection)
        for one in found:
            one["devices"] = devices.count(connection, tree_of(one["selector"]), now_s=now_s)
    return {"cohorts": found}


@router.put("/cohorts/{name}")
def put_cohort(
    doer: Annotated[Admin, Depends(May("cohort.put"))], parts: Parts, name: str, body: Selector
) -> dict[str, Any]:
    """Makes a cohort, or gives one another selector."""
    return {"name": name, "devices": parts.changes.put_cohort(doer, name, body.selector)}


@router.delete("/cohorts/{name}")
def remove_cohort(doer: Annotated[Admin, Depends(May("cohort.remove"))], parts: Parts, name: str) -> dict[str, Any]:
    """Forgets a cohort."""
    parts.changes.remove_cohort(doer, name)
    return {"removed": name}


def _unknown(device: str) -> NotFoundError:
    return NotFoundError(f"there is no device {device!r}", hint="see `homebred-fleet devices list`")
