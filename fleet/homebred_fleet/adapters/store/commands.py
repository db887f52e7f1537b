"""Commands to devices: issued for an administrator, sent, answered or given up; over a given connection."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, and_, insert, or_, select, tuple_, update

from homebred_fleet.adapters.store.tables import commands, devices
from homebred_fleet.core.commands import ANSWER_GRACE_S, BEGUN, EXPIRED, QUEUED, SENT, after_result
from homebred_fleet.ports.intents import CommandOrder, WantedCommands


def issue(
    connection: Connection,
    *,
    device_number: int,
    op: str,
    parameters: Mapping[str, str],
    deadline_s: int,
    by: str,
    now_s: int,
) -> str:
    """Queues a command for a device; its id."""
    issued = issue_to_all(
        connection,
        device_numbers=[device_number],
        op=op,
        parameters=parameters,
        deadline_s=deadline_s,
        by=by,
        now_s=now_s,
    )
    return issued[device_number]


def issue_to_all(
    connection: Connection,
    *,
    device_numbers: Iterable[int],
    op: str,
    parameters: Mapping[str, str],
    deadline_s: int,
    by: str,
    now_s: int,
) -> dict[int, str]:
    """Queues a command for each of some devices; its id by device number."""
    identities = {number: secrets.token_hex(16) for number in device_numbers}
    values = {
        "op": op,
        "parameters": dict(parameters),
        "issued_at_s": now_s,
        "issued_by": by,
        "deadline_s": deadline_s,
        "state": QUEUED,
        "result": {},
    }
    rows = [{"device": number, "id": identity, **values} for number, identity in identities.items()]
    if rows:
        connection.execute(insert(commands), rows)
    return identities


def to_send(
    connection: Connection, wanted: WantedCommands, *, after: CommandOrder | None, max_commands: int
) -> list[CommandOrder]:
    """Those that devices should hear, oldest first; those after one that was read.

    A device tells again what became of a command that it has begun, whatever its deadline.
    """
    states = [QUEUED, SENT] if wanted.also_sent else [QUEUED]
    is_due = and_(commands.c.state.in_(states), commands.c.deadline_s > wanted.now_s)
    statement = (
        select(commands, devices.c.id.label("device_id"))
        .join(devices, devices.c.number == commands.c.device)
        .where(or_(is_due, commands.c.state.in_(BEGUN)) if wanted.also_sent else is_due, devices.c.state == "enrolled")
        .order_by(commands.c.issued_at_s, commands.c.id)
        .limit(max_commands)
    )
    if wanted.of is not None:
        statement = statement.where(devices.c.id.in_(wanted.of))
    if after is not None:
        statement = statement.where(tuple_(commands.c.issued_at_s, commands.c.id) > (after.issued_at_s, after.id))
    return [
        CommandOrder(
            id=row.id,
            device=row.device_id,
            op=row.op,
            issued_at_s=row.issued_at_s,
            deadline_s=row.deadline_s,
            issued_by=row.issued_by,
            parameters=dict(row.parameters),
        )
        for row in connection.execute(statement)
    ]


def mark_sent(connection: Connection, ids: Iterable[str], *, now_s: int) -> None:
    """Notes that the broker has taken them; one that was answered meanwhile stays as it is."""
    for identity in ids:
        connection.execute(
            update(commands)
            .where(commands.c.id == identity, commands.c.state == QUEUED)
            .values(state=SENT, published_at_s=now_s)
        )


def expire(connection: Connection, *, now_s: int) -> int:
    """Gives up what nobody answered in time; how many (the rule is core/commands.py's `is_expired`)."""
    given_up = update(commands).values(state=EXPIRED)
    queued = connection.execute(given_up.where(commands.c.state == QUEUED, commands.c.deadline_s <= now_s))
    latest = now_s - ANSWER_GRACE_S
    sent = connection.execute(given_up.where(commands.c.state == SENT, commands.c.deadline_s <= latest))
    return queued.rowcount + sent.rowcount


def note_result(
    connection: Connection,
    *,
    device_number: int,
    identity: str,
    state: str,
    result: Mapping[str, object],
    attachment: bytes,
    now_s: int,
) -> str:
    """Keeps a device's answer; a word: `noted`, `known` (it says nothing new), `unknown` (no such command of it)."""
    found = connection.execute(
        select(commands.c.state, commands.c.answered_at_s).where(
            commands.c.id == identity, commands.c.device == device_number
        )
    ).one_or_none()
    if found is None:
        return "unknown"
    after = after_result(found.state, state, was_answered=found.answered_at_s is not None)
    if after is None:
        return "known"
    values: dict[str, object] = {"state": after, "answered_at_s": now_s, "result": dict(result)}
    if attachment:
        values["attachment"] = attachment
    connection.execute(update(commands).where(commands.c.id == identity).values(values))
    return "noted"
