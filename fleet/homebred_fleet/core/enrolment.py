"""Who is let in: what an enrolment token, or a certificate that is to be renewed, is good for. Pure.

Reasons are words that the device knows (docs/fleet.md lists them); the texts are for the technician who reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from homebred_protocol.ids import is_device_id, is_label, is_site
from homebred_protocol.limits import MAX_LABELS

NAME_HEX = 8
MAX_TOKEN_LIFE_S = 30 * 86_400
MAX_LIVE_CERTIFICATES = 8
CERTIFICATES_A_DAY = 64
"""Of a device, however many answers are lost: each stays in the database, and on the broker's list once taken back."""
"""Of one device: lost answers are asked for again. One more takes the place of those that it does not show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An enrolment token, as it is kept."""

    id: str
    """What people call it by; no part of the secret."""
    site: str
    labels: Mapping[str, str]
    device: str
    """Whom it lets in again; empty: a new device."""
    replaces: str
    """Whose place a new device takes; empty: nobody's."""
    created_at_s: int
    created_by: str
    expires_at_s: int
    used_at_s: int | None = None
    used_by: str = ""
    """Device."""
    used_key: str = ""
    """SHA-256 of the public key that used it, hexadecimal."""
    withdrawn_at_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device, as far as letting it in goes."""

    id: str
    site: str
    labels: Mapping[str, str]
    state: Literal["enrolled", "revoked", "replaced"]
    revoked_at_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate that was issued to a device."""

    serial: str
    not_after_s: int
    revoked_at_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why somebody is not let in."""

    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDevice:
    """A device that there was not; it may take another's place."""

    site: str
    labels: Mapping[str, str]
    replaces: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDevice:
    """A device that gets another certificate."""

    id: str
    is_retry: bool
    """It asks again with the key that the token was used with: an answer was lost. Nothing else changes."""
    makes_room: bool = False
    """It asked so often that the certificates whose answers were lost are taken back."""


Admission = NewDevice | KnownDevice

ASK_ADMIN = "ask the fleet's administrator for a new token (`homebred-fleet tokens create`)"
UNKNOWN = Refusal(code="token_unknown", message="the token is not known here", hint="copy it whole, or " + ASK_ADMIN)
USED = Refusal(code="token_used", message="the token was used already: each lets one device in", hint=ASK_ADMIN)
EXPIRED = Refusal(code="token_expired", message="the token has run out", hint=ASK_ADMIN)
WITHDRAWN = Refusal(code="token_withdrawn", message="the token was withdrawn", hint=ASK_ADMIN)
REVOKED = Refusal(
    code="device_revoked",
    message="the device was taken out of the fleet",
    hint="ask the fleet's administrator; a token made for this device lets it in again",
)
NOT_REPLACEABLE = Refusal(
    code="not_replaceable",
    message="the device whose place the token gives away is not there, or was replaced already",
    hint=ASK_ADMIN,
)
TOO_MANY_LABELS = Refusal(
    code="too_many_labels",
    message=f"with the labels of the device whose place it takes it would have more than {MAX_LABELS}",
    hint="ask the fleet's administrator to remove some of that device (`homebred-fleet labels`), and try again",
)
UNKNOWN_CERTIFICATE = Refusal(
    code="certificate_needed",
    message="no device is known by this certificate",
    hint="enrol the device with a token",
)


def judge_token(token: Token | None, *, key: str, now_s: int) -> Admission | Refusal:
    """What a token is good for, by itself; `key` is the hash of the public key that asks.

    A used one still answers the key that used it, until it runs out: whose answer was lost on the way asks again.
    """
    if token is None:
        return UNKNOWN
    if token.used_at_s is not None:
        is_retry = token.used_key == key and token.withdrawn_at_s is None and now_s < token.expires_at_s
        return KnownDevice(id=token.used_by, is_retry=True) if is_retry else USED
    if token.withdrawn_at_s is not None:
        return WITHDRAWN
    if now_s >= token.expires_at_s:
        return EXPIRED
    if token.device:
        return KnownDevice(id=token.device, is_retry=False)
    return NewDevice(site=token.site, labels=token.labels, replaces=token.replaces)


def labels_in_place_of(old: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str] | None:
    """The labels of a device that takes another one's place; None: they are too many."""
    labels = {**old, **own}
    return labels if len(labels) <= MAX_LABELS else None


def judge_known(token: Token, device: Device | None, *, is_retry: bool) -> Refusal | None:
    """Whether a token that names a device may let it in again.

    A device that was revoked comes back only by a token that an admin made for it after that.
    """
    if device is None or device.state == "replaced":
        return REVOKED
    if device.state == "enrolled":
        return None
    revoked_at_s = device.revoked_at_s or 0
    return REVOKED if is_retry or token.created_at_s < revoked_at_s else None


def judge_certificate(device: Device | None, certificate: Certificate | None, now_s: int) -> Refusal | None:
    """Whether who shows a certificate, which the handshake found in order, is let in at this moment."""
    if device is None or certificate is None:
        return UNKNOWN_CERTIFICATE
    if device.state != "enrolled" or certificate.revoked_at_s is not None:
        return REVOKED
    if now_s >= certificate.not_after_s:
        return UNKNOWN_CERTIFICATE
    return None


def makes_room(live_certificates: int) -> bool:
    """Whether one more certificate takes the place of those that the device does not show.

    A device is never refused for having too many: where answers were lost, or its clock was wrong, it has kept none of
    them, and the one that it shows may run out before they do.
    """
    return live_certificates >= MAX_LIVE_CERTIFICATES


def device_name(site: str, random: bytes) -> str:
    """The name of a new device: its site and eight hexadecimal digits. Raises ValueError."""
    name = f"{site}-{random.hex()[:NAME_HEX]}"
    if len(random.hex()) < NAME_HEX or not is_site(site) or not is_device_id(name):
        raise ValueError(f"{name!r} is no device's name")
    return name


def problems_of_token(*, site: str, labels: Mapping[str, str], device: str, replaces: str, life_s: int) -> list[str]:
    """What is wrong with a token that somebody wants made; nothing: it may be."""
    found = []
    if not is_site(site):
        found.append(f"{site!r} is no site's name: lower-case letters, digits and dashes, at most 32")
    found += [f"{word!r} is no label's key or value" for pair in labels.items() for word in pair if not is_label(word)]
    if len(labels) > MAX_LABELS:
        found.append(f"{len(labels)} labels are more than {MAX_LABELS}")
    if device and replaces:
        found.append("a token lets one device in again, or has a new one take another's place: not both")
    found += [f"{name!r} is no device's name" for name in (device, replaces) if name and not is_device_id(name)]
    if not 0 < life_s <= MAX_TOKEN_LIFE_S:
        found.append(f"a token lives up to {MAX_TOKEN_LIFE_S // 86_400} days")
    return found
