"""/api/v1/receipts: what devices have signed of installs, as it came over the broker or in somebody's pocket."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool

from homebred_fleet.adapters.http_api.administration.context import Administration, Limit, May, Parts
from homebred_fleet.adapters.store import receipts
from homebred_fleet.core.admins import Admin

router = APIRouter()


@router.get("/receipts")
def list_receipts(
    _: Annotated[Admin, Depends(May("receipt.read"))],
    parts: Parts,
    *,
    device: str = "",
    specialist: str = "",
    before: int | None = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """Receipts, the last that came first."""
    with parts.database.reading() as connection:
        found = receipts.newest(connection, device=device, specialist=specialist, before=before, limit=limit)
    return {"receipts": found, "before": found[-1]["number"] if len(found) == limit else None}


@router.post("/receipts")
async def bring_receipts(
    doer: Annotated[Admin, Depends(May("receipt.import"))], parts: Parts, request: Request
) -> dict[str, Any]:
    """Takes receipts that somebody carried: one a line, the body of the request."""
    body = await request.body()
    brought = await run_in_threadpool(_brought, parts, doer, [line for line in body.split(b"\n") if line])
    return {
        "stored": brought.stored,
        "known": brought.known,
        "refused": [{"place": place, "code": code} for place, code in brought.refused],
    }


def _brought(parts: Administration, doer: Admin, lines: list[bytes]) -> receipts.Brought:
    with parts.database.writing() as connection:
        return receipts.bring(connection, lines, by=doer.name, now_s=parts.clock())
