"""What never falls on a device: versions of signed metadata, numbers of targets, the stop epoch, and time (I2).

    version of a role   falls never, but where root holders gave timestamp or snapshot other keys: then the versions of
                        all roles but root begin anew, or a thief who drove them up had the last word (TUF §5.3.11)
    number of a line    what was taken up is the least of what may be taken; the same number is the same bytes
    stop epoch, time    what the director has said by leases, and what has passed here; they begin anew with other keys
                        of the director, for the same reason

They are remembered beside the trusted metadata, so that a loss of that does not let anything older in. It reads and
writes no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from homebred_daemon.core.trust_refusals import Reason, Refusal

MAX_LINES: Final = 1024
"""A device takes from a few; a thief of every key shall not fill its disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFloors:
    """Of one repository."""

    root: int = 1
    keys: str = ""
    """Digest of who signed for timestamp and snapshot when the versions below were taken."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """By role, all but root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The newest that was taken of a line."""

    number: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """All of a device."""

    image: RepositoryFloors = RepositoryFloors()
    director: RepositoryFloors = RepositoryFloors()
    lines: Mapping[str, Taken] = field(default_factory=dict)
    """By `Target.line`."""
    stop_epoch: int = 0
    """The highest of any lease that the director signed with the keys it has now."""
    time_s: int = 0
    """Unix seconds: it is not earlier than this, whatever a clock says."""
    enrolled_at_s: int = 0
    """The same, said by the controller at enrolment: the least that `time_s` can begin anew with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What a repository says by metadata that was verified."""

    root: int
    keys: str
    versions: Mapping[str, int] = field(default_factory=dict)
    """By role; empty: a root was verified, and nothing else was."""


def fallen(about: str, floors: RepositoryFloors, found: Versions) -> Refusal | None:
    """Why a repository's verified metadata is too old; None: it is not."""
    if found.root < floors.root:
        return Refusal(reason=Reason.ROLLBACK, about=about, detail=f"root {found.root}, {floors.root} was taken")
    if found.keys != floors.keys:
        return None
    for role, floor in sorted(floors.versions.items()):
        version = found.versions.get(role)
        if version is not None and version < floor:
            return Refusal(reason=Reason.ROLLBACK, about=about, detail=f"{role} {version}, {floor} was taken")
    return None


def risen(floors: RepositoryFloors, found: Versions) -> RepositoryFloors:
    """The floors after metadata was verified that has not fallen below them."""
    is_same = found.keys == floors.keys
    return RepositoryFloors(
        root=max(floors.root, found.root),
        keys=found.keys,
        versions={**(floors.versions if is_same else {}), **found.versions},
    )


def with_versions(floors: Floors, image: Versions | None, director: Versions | None) -> Floors:
    """All floors after what was verified of both; None: nothing was. Other keys of the director take its word back."""
    if image is not None:
        floors = replace(floors, image=risen(floors.image, image))
    if director is None:
        return floors
    is_same = not floors.director.keys or director.keys == floors.director.keys
    floors = replace(floors, director=risen(floors.director, director))
    return floors if is_same else replace(floors, stop_epoch=0, time_s=floors.enrolled_at_s)


def refused_number(floors: Floors, line: str, number: int, digest: str) -> Reason | None:
    """Why a target of a line may not be taken any more; None: it may."""
    taken = floors.lines.get(line)
    if taken is None:
        return Reason.TOO_MANY_LINES if len(floors.lines) >= MAX_LINES else None
    if number < taken.number:
        return Reason.NUMBER_FELL
    return Reason.NUMBER_REUSED if number == taken.number and digest != taken.digest else None


def with_taken(floors: Floors, line: str, number: int, digest: str) -> Floors:
    """The floors once a target is taken up that was not refused."""
    return replace(floors, lines={**floors.lines, line: Taken(number=number, digest=digest)})
