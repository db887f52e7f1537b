"""Which target this device may take, under which lease, and what time it may be taken for. It verifies no signature.

Two repositories must agree. The image repository says what may ever run and is signed by people; the director says what
should run here and is signed by the controller. A stolen key of the director can choose among what the first holds for
this site, nothing below the floors, and can invent nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from homebred_daemon.core.trust_floors import Floors, Versions, refused_number
from homebred_daemon.core.trust_refusals import Reason, Refusal
from homebred_protocol.targets import MAX_NUMBER, MAX_TARGET_BYTES, Target, read_target, role_of

MAX_WANTED: Final = 64
"""Targets that a director names for one device."""
LATEST_S: Final = 32_503_680_000
"""The year 3000: a clock that is later than all dates is as wrong as this one."""
IMAGE, DIRECTOR = "image", "director"
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """Which device this is, as its identity says."""

    device: str
    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What metadata says of a target."""

    length: int
    hashes: Mapping[str, str]
    """Hexadecimal, by algorithm."""
    custom: Mapping[str, Any] = field(default_factory=dict)
    """As it was signed: anything may stand there."""
    role: str = ""
    """Whose metadata says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one repository says, verified as The Update Framework has it."""

    versions: Versions
    expires_at_s: int
    """When the first of its metadata expires."""
    targets: Mapping[str, Described]
    """By path; of the image repository those that the director names."""
    device: str = ""
    """Whom the director signed for; of the image repository empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The director's leave to activate something (I8)."""

    device: str
    digest: str
    """`sha256:…` of the target."""
    stop_epoch: int
    """Of the stop order that the director knew."""
    issued_at_s: int
    expires_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """A target that both repositories hold for this device."""

    target: Target
    digest: str
    length: int
    lease: Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What may be taken of all that the director names, and what may not."""

    agreed: tuple[Agreed, ...]
    refused: tuple[Refusal, ...]


def trusted_time_s(floor_s: int, wall_s: float) -> int:
    """What time it is for expiries: never before what is known to have passed.

    A clock behind is not believed: time goes on from the floor with the device's own seconds. A clock ahead always is,
    since what it does is to refuse; once it is right again all goes on, as it has raised no floor (`raised_time_s`).

    Args:
        floor_s: of the disk, and the seconds since of a clock that never goes back.
        wall_s: Unix seconds of the device's clock.
    """
    return min(max(floor_s, int(wall_s)), LATEST_S)


def raised_time_s(floors: Floors, image: Seen, director: Seen) -> int:
    """The floor of time after both repositories were verified.

    It is as it was, or when the director gave a lease; never what a clock says, which may be wrong by years.
    The director's word counts no further than to the first expiry: a thief of its key can bring the floor up to there,
    and other keys for the director begin it anew (`core/trust_floors.py`).
    """
    issued = [lease.issued_at_s for one in director.targets.values() if (lease := _lease(one)) is not None]
    bound_s = min(image.expires_at_s, director.expires_at_s) - 1
    return max(floors.time_s, min(max([0, *issued]), bound_s))


def judge(image: Seen, director: Seen, floors: Floors, here: Here) -> Judged:
    """Judges each target that the director names by itself: one that is refused keeps no other back."""
    agreed: list[Agreed] = []
    refused: list[Refusal] = []
    for path, wanted in sorted(director.targets.items()):
        verdict = _judge_one(path, wanted, image.targets.get(path), floors, here)
        if isinstance(verdict, Agreed):
            agreed.append(verdict)
        else:
            refused.append(Refusal(reason=verdict, about=path))
    return Judged(agreed=tuple(agreed), refused=tuple(refused))


def _judge_one(path: str, wanted: Described, offered: Described | None, floors: Floors, here: Here) -> Agreed | Reason:
    """The rules in their order; the first that refuses says why."""
    target, lease = read_target(path), _lease(wanted)
    if target is None:
        return Reason.UNKNOWN_PATH
    if wanted.custom.get("device") != here.device:
        return Reason.OTHER_DEVICE
    if offered is None:
        return Reason.NOT_IN_IMAGE
    digest = f"sha256:{offered.hashes.get('sha256', '')}"
    is_same = (wanted.length, dict(wanted.hashes)) == (offered.length, dict(offered.hashes))
    reason = None if is_same and _DIGEST.fullmatch(digest) else Reason.DISAGREEMENT
    reason = reason or _unfit(target, offered, here.site)
    reason = reason or refused_number(floors, target.line, target.number, digest)
    if reason is not None or lease is None:
        return reason or Reason.NO_LEASE
    return Agreed(target=target, digest=digest, length=offered.length, lease=lease)


def _unfit(target: Target, offered: Described, site: str) -> Reason | None:
    """What is wrong with what the image repository says of a target; None: nothing."""
    if offered.role != role_of(target.kind, target.group):
        return Reason.WRONG_ROLE
    if offered.length > MAX_TARGET_BYTES:
        return Reason.TOO_LARGE
    if (offered.custom.get("kind"), offered.custom.get("number")) != (target.kind.name.lower(), target.number):
        return Reason.DISAGREEMENT
    bound = offered.custom.get("site")
    allowed = {site} if target.kind.is_for_a_site else {"", site}
    if bound not in allowed or (target.kind.is_for_a_site and target.group != site):
        return Reason.OTHER_SITE
    return None


def _lease(wanted: Described) -> Lease | None:
    """The lease that came with a target; None: there is none that can be read."""
    said = wanted.custom.get("lease")
    if not isinstance(said, Mapping):
        return None
    numbers = [said.get(name) for name in ("stop_epoch", "issued_at_s", "expires_at_s")]
    counts = [one for one in numbers if isinstance(one, int) and not isinstance(one, bool) and 0 <= one <= MAX_NUMBER]
    if len(counts) < len(numbers):
        return None
    epoch, issued_at_s, expires_at_s = counts
    return Lease(
        device=str(wanted.custom.get("device")),
        digest=f"sha256:{wanted.hashes.get('sha256')}",
        stop_epoch=epoch,
        issued_at_s=issued_at_s,
        expires_at_s=expires_at_s,
    )


def refused_lease(lease: Lease, *, device: str, digest: str, stop_epoch: int, now_s: int) -> Refusal | None:
    """Why a lease does not let something be activated now; None: it is in force (I8).

    Args:
        lease: as it was agreed upon.
        device: this one.
        digest: of what is to be activated.
        stop_epoch: the highest that this device knows of, by stop orders or leases.
        now_s: trusted time.
    """
    if lease.device != device:
        return Refusal(reason=Reason.OTHER_DEVICE)
    if lease.digest != digest:
        return Refusal(reason=Reason.OTHER_DIGEST, detail=f"it is for {lease.digest}")
    if lease.stop_epoch < stop_epoch:
        return Refusal(reason=Reason.STOPPED, detail=f"stop epoch {lease.stop_epoch}, {stop_epoch} is known")
    if now_s >= lease.expires_at_s:
        return Refusal(reason=Reason.LEASE_EXPIRED, detail=f"{now_s - lease.expires_at_s} s ago")
    return None


def misdirected(director: Seen, device: str) -> Refusal | None:
    """Why what the director signed is not for this device, though all of it is signed; None: it is.

    All devices have the director's one key in common: without this, what was signed for another device, with higher
    versions, would raise this one's floors above all that will be signed for it.
    """
    if director.device != device:
        return Refusal(reason=Reason.OTHER_DEVICE, about=DIRECTOR)
    if len(director.targets) > MAX_WANTED:
        return Refusal(reason=Reason.TOO_MANY, about=DIRECTOR, detail=f"{len(director.targets)} targets")
    return None


def highest_epoch(floors: Floors, director: Seen) -> int:
    """The highest stop epoch of the director's leases."""
    epochs = [lease.stop_epoch for one in director.targets.values() if (lease := _lease(one)) is not None]
    return max([floors.stop_epoch, *epochs])
