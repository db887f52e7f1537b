"""/api/v1/documents, /commands and /stop: lists of names that what is signed refers to, and what devices are told."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from homebred_fleet.adapters.http_api.administration.context import Administration, Limit, May, Parts, require
from homebred_fleet.adapters.http_api.administration.targeting import Targeted
from homebred_fleet.adapters.store import command_views, documents, stops
from homebred_fleet.core.admins import Admin
from homebred_fleet.errors import FleetError, NotFoundError, RequestError, StateError
from homebred_fleet.ports.intents import Stop
from homebred_protocol.documents.gazetteer_manifest import MAX_LIST_BYTES
from homebred_protocol.stop_orders import MAX_REASON

router = APIRouter()


class Order(Targeted):
    """A command to some devices."""

    op: str = Field(max_length=31)
    parameters: dict[str, str] = Field(default_factory=dict, max_length=8)
    wait_s: int = 3600


class StopBody(BaseModel):
    """A stop of the whole fleet, or its end."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    stopped: bool
    reason_code: str = Field(max_length=MAX_REASON, pattern=r"^[^\x00]*$")
    """As `homebred_protocol.stop_orders` bounds it: else no device took the order."""


@router.get("/documents")
def list_documents(_: Annotated[Admin, Depends(May("document.read"))], parts: Parts) -> dict[str, Any]:
    """The newest lists of gazetteers."""
    with parts.database.reading() as connection:
        return {"documents": documents.every(connection)}


@router.post("/documents/gazetteer")
async def add_list(
    doer: Annotated[Admin, Depends(May("document.add"))], parts: Parts, request: Request, site: str = ""
) -> dict[str, Any]:
    """Checks and keeps a gazetteer's list: the body of the request, as it is."""
    body = await _bounded(request, MAX_LIST_BYTES)
    digest = await run_in_threadpool(parts.changes.add_list, doer, site=site, body=body)
    return {"digest": digest, "site": site, "length": len(body)}


@router.get("/documents/{digest}")
def fetch_list(_: Annotated[Admin, Depends(May("document.read-names"))], parts: Parts, digest: str) -> Response:
    """A list's bytes."""
    with parts.database.reading() as connection:
        found = documents.one(connection, digest)
    if found is None:
        raise NotFoundError(f"there is no list {digest}", hint="see `homebred-fleet gazetteer list`")
    body = parts.blobs.read(digest)
    if body is None:
        raise StateError(f"the bytes of {digest} are lost or damaged", hint="add the list again: it is mended")
    return Response(body, media_type="application/octet-stream")


@router.post("/commands")
def give_command(doer: Annotated[Admin, Depends(May("command.issue"))], parts: Parts, body: Order) -> dict[str, Any]:
    """Gives devices a command."""
    ordered = parts.changes.order(doer, body.target(), op=body.op, parameters=body.parameters, wait_s=body.wait_s)
    return {"op": body.op, "commands": [{"id": identity, "device": device} for device, identity in ordered.items()]}


@router.get("/commands")
def list_commands(
    _: Annotated[Admin, Depends(May("command.read"))], parts: Parts, device: str = "", limit: Limit = 100
) -> dict[str, Any]:
    """The newest commands."""
    with parts.database.reading() as connection:
        return {"commands": command_views.newest(connection, device=device, limit=limit)}


@router.get("/commands/{identity}")
def show_command(_: Annotated[Admin, Depends(May("command.read"))], parts: Parts, identity: str) -> dict[str, Any]:
    """How a command stands, with its result."""
    with parts.database.reading() as connection:
        found = command_views.one(connection, identity)
    if found is None:
        raise NotFoundError(f"there is no command {identity!r}", hint="see `homebred-fleet commands list`")
    return found


@router.get("/commands/{identity}/attachment")
def fetch_attachment(_: Annotated[Admin, Depends(May("command.fetch"))], parts: Parts, identity: str) -> Response:
    """What a device sent with its answer, zstd, as it came."""
    with parts.database.reading() as connection:
        attachment = command_views.attachment(connection, identity)
    if attachment is None:
        raise NotFoundError(
            f"nothing came with an answer to {identity!r}",
            hint="a diagnostics bundle leaves only once somebody at the device has let it go",
        )
    return Response(attachment, media_type="application/zstd")


@router.get("/stop")
def show_stop(_: Annotated[Admin, Depends(May("stop.read"))], parts: Parts) -> dict[str, Any]:
    """The stop order that holds."""
    with parts.database.reading() as connection:
        order = stops.in_force(connection)
    if order is None:
        return {
            "epoch": 0,
            "stopped": False,
            "reason_code": "",
            "issued_at_s": None,
            "published": True,
            "unsigned_because": "",
        }
    return {
        "epoch": order.epoch,
        "stopped": order.stopped,
        "reason_code": order.reason_code,
        "issued_at_s": order.issued_at_s,
        "published": order.is_published,
        "unsigned_because": _unsigned_because(parts, order),
    }


@router.put("/stop")
def set_stop(doer: Annotated[Admin, Depends(May("stop.on"))], parts: Parts, body: StopBody) -> dict[str, Any]:
    """Stops the fleet, or lets it go on."""
    require(doer, "stop.on" if body.stopped else "stop.off")
    epoch = parts.changes.stop(doer, stopped=body.stopped, reason_code=body.reason_code)
    with parts.database.reading() as connection:
        order = stops.in_force(connection)
    return {"epoch": epoch, "stopped": body.stopped, "unsigned_because": _unsigned_because(parts, order)}


def _unsigned_because(parts: Administration, order: Stop | None) -> str:
    """Why devices do not hear an order; empty: the director signs it."""
    try:
        if order is not None:
            parts.stop_signer.signed(order)
    except FleetError as error:
        return f"{error.message}; {error.hint}"
    return ""


async def _bounded(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise RequestError(f"the list is larger than {max_bytes:,} bytes", hint="leave out what nothing needs")
    return bytes(body)
