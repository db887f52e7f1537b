"""Lets devices in by a token, and renews what they have. Sync, from any thread; it decides nothing that core does not.

A certificate is made first and handed out only where the database has taken it: of many who race for one token, the
others' certificates are thrown away, and none of them has a name that is known.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

from homebred_fleet.core import enrolment
from homebred_fleet.core.enrolment import Admission, Device, KnownDevice, NewDevice, Refusal, Token
from homebred_fleet.core.tokens import token_hash
from homebred_fleet.errors import RequestError
from homebred_fleet.ports.authority import Authority, BadRequestError, Issued
from homebred_fleet.ports.enrolment import Enrolled, RefusedError
from homebred_fleet.ports.identities import Identities

TRIES = 3
"""A name that chance gave twice, or a token that changed between reading and writing, is judged again."""
BAD_REQUEST_HINT = "send a PKCS#10 request in DER, base64, signed by an EC P-256 key"


class Enrolling:
    """Fulfils `ports.enrolment.Enrolment`."""

    def __init__(
        self,
        identities: Identities,
        authority: Authority,
        now_s: Callable[[], int],
        *,
        taken_back: Callable[[], None] = lambda: None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """`taken_back` is told where letting somebody in took certificates back: the broker must hear of it."""
        self._identities = identities
        self._authority = authority
        self._now_s = now_s
        self._taken_back = taken_back
        self._random_bytes = random_bytes

    def enrol(self, token: str, request: bytes) -> Enrolled:
        """See the port."""
        asked_hash, key = token_hash(token), self._key_of(request)
        for _ in range(TRIES):
            now_s = self._now_s()
            known = self._identities.token(asked_hash) if asked_hash is not None else None
            admission = enrolment.judge_token(known, key=key, now_s=now_s)
            if isinstance(admission, Refusal):
                raise RefusedError(admission)
            if known is None:
                raise RefusedError(enrolment.UNKNOWN)
            enrolled = self._admitted(admission, known, request, key=key, now_s=now_s)
            if enrolled is not None:
                return enrolled
        raise RefusedError(enrolment.USED)

    def renew(self, device: Device, request: bytes, *, shown: str) -> Enrolled:
        """See the port."""
        now_s = self._now_s()
        self._key_of(request)
        makes_room = self._makes_room(device.id, now_s)
        issued = self._issue(request, device.id, now_s)
        if not self._identities.renew(device.id, issued, shown=shown, makes_room=makes_room, now_s=now_s):
            raise RefusedError(enrolment.REVOKED)
        if makes_room:
            self._taken_back()
        return Enrolled(device=device.id, issued=issued)

    def _admitted(self, admission: Admission, token: Token, request: bytes, *, key: str, now_s: int) -> Enrolled | None:
        """What the device gets; None: the database no longer saw it so."""
        device = self._name(admission, token)
        if isinstance(admission, KnownDevice) and admission.is_retry:
            admission = replace(admission, makes_room=self._makes_room(device, now_s))
        issued = self._issue(request, device, now_s)
        if not self._identities.admit(admission, token, device, key=key, issued=issued, now_s=now_s):
            return None
        if token.replaces or (isinstance(admission, KnownDevice) and (admission.makes_room or not admission.is_retry)):
            self._taken_back()
        return Enrolled(device=device, issued=issued)

    def _name(self, admission: Admission, token: Token) -> str:
        match admission:
            case NewDevice(replaces=""):
                return self._new_name(admission.site)
            case NewDevice(replaces=replaces, labels=labels):
                old = self._identities.device(replaces)
                if old is None or old.state == "replaced":
                    raise RefusedError(enrolment.NOT_REPLACEABLE)
                if enrolment.labels_in_place_of(old.labels, labels) is None:
                    raise RefusedError(enrolment.TOO_MANY_LABELS)
                return self._new_name(old.site)
            case KnownDevice(id=name, is_retry=is_retry):
                device = self._identities.device(name)
                refusal = enrolment.judge_known(token, device, is_retry=is_retry)
                if refusal is not None:
                    raise RefusedError(refusal)
                return name

    def _makes_room(self, device: str, now_s: int) -> bool:
        return enrolment.makes_room(self._identities.live_certificates(device, now_s=now_s))

    def _new_name(self, site: str) -> str:
        return enrolment.device_name(site, self._random_bytes(enrolment.NAME_HEX // 2))

    def _key_of(self, request: bytes) -> str:
        try:
            return self._authority.key_of(request)
        except BadRequestError as error:
            raise RequestError(f"the certificate request cannot be used: {error}", hint=BAD_REQUEST_HINT) from error

    def _issue(self, request: bytes, device: str, now_s: int) -> Issued:
        return self._authority.issue_to_device(request, device, now_s=now_s)
