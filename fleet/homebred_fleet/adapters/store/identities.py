"""Identities in the database: `ports.identities.Identities`, and tokens and admins for whoever has a transaction open.

A token is used by one UPDATE that finds it unused: of any number that race, one changes a row.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, bindparam, func, insert, select, update

from homebred_fleet.adapters.store import assignments, audit
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.tables import admins as admin_table
from homebred_fleet.adapters.store.tables import certificates, desired, devices, tokens
from homebred_fleet.core.admins import Admin
from homebred_fleet.core.enrolment import (
    Admission,
    Certificate,
    Device,
    KnownDevice,
    NewDevice,
    Token,
    labels_in_place_of,
)
from homebred_fleet.errors import NotFoundError
from homebred_fleet.ports.authority import Issued, Revocation
from homebred_fleet.ports.identities import Shown, Taken

ENROLMENT = "enrolment"
"""Who acts in the audit's eyes when a token lets somebody in; the token's own maker stands in the details."""


_taken_back_at = certificates.c.revoked_at_s.label("taken_back_at_s")


class _NotDoneError(Exception):
    """Undoes a transaction whose end would not be right any more."""


class IdentityStore:
    """Fulfils `ports.identities.Identities`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def token(self, token_hash: str) -> Token | None:
        """See the port."""
        with self._database.reading() as connection:
            row = connection.execute(select(tokens).where(tokens.c.hash == token_hash)).mappings().one_or_none()
        return token_of(row) if row is not None else None

    def device(self, device: str) -> Device | None:
        """See the port."""
        with self._database.reading() as connection:
            row = _device_row(connection, device)
        return _device(row) if row is not None else None

    def shown(self, fingerprint: str) -> Shown | None:
        """See the port."""
        query = (
            select(devices, certificates.c.serial, certificates.c.not_after_s, _taken_back_at)
            .join(certificates, certificates.c.device == devices.c.number)
            .where(certificates.c.fingerprint == fingerprint)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        certificate = Certificate(
            serial=row["serial"], not_after_s=row["not_after_s"], revoked_at_s=row["taken_back_at_s"]
        )
        return Shown(device=_device(row), certificate=certificate)

    def admin(self, fingerprint: str) -> Admin | None:
        """See the port."""
        query = select(admin_table.c.name, admin_table.c.role).where(
            admin_table.c.fingerprint == fingerprint, admin_table.c.removed_at_s.is_(None)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return Admin(name=row.name, role=row.role) if row is not None else None

    def live_certificates(self, device: str, *, now_s: int) -> int:
        """See the port."""
        query = (
            select(func.count()).select_from(certificates.join(devices)).where(devices.c.id == device, _is_live(now_s))
        )
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def admit(self, admission: Admission, token: Token, device: str, *, key: str, issued: Issued, now_s: int) -> bool:
        """See the port."""
        try:
            with self._database.writing() as connection:
                _admit(connection, admission, token, device, key=key, issued=issued, now_s=now_s)
        except _NotDoneError:
            return False
        return True

    def renew(self, device: str, issued: Issued, *, shown: str, makes_room: bool, now_s: int) -> bool:
        """See the port."""
        with self._database.writing() as connection:
            row = _device_row(connection, device)
            if row is None or row["state"] != "enrolled":
                return False
            if makes_room:
                _take_back(connection, row["number"], now_s=now_s, but=shown)
            _keep(connection, row["number"], issued, now_s=now_s)
        return True

    def revoke(self, device: str, *, reason: str, by: str, now_s: int) -> bool:
        """See the port."""
        with self._database.writing() as connection:
            return revoke(connection, device, reason=reason, by=by, now_s=now_s)

    def taken_back(self, *, now_s: int) -> tuple[Taken, ...]:
        """See the port."""
        query = (
            select(devices.c.id, certificates.c.serial, certificates.c.revoked_at_s, certificates.c.out_at_s)
            .join(certificates, certificates.c.device == devices.c.number)
            .where(certificates.c.revoked_at_s.is_not(None), certificates.c.not_after_s > now_s)
            .order_by(certificates.c.revoked_at_s, certificates.c.serial)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Taken(
                device=row.id,
                revocation=Revocation(serial=row.serial, at_s=row.revoked_at_s),
                is_out=row.out_at_s is not None,
            )
            for row in rows
        )

    def note_out(self, serials: Collection[str], *, now_s: int) -> None:
        """See the port."""
        if not serials:
            return
        statement = update(certificates).where(certificates.c.serial == bindparam("one")).values(out_at_s=now_s)
        with self._database.writing() as connection:
            connection.execute(statement, [{"one": serial} for serial in serials])


def revoke(connection: Connection, device: str, *, reason: str, by: str, now_s: int) -> bool:
    """Takes a device out, with the audit's row; False: it was out already. Raises NotFoundError."""
    row = _device_row(connection, device)
    if row is None:
        raise NotFoundError(f"there is no device {device!r}", hint="see `homebred-fleet devices list`")
    if row["state"] != "enrolled":
        return False
    _take_out(connection, row["number"], state="revoked", reason=reason, now_s=now_s)
    _end_tokens_of(connection, device, now_s=now_s)
    connection.execute(
        update(tokens)
        .where(tokens.c.device == device, tokens.c.used_at_s.is_(None), tokens.c.withdrawn_at_s.is_(None))
        .values(withdrawn_at_s=now_s)
    )
    audit.append(connection, at_s=now_s, actor=by, action="device.revoke", target=device, details={"reason": reason})
    return True


def create_token(connection: Connection, token: Token, *, token_hash: str) -> None:
    """Keeps a new token, with the audit's row."""
    values = {name: getattr(token, name) for name in ("id", "site", "device", "replaces", "created_at_s", "created_by")}
    connection.execute(
        insert(tokens).values(**values, hash=token_hash, labels=dict(token.labels), expires_at_s=token.expires_at_s)
    )
    details = {"site": token.site, "device": token.device, "replaces": token.replaces}
    audit.append(
        connection,
        at_s=token.created_at_s,
        actor=token.created_by,
        action="token.create",
        target=token.id,
        details=details,
    )


def list_tokens(connection: Connection) -> tuple[Token, ...]:
    """Every token, the newest first; none of them can be used by whoever sees it."""
    rows = connection.execute(select(tokens).order_by(tokens.c.created_at_s.desc(), tokens.c.id)).mappings()
    return tuple(token_of(row) for row in rows)


def withdraw_token(connection: Connection, token_id: str, *, by: str, now_s: int) -> bool:
    """Makes a token useless, with the audit's row; False: it was used or withdrawn already.

    Raises:
        NotFoundError: there is no such token.
    """
    changed = connection.execute(
        update(tokens)
        .where(tokens.c.id == token_id, tokens.c.used_at_s.is_(None), tokens.c.withdrawn_at_s.is_(None))
        .values(withdrawn_at_s=now_s)
    )
    if not changed.rowcount:
        if connection.execute(select(tokens.c.id).where(tokens.c.id == token_id)).one_or_none() is None:
            raise NotFoundError(f"there is no token {token_id!r}", hint="see `homebred-fleet tokens list`")
        return False
    audit.append(connection, at_s=now_s, actor=by, action="token.withdraw", target=token_id, details={})
    return True


def add_admin(connection: Connection, admin: Admin, *, fingerprint: str, by: str, now_s: int) -> bool:
    """Knows an admin by a certificate from now on, with the audit's row; False: it was known already."""
    known = connection.execute(
        select(admin_table.c.fingerprint).where(admin_table.c.name == admin.name)
    ).scalar_one_or_none()
    if known == fingerprint:
        return False
    values = {"fingerprint": fingerprint, "role": admin.role, "created_at_s": now_s, "removed_at_s": None}
    if known is None:
        connection.execute(insert(admin_table).values(name=admin.name, **values))
    else:
        connection.execute(update(admin_table).where(admin_table.c.name == admin.name).values(**values))
    details = {"role": admin.role, "fingerprint": fingerprint}
    audit.append(connection, at_s=now_s, actor=by, action="admin.add", target=admin.name, details=details)
    return True


def remove_admin(connection: Connection, name: str, *, by: str, now_s: int) -> bool:
    """Knows an admin no longer, from the next request on, with the audit's row; False: they were removed already.

    Raises:
        NotFoundError: there never was one of this name.
    """
    known = admin_table.c.name == name
    removed = connection.execute(
        update(admin_table).where(known, admin_table.c.removed_at_s.is_(None)).values(removed_at_s=now_s)
    )
    if removed.rowcount:
        audit.append(connection, at_s=now_s, actor=by, action="admin.remove", target=name, details={})
        return True
    if connection.execute(select(admin_table.c.name).where(known)).one_or_none() is None:
        raise NotFoundError(f"there is no admin {name!r}", hint="see `homebred-fleet admins list`")
    return False


def list_admins(connection: Connection) -> tuple[Admin, ...]:
    """Those who are known, by name."""
    known = select(admin_table.c.name, admin_table.c.role).where(admin_table.c.removed_at_s.is_(None))
    return tuple(Admin(name=row.name, role=row.role) for row in connection.execute(known.order_by(admin_table.c.name)))


def has_admins(connection: Connection) -> bool:
    """Whether there is any admin."""
    return connection.execute(select(admin_table.c.name).limit(1)).first() is not None


def token_of(row: RowMapping) -> Token:
    """A row of `tokens`, without its hash."""
    names = ("id", "site", "labels", "device", "replaces", "created_at_s", "created_by", "expires_at_s")
    used = ("used_at_s", "used_by", "used_key", "withdrawn_at_s")
    return Token(**{name: row[name] for name in (*names, *used)})


def _admit(
    connection: Connection, admission: Admission, token: Token, device: str, *, key: str, issued: Issued, now_s: int
) -> None:
    if isinstance(admission, KnownDevice) and admission.is_retry:
        if not _still_answers(connection, token, key=key):
            raise _NotDoneError
    else:
        _end_tokens_of(connection, device, now_s=now_s)  # before it uses this one, which may be asked for again
        if not _use(connection, token, device=device, key=key, now_s=now_s):
            raise _NotDoneError
    number = _let_in(connection, admission, device, now_s=now_s)
    _keep(connection, number, issued, now_s=now_s)
    details = {"token": token.id, "created_by": token.created_by, "serial": issued.serial}
    audit.append(connection, at_s=now_s, actor=ENROLMENT, action=_action(admission), target=device, details=details)


def _still_answers(connection: Connection, token: Token, *, key: str) -> bool:
    """Whether a token that was used still answers the key that used it."""
    query = select(tokens.c.id).where(
        tokens.c.id == token.id, tokens.c.used_key == key, tokens.c.withdrawn_at_s.is_(None)
    )
    return connection.execute(query).first() is not None


def _end_tokens_of(connection: Connection, device: str, *, now_s: int) -> None:
    """Has the tokens that a device has used answer nobody: whoever has its old key is not the device any more."""
    connection.execute(
        update(tokens).where(tokens.c.used_by == device, tokens.c.withdrawn_at_s.is_(None)).values(withdrawn_at_s=now_s)
    )


def _use(connection: Connection, token: Token, *, device: str, key: str, now_s: int) -> bool:
    """Uses up a token; False: somebody was faster, or it holds no more."""
    used = connection.execute(
        update(tokens)
        .where(
            tokens.c.id == token.id,
            tokens.c.used_at_s.is_(None),
            tokens.c.withdrawn_at_s.is_(None),
            tokens.c.expires_at_s > now_s,
        )
        .values(used_at_s=now_s, used_by=device, used_key=key)
    )
    return used.rowcount == 1


def _let_in(connection: Connection, admission: Admission, device: str, *, now_s: int) -> int:
    """The number of the device that comes in. Raises _NotDoneError: it cannot, any more."""
    if isinstance(admission, NewDevice):
        return _new_device(connection, admission, device, now_s=now_s)
    row = _device_row(connection, device)
    if row is None or row["state"] == "replaced" or (admission.is_retry and row["state"] != "enrolled"):
        raise _NotDoneError
    if admission.makes_room:
        _take_back(connection, row["number"], now_s=now_s)
    if not admission.is_retry:
        _take_back(connection, row["number"], now_s=now_s)  # whoever has the old key is not the device any more
        fresh = {"state": "enrolled", "revoked_at_s": None, "revoke_reason": ""}
        connection.execute(update(devices).where(devices.c.number == row["number"]).values(**fresh))
    return int(row["number"])


def _new_device(connection: Connection, admission: NewDevice, device: str, *, now_s: int) -> int:
    if _device_row(connection, device) is not None:
        raise _NotDoneError
    site, labels = admission.site, labels_in_place_of({}, admission.labels)
    old = _device_row(connection, admission.replaces) if admission.replaces else None
    if admission.replaces and (old is None or old["state"] == "replaced"):
        raise _NotDoneError
    if old is not None:
        site, labels = old["site"], labels_in_place_of(old["labels"], admission.labels)
    if labels is None:
        raise _NotDoneError
    values = {"id": device, "site": site, "labels": labels, "state": "enrolled", "enrolled_at_s": now_s}
    number = int(connection.execute(insert(devices).values(**values).returning(devices.c.number)).scalar_one())
    if old is not None:
        _take_out(connection, old["number"], state="replaced", reason="replaced", now_s=now_s, by_device=device)
        _end_tokens_of(connection, old["id"], now_s=now_s)
        _inherit_desired(connection, old["number"], number, now_s=now_s)
    return number


def _inherit_desired(connection: Connection, old: int, new: int, *, now_s: int) -> None:
    """What was wanted of the old one is wanted of the new one, which has seen no version yet."""
    assignments.inherit(connection, old, new)
    row = connection.execute(select(desired).where(desired.c.device == old)).mappings().one_or_none()
    if row is None:
        return
    kept = {name: row[name] for name in ("policy_digest", "policy_length", "gazetteer_digest", "gazetteer_length")}
    connection.execute(insert(desired).values(device=new, version=1, set_at_s=now_s, set_by=ENROLMENT, **kept))


def _take_out(connection: Connection, number: int, *, state: str, reason: str, now_s: int, by_device: str = "") -> None:
    values = {"state": state, "revoked_at_s": now_s, "revoke_reason": reason, "replaced_by": by_device}
    connection.execute(update(devices).where(devices.c.number == number).values(**values))
    _take_back(connection, number, now_s=now_s)


def _take_back(connection: Connection, number: int, *, now_s: int, but: str = "") -> None:
    """Every certificate of a device, but for the one of a fingerprint; whatever the clock says of their ends."""
    connection.execute(
        update(certificates)
        .where(
            certificates.c.device == number,
            certificates.c.fingerprint != but,
            certificates.c.revoked_at_s.is_(None),
        )
        .values(revoked_at_s=now_s)
    )


def _keep(connection: Connection, number: int, issued: Issued, *, now_s: int) -> None:
    names = ("serial", "fingerprint", "not_before_s", "not_after_s")
    values = {name: getattr(issued, name) for name in names}
    connection.execute(insert(certificates).values(device=number, issued_at_s=now_s, **values))


def _is_live(now_s: int) -> Any:
    return and_(certificates.c.revoked_at_s.is_(None), certificates.c.not_after_s > now_s)


def _device_row(connection: Connection, device: str) -> RowMapping | None:
    return connection.execute(select(devices).where(devices.c.id == device)).mappings().one_or_none()


def _device(row: RowMapping) -> Device:
    return Device(
        id=row["id"], site=row["site"], labels=row["labels"], state=row["state"], revoked_at_s=row["revoked_at_s"]
    )


def _action(admission: Admission) -> str:
    match admission:
        case NewDevice(replaces=""):
            return "device.enrol"
        case NewDevice():
            return "device.replace"
        case KnownDevice(is_retry=True):
            return "device.enrol_again"
        case _:
            return "device.re_enrol"
