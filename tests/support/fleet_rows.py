"""Rows of the controller's tables, as its own parts would have written them, for tests of what is read from them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from homebred_fleet.adapters.store import tables
from homebred_fleet.core.device_filters import DeviceFacts

NOW_S = 1_800_000_000
BOOT = "0" * 31 + "1"


def add_device(connection: Connection, facts: DeviceFacts) -> int:
    """A device of which exactly this is known; its number."""
    values = {"id": facts.id, "site": facts.site, "labels": dict(facts.labels), "state": facts.state}
    added = connection.execute(tables.devices.insert().values(**values, enrolled_at_s=NOW_S - 1000))
    assert added.inserted_primary_key is not None
    number = int(added.inserted_primary_key[0])
    if facts.heard_at_s is not None:
        add_presence(connection, number, online=facts.online, heard_at_s=facts.heard_at_s)
    if facts.desired.version is not None:
        row = {"device": number, "version": facts.desired.version, "set_at_s": NOW_S, "set_by": "ada"}
        connection.execute(tables.desired.insert().values(**row))
    if facts.desired.reported_version is not None:
        add_reported(
            connection,
            number,
            desired_version=facts.desired.reported_version,
            software_version=facts.software_version,
            policy_digest=facts.policy_digest,
            standing=facts.desired.standing,
        )
    if facts.certificate_ends_at_s is not None:
        add_certificate(connection, number, not_after_s=facts.certificate_ends_at_s)
    return number


def add_presence(connection: Connection, device: int, *, online: bool, heard_at_s: int, reason: str = "birth") -> None:
    """What the broker said of it."""
    connection.execute(
        tables.presence.insert().values(
            device=device,
            online=online,
            boot_id=BOOT,
            boot_number=7,
            connection=1,
            reason=reason,
            changed_at_s=heard_at_s,
            heard_at_s=heard_at_s,
        )
    )


def add_reported(connection: Connection, device: int, *, body: dict[str, Any] | None = None, **columns: Any) -> None:
    """What it said of itself."""
    row = {"boot_number": 7, "revision": 1, "highest_version": 1, "received_at_s": NOW_S, "body": body or {}, **columns}
    connection.execute(tables.reported.insert().values(device=device, **row))


def add_certificate(connection: Connection, device: int, *, not_after_s: int, revoked_at_s: int | None = None) -> None:
    """One that was issued to it."""
    serial = connection.execute(select(func.count()).select_from(tables.certificates)).scalar_one() + 1
    row = {"serial": f"{serial:x}", "fingerprint": f"{serial:064x}", "revoked_at_s": revoked_at_s}
    connection.execute(
        tables.certificates.insert().values(
            device=device, not_before_s=0, not_after_s=not_after_s, issued_at_s=serial, **row
        )
    )


def add_boot(connection: Connection, device: int, number: int = 1) -> int:
    """A start of its daemon; the number of its row."""
    row = {"boot_id": f"{device:016x}{number:016x}", "boot_number": number, "first_heard_at_s": NOW_S}
    added = connection.execute(tables.boots.insert().values(device=device, **row))
    assert added.inserted_primary_key is not None
    return int(added.inserted_primary_key[0])


def add_route(connection: Connection, boot: int, seq: int, **columns: Any) -> None:
    """One route event."""
    row = {
        "recorded_at_s": NOW_S,
        "received_at_s": NOW_S,
        "selected_runtime": 1,
        "selected_model_or_stack": "smol",
        "redaction_required": False,
        "evidence_required": False,
        "fallback_target": 1,
        "route_created_at_s": NOW_S,
        "guarded": False,
        "reason_code": 2,
        "route_id": f"r-{seq}",
        "workflow": "intake.normalise",
        "status": 1,
        "answered_by": "smol",
        "classes": 1 << 9,
        "findings": 0,
        "link": 1,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_ms": 40,
        "policy_digest": "",
        **columns,
    }
    connection.execute(tables.route_events.insert().values(boot=boot, seq=seq, **row))


def add_hour(connection: Connection, device: int, hour: int, routes: int, **columns: Any) -> None:
    """Routes of an hour, rolled up."""
    row = {
        "workflow": "intake.normalise",
        "reason_code": 2,
        "status": 1,
        "weak": 0,
        "slow": 0,
        "total_ms": 40 * routes,
        "completion_tokens": 5 * routes,
        **columns,
    }
    connection.execute(tables.route_hours.insert().values(hour=hour, device=device, routes=routes, **row))


def add_gap(
    connection: Connection, boot: int, seq: int, *, events: int, reason: int, stream: int = 4, lost: int = 0
) -> None:
    """What a device lost and counted; of the start in the row `lost`, from seq 5 to 9, if it had numbers."""
    boot_id = connection.execute(select(tables.boots.c.boot_id).where(tables.boots.c.number == lost)).scalar() or ""
    seqs = {"lost_boot_id": boot_id, "first_seq": 5 if lost else 0, "last_seq": 9 if lost else 0}
    row = {"recorded_at_s": NOW_S, "received_at_s": NOW_S, **seqs}
    connection.execute(
        tables.gap_events.insert().values(boot=boot, seq=seq, stream=stream, events=events, reason=reason, **row)
    )
