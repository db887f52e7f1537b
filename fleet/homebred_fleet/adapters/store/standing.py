"""What is known of devices in one transaction: who they are, whether they are there, and what they say that they are.

Which of two messages is newer, core/presence.py and core/desired.py say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import JSON, Connection, Row, bindparam, select, text, update

from homebred_fleet.adapters.store.desired import assign
from homebred_fleet.adapters.store.rows import upsert
from homebred_fleet.adapters.store.tables import desired, devices, presence, reported
from homebred_fleet.adapters.store.telemetry import Sender, TelemetryGroup
from homebred_fleet.adapters.wire.messages import Report
from homebred_fleet.core.desired import ReportOrder, is_newer_report, must_jump, standing
from homebred_fleet.core.presence import UNHEARD, SignsOfLife, Told, judge_state
from homebred_fleet.ports.intake import Fate, Outcome

HEARD_EVERY_S = 30
"""How often it is noted that a device was heard: not with every message."""
JUMP_PAUSE_S = 60
"""Between two new versions because of what a device reports: one that reports nonsense makes no storm."""
CONTROLLER = "controller"
"""Who set a desired state that nobody changed: its version alone rose."""
HEARD = "heard"
"""Why a device that was taken for gone is online again: it spoke."""
_PRESENCE = text(
    upsert(
        presence,
        sets=("online", "boot_id", "boot_number", "connection", "reason", "changed_at_s", "heard_at_s"),
    )
)
_REPORTED = text(
    upsert(reported, sets=tuple(column.name for column in reported.columns if not column.primary_key))
).bindparams(bindparam("body", type_=JSON))


@dataclass(slots=True)
class StandingGroup:
    """What is known of the senders of one transaction. `load` once, then message after message, then `flush`."""

    connection: Connection
    now_s: int
    _senders: dict[str, Sender] = field(default_factory=dict)
    _refused: dict[str, str] = field(default_factory=dict)
    """Why a known device may not speak."""
    _heard: set[int] = field(default_factory=set)
    _unheard: set[int] = field(default_factory=set)
    """Devices that are taken for gone because nothing was heard of them."""

    def load(self, device_ids: Iterable[str]) -> None:
        """Reads who may speak."""
        wanted = sorted(set(device_ids))
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            known = select(devices.c.id, devices.c.number, devices.c.state, presence.c.reason)
            known = known.select_from(devices.outerjoin(presence, presence.c.device == devices.c.number))
            for row in self.connection.execute(known.where(devices.c.id.in_(part))):
                if row.reason == UNHEARD:
                    self._unheard.add(row.number)
                if row.state == "enrolled":
                    self._senders[row.id] = Sender(row.number, row.id)
                else:
                    self._refused[row.id] = f"{row.state}-device"

    def sender(self, device_id: str) -> Sender | str:
        """Who speaks, or why it may not."""
        found = self._senders.get(device_id)
        return found if found is not None else self._refused.get(device_id, "unknown-device")

    def hear(self, sender: Sender, *, is_own_word: bool) -> None:
        """Notes that a device was heard just now; where it spoke itself (a will is the broker's word), it is there."""
        self._heard.add(sender.number)
        if is_own_word and sender.number in self._unheard:
            self._unheard.discard(sender.number)
            self.connection.execute(
                update(presence)
                .where(presence.c.device == sender.number, presence.c.reason == UNHEARD)
                .values(online=True, reason=HEARD, changed_at_s=self.now_s)
            )

    def note_state(self, sender: Sender, told: Told, *, is_retained: bool, telemetry: TelemetryGroup) -> Outcome:
        """A birth, a good-bye or a will."""
        known = self._presence(sender)
        is_new_boot = not telemetry.knows_boot(sender, told.boot_id)
        judgement = judge_state(known, told, is_retained=is_retained, is_new_boot=is_new_boot)
        if not judgement.holds:
            return Outcome(fate=Fate.DUPLICATE, device=sender.id, cause=judgement.reason)
        telemetry.boot(sender, told.boot_id, told.boot_number)
        values = {
            "device": sender.number,
            "online": told.online,
            "boot_id": told.boot_id,
            "boot_number": told.boot_number,
            "connection": told.connection,
            "reason": told.reason,
            "changed_at_s": self.now_s,
            "heard_at_s": self.now_s,
        }
        self.connection.execute(_PRESENCE, values)
        return Outcome(fate=Fate.STORED, device=sender.id, cause=judgement.reason, is_birth=told.online)

    def note_report(self, sender: Sender, report: Report) -> Outcome:
        """What a device says that it is; a device that has seen higher versions is given one above them."""
        row = self.connection.execute(
            select(reported.c.boot_number, reported.c.revision, reported.c.body).where(
                reported.c.device == sender.number
            )
        ).one_or_none()
        known = None
        if row is not None:
            boot_id = str(row.body.get("boot_id", ""))
            known = ReportOrder(boot_id=boot_id, boot_number=row.boot_number, revision=row.revision)
        told = ReportOrder(boot_id=report.boot_id, boot_number=report.boot_number, revision=report.revision)
        present = self._presence(sender)
        if not is_newer_report(known, told, present_boot=present.boot_id if present is not None else ""):
            return Outcome(fate=Fate.DUPLICATE, device=sender.id)
        self._keep(sender, report)
        return Outcome(fate=Fate.STORED, device=sender.id, asks_for_desired=self._jump(sender, report))

    def flush(self) -> None:
        """Writes everything that was not written at once."""
        if self._heard:
            self.connection.execute(
                update(presence)
                .where(presence.c.device.in_(sorted(self._heard)), presence.c.heard_at_s < self.now_s - HEARD_EVERY_S)
                .values(heard_at_s=self.now_s)
            )

    def _presence(self, sender: Sender) -> Told | None:
        row = self.connection.execute(select(presence).where(presence.c.device == sender.number)).one_or_none()
        return _told(row) if row is not None else None

    def _keep(self, sender: Sender, report: Report) -> None:
        values = {
            "device": sender.number,
            "boot_number": report.boot_number,
            "revision": report.revision,
            "desired_version": report.desired_version,
            "highest_version": report.highest_version,
            "stop_epoch": report.stop_epoch,
            "received_at_s": self.now_s,
            "software_version": report.software_version,
            "policy_digest": report.policy_digest,
            "standing": standing(report.parts),
            "body": report.body,
        }
        self.connection.execute(_REPORTED, values)

    def _jump(self, sender: Sender, report: Report) -> bool:
        row = self.connection.execute(select(desired).where(desired.c.device == sender.number)).one_or_none()
        if row is None or row.set_at_s > self.now_s - JUMP_PAUSE_S:
            return False
        jumps = must_jump(
            version=row.version,
            highest_reported=report.highest_version,
            newest_reported=report.desired_version,
            asked={"policy": row.policy_digest, "gazetteer": row.gazetteer_digest},
            parts=report.parts,
        )
        if jumps:
            assign(self.connection, device_numbers=[sender.number], by=CONTROLLER, now_s=self.now_s)
        return jumps


def _told(row: Row[tuple[object, ...]]) -> Told:
    return Told(
        online=row.online,
        boot_id=row.boot_id,
        boot_number=row.boot_number,
        connection=row.connection,
        reason=row.reason,
    )


def note_unheard(connection: Connection, signs: SignsOfLife, *, now_s: int) -> list[str]:
    """Turns every device offline that is online here without a sign of life; those that it turned."""
    statement = select(devices.c.number, devices.c.id, presence.c.heard_at_s).join(
        presence, presence.c.device == devices.c.number
    )
    online = connection.execute(statement.where(presence.c.online)).all()
    silent = [row for row in online if not signs.show(row.id, heard_at_s=row.heard_at_s)]
    for row in silent:
        connection.execute(
            update(presence)
            .where(presence.c.device == row.number)
            .values(online=False, reason=UNHEARD, changed_at_s=now_s)
        )
    return sorted(row.id for row in silent)
