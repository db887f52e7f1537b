"""/api/v1/telemetry and /audit: what devices told, what was lost, and who changed what."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query

from homebred_fleet.adapters.http_api.administration.context import FilterText, Limit, May, Parts
from homebred_fleet.adapters.store import accounts, audit, audit_views, devices, telemetry_views
from homebred_fleet.adapters.store.administering import tree_of
from homebred_fleet.core.admins import Admin
from homebred_fleet.errors import RequestError

router = APIRouter()
HOUR_S: Final = 3600
MAX_HOURS: Final = 24 * 366
_CURSOR: Final = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})")
Stream = Literal["route", "evidence", "receipt", "health", "gap"]
Reader = Annotated[Admin, Depends(May("telemetry.read"))]
Hours = Annotated[int, Query(ge=1, le=MAX_HOURS)]


@router.get("/telemetry/routes")
def count_routes(
    _: Reader,
    parts: Parts,
    *,
    filter_text: FilterText = "",
    hours: Hours = 24,
    by: Annotated[str, Query(max_length=80)] = "workflow,reason,status",
    workflow: str = "",
) -> dict[str, Any]:
    """Routes of the last hours, counted; the present hour is one of them."""
    groups = tuple(dict.fromkeys(word.strip() for word in by.split(",") if word.strip()))
    if unknown := [word for word in groups if word not in telemetry_views.GROUPS]:
        hint = f"write some of {','.join(telemetry_views.GROUPS)}"
        raise RequestError(f"routes cannot be counted by {', '.join(unknown)}", hint=hint)
    tree, now_s = tree_of(filter_text), parts.clock()
    since_s = (now_s // HOUR_S - hours + 1) * HOUR_S
    with parts.database.reading() as connection:
        counted = telemetry_views.routes(
            connection, tree, now_s=now_s, since_s=since_s, until_s=now_s + HOUR_S, by=groups, workflow=workflow
        )
    return {"since_s": since_s, "by": list(groups), "routes": counted}


@router.get("/telemetry/events/{stream}")
def list_events(
    _: Reader,
    parts: Parts,
    *,
    stream: Stream,
    filter_text: FilterText = "",
    hours: Hours = 24,
    workflow: str = "",
    before: str = "",
    limit: Limit = 100,
) -> dict[str, Any]:
    """Events that came in the last hours, from the newest start of each device backwards."""
    tree, now_s = tree_of(filter_text), parts.clock()
    with parts.database.reading() as connection:
        page = telemetry_views.events(
            connection,
            stream,
            tree,
            now_s=now_s,
            since_s=now_s - hours * HOUR_S,
            workflow=workflow,
            before=_place(before),
            limit=limit,
        )
    return {"events": page.events, "before": page.before}


@router.get("/telemetry/gaps")
def list_gaps(_: Reader, parts: Parts, filter_text: FilterText = "") -> dict[str, Any]:
    """What was lost and counted, of all time."""
    tree = tree_of(filter_text)
    with parts.database.reading() as connection:
        return {"gaps": telemetry_views.gaps(connection, tree, now_s=parts.clock())}


@router.get("/telemetry/accounts")
def list_accounts(_: Reader, parts: Parts, filter_text: FilterText = "") -> dict[str, Any]:
    """The books of each device that was heard of: events that are rows, and events that are counted as lost."""
    tree = tree_of(filter_text)
    with parts.database.reading() as connection:
        meant = {device for _, device, _ in devices.numbers(connection, tree, now_s=parts.clock())}
        found = [asdict(one) for one in accounts.accounts(connection) if one.device in meant]
    return {"accounts": found}


@router.get("/telemetry/quarantine")
def list_quarantine(_: Reader, parts: Parts, filter_text: FilterText = "") -> dict[str, Any]:
    """What could not be taken, of all time."""
    tree = tree_of(filter_text)
    with parts.database.reading() as connection:
        return {"quarantine": telemetry_views.quarantined(connection, tree, now_s=parts.clock())}


@router.get("/audit")
def list_audit(
    _: Annotated[Admin, Depends(May("audit.read"))],
    parts: Parts,
    before: Annotated[int | None, Query(ge=1)] = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """Who changed what, the newest first."""
    with parts.database.reading() as connection:
        rows = audit_views.newest(connection, before=before, limit=limit)
    return {"audit": rows, "before": rows[-1]["number"] if len(rows) == limit else None}


@router.get("/audit/verification")
def verify_audit(_: Annotated[Admin, Depends(May("audit.read"))], parts: Parts) -> dict[str, Any]:
    """Whether the chain is whole, and its end: write it down elsewhere, and a cut end shows too."""
    with parts.database.reading() as connection:
        broken = audit.check(connection)
        end = audit_views.end(connection)
    return {"whole": broken is None, "first_broken": broken, **end}


def _place(before: str) -> tuple[int, int] | None:
    if not before:
        return None
    found = _CURSOR.fullmatch(before)
    if found is None:
        raise RequestError(f"{before!r} is no place in a list", hint="give `before` as an earlier answer had it")
    return int(found[1]), int(found[2])
