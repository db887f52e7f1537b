"""Devices with real keys and certificates that sign receipts, and a fleet's database that knows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sqlalchemy import insert
from tests.support.fleet_authority import MEMBERSHIP, Authority
from tests.support.install_stage import release

from homebred_daemon.adapters.identity_files import IdentityFiles
from homebred_daemon.adapters.receipt_signing import ReceiptSigning
from homebred_daemon.core.deployment import Event, Install, State
from homebred_daemon.ports.identity import Identity
from homebred_daemon.ports.installs import Step
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.tables import certificates, devices

NOW_S = 1_796_000_000
FACTS = {"intake.extract:score_ppm": 930_000, "intake.extract:samples": 40, "memory_bytes": 512_000_000}


def step(seq: int = 1, *, event: Event | None = Event.PASSED, state: State = State.ACTIVATING, code: str = "") -> Step:
    """One step of an install."""
    return Step(seq=seq, install=1, at_s=NOW_S + seq, event=event, state=state, code=code, reason="", facts=FACTS)


class SigningDevice:
    """One device."""

    def __init__(self, folder: Path, authority: Authority, name: str = "kiosk-1") -> None:
        self.name = name
        self._authority = authority
        self._files = IdentityFiles(folder, {})
        self.signing = ReceiptSigning(self._files)

    def enrol(self) -> Identity:
        """Another key and certificate, as at enrolment and renewal."""
        pending = self._files.pending_key("enrolment")
        membership = replace(MEMBERSHIP, device_id=self.name)
        return self._files.take_up(pending, self._authority.issued(pending.request_der, membership))

    def receipt(self, seq: int = 1, *, number: int = 7, event: Event | None = Event.PASSED) -> bytes:
        """A signed receipt."""
        install = Install(seq=1, release=release(number), state=State.ACTIVATING, begun_at_s=NOW_S, changed_at_s=NOW_S)
        return self.signing.signed(install, step(seq, event=event))


def know(database: Database, device: str, *identities: Identity, revoked_at_s: int | None = None) -> int:
    """Has a fleet know a device by its certificates; its number."""
    with database.writing() as connection:
        added = connection.execute(
            insert(devices)
            .values(id=device, site="clinic-east", labels={}, state="enrolled", enrolled_at_s=1)
            .returning(devices.c.number)
        )
        number = int(added.scalar_one())
        for identity in identities:
            facts = identity.certificate
            connection.execute(
                insert(certificates).values(
                    serial=facts.serial,
                    device=number,
                    fingerprint=facts.digest.removeprefix("sha256:"),
                    not_before_s=facts.begins_s,
                    not_after_s=facts.ends_s,
                    issued_at_s=1,
                    revoked_at_s=revoked_at_s,
                )
            )
    return number
