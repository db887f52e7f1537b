"""What a device's own metadata should say now, and whether it must be signed anew. Pure: it signs nothing.

The director can choose among what the image repository holds, device by device; it can invent nothing. Its versions
rise with the time of day as well, so that a controller restored from an older copy goes on above what devices hold.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from homebred_fleet.core.lifetimes import DAY_S
from homebred_fleet.errors import RequestError
from homebred_protocol.digests import digest_of
from homebred_protocol.ids import is_device_id
from homebred_protocol.limits import MAX_CLAIMED
from homebred_protocol.targets import MAX_TARGET_BYTES, read_target

LIFE_S: Final = DAY_S
MAX_LIFE_S: Final = 366 * DAY_S
"""Of what goes by hand to a site without a network, as its admin chose."""
MIN_LIFE_S: Final = 60
MAX_ASSIGNED: Final = 64
"""To one device, which refuses more."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """A target that a device should run, word for word as the image repository has it."""

    path: str
    length: int
    sha256: str
    """Hexadecimal."""
    site: str = ""
    """The only one whose devices may take it; empty: any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a device should run, and until when it may begin to."""

    device: str
    targets: tuple[Assigned, ...]
    stop_epoch: int
    """Of the stop order that is in force, or that was taken back last; 0: there never was one."""
    stopped: bool
    """Whether the fleet is stopped: then nobody gets a lease (I8)."""
    life_s: int = LIFE_S
    """Of the metadata and of the lease in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What was signed last for a device: kept beside the bytes, so that nothing need be read out of them."""

    version: int
    content: str
    """Digest of what was wanted."""
    issued_at_s: int
    expires_at_s: int


def following(wanted: Wanted, last: Standing | None, now_s: int, *, started_at_s: int) -> Standing | None:
    """What must be signed now; None: what was signed last still says all of it, for half of its life at least.

    What was signed in the future, by a clock that has been put right since, is signed anew; so is what was signed
    before the controller's start, since its database may be an older copy, and devices beyond what it holds.

    Raises:
        RequestError: nobody could be told that.
    """
    _check(wanted)
    content = digest_of(json.dumps(_plain(wanted), sort_keys=True).encode())
    if last is not None and last.content == content:
        is_young = (
            started_at_s <= last.issued_at_s <= now_s
            and now_s - last.issued_at_s < (last.expires_at_s - last.issued_at_s) / 2
        )
        if is_young:
            return None
    version = max(now_s, 1 if last is None else last.version + 1)
    return Standing(version=version, content=content, issued_at_s=now_s, expires_at_s=now_s + wanted.life_s)


def custom_of(wanted: Wanted, standing: Standing) -> dict[str, Any]:
    """What is signed beside each target: for whom, and the lease under which it may be activated (I8)."""
    if wanted.stopped:
        return {"device": wanted.device}
    lease = {
        "stop_epoch": wanted.stop_epoch,
        "issued_at_s": standing.issued_at_s,
        "expires_at_s": standing.expires_at_s,
    }
    return {"device": wanted.device, "lease": lease}


def _plain(wanted: Wanted) -> dict[str, Any]:
    targets = sorted((one.path, one.length, one.sha256) for one in wanted.targets)
    lease = None if wanted.stopped else wanted.stop_epoch
    return {"device": wanted.device, "targets": targets, "lease": lease, "life_s": wanted.life_s}


def _check(wanted: Wanted) -> None:
    problems = [problem for one in wanted.targets if (problem := _problem(one))]
    if not is_device_id(wanted.device):
        problems.append(f"{wanted.device!r} is no device's name")
    if len({one.path for one in wanted.targets}) != len(wanted.targets):
        problems.append("a target is named twice")
    if len(wanted.targets) > MAX_ASSIGNED:
        problems.append(f"{len(wanted.targets)} targets are more than {MAX_ASSIGNED}")
    if not MIN_LIFE_S <= wanted.life_s <= MAX_LIFE_S:
        problems.append(f"{wanted.life_s} s is no life from {MIN_LIFE_S} to {MAX_LIFE_S} s")
    if not 0 <= wanted.stop_epoch <= MAX_CLAIMED:
        problems.append(f"{wanted.stop_epoch} is no epoch of a stop")
    if problems:
        raise RequestError(
            f"this cannot be signed for {wanted.device!r}: {'; '.join(problems)}", hint="correct what is assigned"
        )


def _problem(one: Assigned) -> str:
    if read_target(one.path) is None:
        return f"{one.path!r} names no target"
    if not 0 < one.length <= MAX_TARGET_BYTES:
        return f"{one.path} has {one.length} bytes"
    return "" if _SHA256.fullmatch(one.sha256) else f"{one.path} has no SHA-256"
