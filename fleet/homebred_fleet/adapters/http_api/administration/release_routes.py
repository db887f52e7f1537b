"""/api/v1/releases: what devices should run of what was signed for them."""

from __future__ import annotations

import tomllib
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from homebred_fleet.adapters.http_api.administration.context import Administration, FilterText, May, Parts
from homebred_fleet.adapters.http_api.administration.targeting import Targeted
from homebred_fleet.adapters.store import assignments, documents
from homebred_fleet.adapters.store.administering import tree_of
from homebred_fleet.core.admins import Admin
from homebred_fleet.core.director import Assigned
from homebred_fleet.core.site_documents import problems_of
from homebred_fleet.errors import NotFoundError, RequestError
from homebred_fleet.ports.intents import DocumentRef
from homebred_protocol.documents.gazetteer_manifest import read_gazetteer_manifest
from homebred_protocol.targets import Kind, Target, read_target

router = APIRouter()


class ReleaseAssignment(Targeted):
    """A signed target for some devices."""

    path: str = Field(max_length=200)
    elsewhere: bool = False
    """Whether its files lie somewhere else than on the controller."""


class ReleaseWithdrawal(Targeted):
    """A line of targets that some devices are asked for no longer."""

    line: str = Field(max_length=200)


class Reset(Targeted):
    """A part that some devices have of their own again."""

    kind: Literal["policy", "gazetteer"]


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
    target = _target(body.path)
    assigned = _held(parts, target)
    if target.kind.is_for_a_site:
        _must_be_fit(parts, target, parts.image.body(assigned))
    held = DocumentRef(digest=f"sha256:{assigned.sha256}", length=assigned.length)
    sites = parts.shelf.sites_of(target, assigned, elsewhere=body.elsewhere)
    devices = parts.changes.assign_release(doer, body.target(), target, held, sites=sites)
    return {"path": target.path, "devices": devices}


@router.post("/releases/withdrawals")
def withdraw(
    doer: Annotated[Admin, Depends(May("release.withdraw"))], parts: Parts, body: ReleaseWithdrawal
) -> dict[str, Any]:
    """Asks a line of devices no longer; they keep what they serve, and have their own policy or gazetteer back."""
    return {"line": body.line, "devices": parts.changes.withdraw_release(doer, body.target(), body.line)}


@router.post("/releases/resets")
def reset(doer: Annotated[Admin, Depends(May("release.reset"))], parts: Parts, body: Reset) -> dict[str, Any]:
    """Gives devices their own policy or gazetteer back, whatever line theirs is of."""
    return {"kind": body.kind, "devices": parts.changes.reset(doer, body.target(), Kind[body.kind.upper()])}


@router.get("/releases/targets/{path:path}")
def fetch_target(_: Annotated[Admin, Depends(May("release.read"))], parts: Parts, path: str) -> Response:
    """The bytes of a target, as it is signed."""
    return Response(parts.image.body(_held(parts, _target(path))), media_type="application/octet-stream")


def _target(path: str) -> Target:
    target = read_target(path)
    if target is None:
        raise RequestError(f"{path!r} names no target", hint="write a path such as models/qa/intake/7.json")
    return target


def _held(parts: Administration, target: Target) -> Assigned:
    assigned = parts.image.find(target)
    if assigned is None:
        raise NotFoundError(
            f"{target.path} is not in the image repository",
            hint="`homebred-fleet repository add`, have it signed, `repository publish`; then, where that is another "
            "machine, `repository upload`",
        )
    return assigned


def _must_be_fit(parts: Administration, target: Target, body: bytes) -> None:
    """What every device would refuse or wait for in vain is better heard now."""
    if problems := problems_of(target.kind, body):
        raise RequestError(
            f"no device would take {target.path}: {'; '.join(problems)}", hint="sign a better one under a higher number"
        )
    if target.kind is Kind.GAZETTEER:
        manifest = read_gazetteer_manifest(tomllib.loads(body.decode()))
        with parts.database.reading() as connection:
            found = documents.one(connection, manifest.digest)
        if found is None or found["site"] != target.group:
            raise NotFoundError(
                f"this controller has no list {manifest.digest} of the site {target.group}",
                hint=f"`homebred-fleet gazetteer add FILE --site {target.group}` with the list that was signed for",
            )
