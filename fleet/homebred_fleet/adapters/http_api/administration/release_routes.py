"""/api/v1/releases: what devices should run of what was signed for them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field

from homebred_fleet.adapters.http_api.administration.context import FilterText, May, Parts
from homebred_fleet.adapters.http_api.administration.targeting import Targeted
from homebred_fleet.adapters.store import assignments
from homebred_fleet.adapters.store.administering import tree_of
from homebred_fleet.core.admins import Admin
from homebred_fleet.errors import NotFoundError, RequestError
from homebred_protocol.targets import read_target

router = APIRouter()


class ReleaseAssignment(Targeted):
    """A signed target for some devices."""

    path: str = Field(max_length=200)


class ReleaseWithdrawal(Targeted):
    """A line of targets that some devices are asked for no longer."""

    line: str = Field(max_length=200)


@router.get("/releases")
def list_releases(
    _: Annotated[Admin, Depends(May("release.read"))], parts: Parts, filter_text: FilterText = ""
) -> dict[str, Any]:
    """What is assigned, with how many devices should run it."""
    with parts.database.reading() as connection:
        return {"releases": assignments.counted(connection, tree_of(filter_text), now_s=parts.clock())}


@router.post("/releases/assignments")
def assign(
    doer: Annotated[Admin, Depends(May("release.assign"))], parts: Parts, body: ReleaseAssignment
) -> dict[str, Any]:
    """Has devices take up a target."""
    target = read_target(body.path)
    if target is None:
        raise RequestError(f"{body.path!r} names no target", hint="write a path such as models/qa/intake/7.json")
    if parts.image.find(target) is None:
        raise NotFoundError(
            f"{target.path} is not in the image repository",
            hint="`homebred-fleet repository add`, have it signed, `homebred-fleet repository publish`",
        )
    return {"path": target.path, "devices": parts.changes.assign_release(doer, body.target(), target)}


@router.post("/releases/withdrawals")
def withdraw(
    doer: Annotated[Admin, Depends(May("release.assign"))], parts: Parts, body: ReleaseWithdrawal
) -> dict[str, Any]:
    """Asks a line of devices no longer; they keep what they serve."""
    return {"line": body.line, "devices": parts.changes.withdraw_release(doer, body.target(), body.line)}
