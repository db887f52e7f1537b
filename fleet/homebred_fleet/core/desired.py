"""Which version a device's desired state has, and what the broker must be told again.

Versions only rise (I2), also past what a device has seen of a controller whose database is gone: a device takes nothing
at or under its own floor. What a version asks for is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a device says about one part of its desired state."""

    name: str
    """`policy`, `gazetteer`."""
    digest: str
    state: str
    """`applied`, `refused`, `fetching`, `stopped`."""


def next_version(*, allotted: int, highest_reported: int) -> int:
    """The version of a change: above all that were ever given out or seen."""
    return max(allotted, highest_reported) + 1


def must_jump(
    *, version: int, highest_reported: int, newest_reported: int, asked: Mapping[str, str], parts: Iterable[Part]
) -> bool:
    """Whether the device has seen versions that this controller did not give out: then it must publish above them.

    At the same version the parts tell: a device that holds another document under this number heard it of a controller
    that was lost. `newest_reported` is the version that the parts speak of; `asked` has the digest of each part, empty
    where the device's own configuration holds.
    """
    if highest_reported != version or newest_reported != version:
        return highest_reported > version
    return any(part.digest != asked.get(part.name, "") for part in parts)


def standing(parts: Iterable[Part]) -> str:
    """All parts in a word: `refused` where one is, `pending` where one is on its way, else `applied`."""
    states = {part.state for part in parts}
    if "refused" in states:
        return "refused"
    return "applied" if states <= {"applied", "stopped"} else "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOrder:
    """What orders a device's reports."""

    boot_id: str
    boot_number: int
    revision: int
    """Rises within a boot."""


def is_newer_report(known: ReportOrder | None, told: ReportOrder, *, present_boot: str) -> bool:
    """Whether a report holds from now on; the same once more does not. `present_boot`: as the last birth says."""
    if known is None:
        return True
    if known.boot_id == told.boot_id:
        return told.revision > known.revision
    return told.boot_number > known.boot_number or told.boot_id == present_boot


def lost_by_broker(versions: Mapping[str, int], on_broker: Mapping[str, int]) -> tuple[str, ...]:
    """The devices whose retained message is not what was published, in an order that repeats."""
    return tuple(sorted(device for device, version in versions.items() if on_broker.get(device) != version))
