"""Identities in memory, held to the store's own suite (tests/contract/test_identities); an authority without keys."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

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
from homebred_fleet.ports.authority import BadRequestError, Issued, Probe, Revocation
from homebred_fleet.ports.identities import Shown, Taken


@dataclass(slots=True)
class FakeIdentities:
    """Fulfils `ports.identities.Identities`."""

    tokens: dict[str, Token] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    certificates: dict[str, tuple[str, str, Certificate]] = field(default_factory=dict)
    """By serial: device, fingerprint, certificate."""
    out: set[str] = field(default_factory=set)
    """Serials."""

    def token(self, token_hash: str) -> Token | None:
        return self.tokens.get(token_hash)

    def device(self, device: str) -> Device | None:
        return self.devices.get(device)

    def shown(self, fingerprint: str) -> Shown | None:
        for device, known, certificate in self.certificates.values():
            if known == fingerprint:
                return Shown(device=self.devices[device], certificate=certificate)
        return None

    def admin(self, fingerprint: str) -> Admin | None:
        return None

    def live_certificates(self, device: str, *, now_s: int) -> int:
        own = [one for name, _, one in self.certificates.values() if name == device]
        return len([one for one in own if one.revoked_at_s is None and one.not_after_s > now_s])

    def admit(self, admission: Admission, token: Token, device: str, *, key: str, issued: Issued, now_s: int) -> bool:
        (token_hash,) = [one for one, known in self.tokens.items() if known.id == token.id]
        is_retry = isinstance(admission, KnownDevice) and admission.is_retry
        known = self.tokens[token_hash]
        is_unused = known.used_at_s is None and known.expires_at_s > now_s
        is_good = known.withdrawn_at_s is None and (known.used_key == key if is_retry else is_unused)
        if not is_good or not self._let_in(admission, device, now_s):
            return False
        if not is_retry:
            self._end_tokens_of(device, now_s)
            self.tokens[token_hash] = replace(known, used_at_s=now_s, used_by=device, used_key=key)
        self._keep(device, issued)
        return True

    def renew(self, device: str, issued: Issued, *, shown: str, makes_room: bool, now_s: int) -> bool:
        if device not in self.devices or self.devices[device].state != "enrolled":
            return False
        if makes_room:
            self._take_back(device, now_s, but=shown)
        self._keep(device, issued)
        return True

    def revoke(self, device: str, *, reason: str, by: str, now_s: int) -> bool:
        if device not in self.devices:
            raise NotFoundError(f"there is no device {device!r}")
        if self.devices[device].state != "enrolled":
            return False
        self._take_out(device, "revoked", now_s)
        for token_hash, token in self.tokens.items():
            if token.device == device and token.used_at_s is None and token.withdrawn_at_s is None:
                self.tokens[token_hash] = replace(token, withdrawn_at_s=now_s)
        return True

    def taken_back(self, *, now_s: int) -> tuple[Taken, ...]:
        taken = [
            Taken(device=device, revocation=Revocation(serial=serial, at_s=one.revoked_at_s), is_out=serial in self.out)
            for serial, (device, _, one) in self.certificates.items()
            if one.revoked_at_s is not None and one.not_after_s > now_s
        ]
        return tuple(sorted(taken, key=lambda one: (one.revocation.at_s, one.revocation.serial)))

    def note_out(self, serials: Collection[str], *, now_s: int) -> None:
        self.out.update(serials)

    def _let_in(self, admission: Admission, device: str, now_s: int) -> bool:
        there = self.devices.get(device)
        match admission:
            case NewDevice(site=site, labels=labels, replaces=replaces):
                old = self.devices.get(replaces) if replaces else None
                if there is not None or (replaces and (old is None or old.state == "replaced")):
                    return False
                if old is not None:
                    together = labels_in_place_of(old.labels, labels)
                    if together is None:
                        return False
                    site, labels = old.site, together
                    self._take_out(replaces, "replaced", now_s)
                self.devices[device] = Device(id=device, site=site, labels=labels, state="enrolled")
            case KnownDevice(is_retry=is_retry, makes_room=makes_room):
                if there is None or there.state == "replaced" or (is_retry and there.state != "enrolled"):
                    return False
                if makes_room:
                    self._take_back(device, now_s)
                if not is_retry:
                    self._take_back(device, now_s)
                    self.devices[device] = replace(there, state="enrolled", revoked_at_s=None)
        return True

    def _keep(self, device: str, issued: Issued) -> None:
        certificate = Certificate(serial=issued.serial, not_after_s=issued.not_after_s)
        self.certificates[issued.serial] = (device, issued.fingerprint, certificate)

    def _take_out(self, device: str, state: str, now_s: int) -> None:
        changed = replace(self.devices[device], state=state, revoked_at_s=now_s)  # type: ignore[arg-type]
        self.devices[device] = changed
        self._take_back(device, now_s)
        self._end_tokens_of(device, now_s)

    def _end_tokens_of(self, device: str, now_s: int) -> None:
        for token_hash, token in self.tokens.items():
            if token.used_by == device and token.withdrawn_at_s is None:
                self.tokens[token_hash] = replace(token, withdrawn_at_s=now_s)

    def _take_back(self, device: str, now_s: int, *, but: str = "") -> None:
        for serial, (name, fingerprint, one) in self.certificates.items():
            if name == device and one.revoked_at_s is None and fingerprint != but:
                self.certificates[serial] = (name, fingerprint, replace(one, revoked_at_s=now_s))


@dataclass(slots=True)
class FakeAuthority:
    """Fulfils `ports.authority.Authority`; a request is `key:` and the key's name."""

    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    written: list[tuple[str, ...]] = field(default_factory=list)
    """Serials of each list that was written."""

    def key_of(self, request: bytes) -> str:
        scheme, _, name = request.decode().partition(":")
        if scheme != "key":
            raise BadRequestError("it is no request")
        return name

    def issue_to_device(self, request: bytes, device: str, *, now_s: int) -> Issued:
        self.key_of(request)
        return issued(next(self.numbers), now_s)

    def write_revocations(self, revoked: Iterable[Revocation], *, now_s: int) -> Probe:
        self.written.append(tuple(one.serial for one in revoked))
        return Probe(key_pem=b"", certificate_pem=str(len(self.written)).encode())

    def takeover_of(self, device: str, *, now_s: int) -> Probe:
        return Probe(key_pem=b"", certificate_pem=device.encode())


def issued(number: int, now_s: int, life_s: int = 1000) -> Issued:
    """A certificate with a number."""
    return Issued(
        serial=f"{number:x}",
        fingerprint=f"{number:064x}",
        not_before_s=now_s,
        not_after_s=now_s + life_s,
        pem=b"",
    )
