"""What the fleet's telemetry says: routes by the hour, events one by one, what was lost, what could not be taken.

It only reads. Numbers of enums become words here; times stay whole Unix seconds.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    func,
    select,
    tuple_,
)

from homebred_fleet.adapters import words
from homebred_fleet.adapters.store import accounts
from homebred_fleet.adapters.store.device_conditions import WITH_STATES, condition
from homebred_fleet.adapters.store.rows import total
from homebred_fleet.adapters.store.tables import (
    boots,
    devices,
    evidence_events,
    gap_events,
    health_events,
    quarantine,
    receipt_events,
    route_events,
    route_hours,
)
from homebred_fleet.core.filters import EVERY, Tree

MAX_ROWS: Final = 1000
HOUR_S: Final = 3600
EVENTS: Final[Mapping[str, Table]] = {
    "route": route_events,
    "evidence": evidence_events,
    "receipt": receipt_events,
    "health": health_events,
    "gap": gap_events,
}
"""By stream."""
Shown = Callable[[Any], Any]
_SHOWN: Final[Mapping[tuple[str, str], Shown]] = {
    ("route", "selected_runtime"): words.RUNTIMES.word,
    ("route", "fallback_target"): words.FALLBACKS.word,
    ("route", "reason_code"): words.ROUTE_REASONS.word,
    ("route", "status"): words.STATUSES.word,
    ("route", "classes"): words.CLASSES.words,
    ("route", "findings"): words.FINDINGS.words,
    ("route", "link"): words.LINKS.word,
    ("evidence", "kind"): words.EVIDENCE_KINDS.word,
    ("evidence", "reason_code"): words.ROUTE_REASONS.word,
    ("evidence", "classes"): words.CLASSES.words,
    ("evidence", "findings"): words.FINDINGS.words,
    ("evidence", "fingerprint"): lambda fingerprint: fingerprint.hex(),
    ("receipt", "kind"): words.RECEIPT_KINDS.word,
    ("gap", "stream"): words.STREAMS.word,
    ("gap", "reason"): words.GAP_REASONS.word,
}
_GROUPS: Final[Mapping[str, ColumnElement[Any]]] = {
    "workflow": route_hours.c.workflow,
    "reason": route_hours.c.reason_code,
    "status": route_hours.c.status,
    "device": devices.c.id,
    "site": devices.c.site,
    "hour": (route_hours.c.hour * HOUR_S).label("hour_s"),
}
GROUPS: Final = tuple(_GROUPS)
"""What routes can be counted by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Some events, the newest start of a device first."""

    events: tuple[dict[str, Any], ...]
    before: str | None
    """Where the next page begins; None: there is none."""


def routes(
    connection: Connection,
    tree: Tree,
    *,
    now_s: int,
    since_s: int,
    until_s: int,
    by: tuple[str, ...],
    workflow: str = "",
) -> list[dict[str, Any]]:
    """Routes counted by some of GROUPS, in whole hours of the devices' clocks; the most frequent first."""
    chosen = [_GROUPS[name].label(f"by_{name}") for name in by]
    counted = (
        select(
            *chosen,
            func.sum(route_hours.c.routes).label("routes"),
            func.sum(route_hours.c.weak).label("weak"),
            func.sum(route_hours.c.slow).label("slow"),
            func.sum(route_hours.c.total_ms).label("total_ms"),
            func.sum(route_hours.c.completion_tokens).label("completion_tokens"),
        )
        .select_from(WITH_STATES.join(route_hours, route_hours.c.device == devices.c.number))
        .where(
            route_hours.c.hour >= since_s // HOUR_S,
            route_hours.c.hour * HOUR_S < until_s,
            condition(tree, now_s),
            *([route_hours.c.workflow == workflow] if workflow else []),
        )
        .group_by(*(_GROUPS[name] for name in by))
        .order_by(func.sum(route_hours.c.routes).desc(), *(_GROUPS[name] for name in by))
        .limit(MAX_ROWS)
    )
    return [_counted(row, by) for row in connection.execute(counted).mappings() if row["routes"]]


def _counted(row: RowMapping, by: tuple[str, ...]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name in by:
        value = row[f"by_{name}"]
        match name:
            case "reason":
                value = words.ROUTE_REASONS.word(value)
            case "status":
                value = words.STATUSES.word(value)
        shown[f"{name}_s" if name == "hour" else name] = value
    count = int(row["routes"])
    figures = {name: int(row[name]) for name in ("weak", "slow", "completion_tokens")}
    return {**shown, "routes": count, **figures, "mean_ms": round(int(row["total_ms"]) / count)}


def events(
    connection: Connection,
    stream: str,
    tree: Tree,
    *,
    now_s: int,
    since_s: int = 0,
    workflow: str = "",
    before: tuple[int, int] | None = None,
    limit: int = 100,
) -> EventPage:
    """Events of a stream, from the newest start of a device backwards; `before` is an earlier page's."""
    table = EVENTS[stream]
    limit = min(max(limit, 1), MAX_ROWS)
    asked: Select[Any] = (
        select(devices.c.id.label("device"), boots.c.boot_id, boots.c.boot_number, table)
        .select_from(
            WITH_STATES.join(boots, boots.c.device == devices.c.number).join(table, table.c.boot == boots.c.number)
        )
        .where(condition(tree, now_s), table.c.received_at_s >= since_s)
        .order_by(table.c.boot.desc(), table.c.seq.desc())
        .limit(limit + 1)
    )
    if before is not None:
        asked = asked.where(tuple_(table.c.boot, table.c.seq) < tuple_(*before))
    if workflow and "workflow" in table.c:
        asked = asked.where(table.c.workflow == workflow)
    rows = connection.execute(asked).mappings().all()
    last = rows[limit - 1] if len(rows) > limit else None
    return EventPage(
        events=tuple(_event(stream, row) for row in rows[:limit]),
        before=None if last is None else f"{last['boot']}.{last['seq']}",
    )


def _event(stream: str, row: RowMapping) -> dict[str, Any]:
    return {
        name: _SHOWN[(stream, name)](value) if (stream, name) in _SHOWN else value
        for name, value in row.items()
        if name != "boot"
    }


def gaps(connection: Connection, tree: Tree, *, now_s: int) -> list[dict[str, Any]]:
    """What was lost and counted: by device, stream, reason and who counted it."""
    lost = accounts.losses()
    keys = (devices.c.id, lost.c.stream, lost.c.reason, lost.c.is_of_device)
    asked = (
        select(*keys, total(lost.c.events).label("events"), func.max(lost.c.at_s).label("last_at_s"))
        .select_from(WITH_STATES.join(lost, lost.c.device == devices.c.number))
        .where(condition(tree, now_s))
        .group_by(*keys)
        .order_by(total(lost.c.events).desc(), *keys)
        .limit(MAX_ROWS)
    )
    return [
        {
            "device": row.id,
            "stream": words.STREAMS.word(row.stream),
            "reason": words.GAP_REASONS.word(row.reason),
            "counted_by": "device" if row.is_of_device else "controller",
            "events": int(row.events),
            "last_at_s": row.last_at_s,
        }
        for row in connection.execute(asked)
    ]


def lost_by_reason(connection: Connection, device: int) -> dict[str, int]:
    """Events of one device, by its number, that were lost and counted."""
    lost = accounts.losses()
    counted = select(lost.c.reason, total(lost.c.events)).where(lost.c.device == device).group_by(lost.c.reason)
    return {words.GAP_REASONS.word(reason): int(count) for reason, count in connection.execute(counted)}


def quarantined(connection: Connection, tree: Tree, *, now_s: int) -> list[dict[str, Any]]:
    """What could not be taken, the newest first; without a filter also of whoever is no device of this fleet."""
    asked = select(quarantine).order_by(quarantine.c.last_at_s.desc(), quarantine.c.device).limit(MAX_ROWS)
    if tree != EVERY:
        meant = select(devices.c.id).select_from(WITH_STATES).where(condition(tree, now_s))
        asked = asked.where(quarantine.c.device.in_(meant))
    return [
        {
            **{name: value for name, value in row.items() if name != "sample"},
            "sample_base64": base64.b64encode(row["sample"]).decode(),
        }
        for row in connection.execute(asked).mappings()
    ]
