"""What follows from a look at the signed repositories: which releases are to be taken, and which are wanted no more.

A device looks again soon where something kept it from seeing all, and seldom where nothing has changed. Nothing is
verified here: what was agreed upon is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from homebred_daemon.core.deployment import Install
from homebred_daemon.core.trust import Agreed, Lease
from homebred_daemon.core.trust_refusals import FINAL, Reason, Refusal
from homebred_protocol.documents.release_values import ReleaseManifest
from homebred_protocol.targets import Kind, Target, read_target

LOOK_EVERY_S = 6 * 3600.0
"""Where nothing says that there may be news: a lease is given for a day, and the director's word holds as long."""
LOOK_AGAIN_S, LONGEST_AGAIN_S = 30.0, 3600.0
"""After a look that failed; doubled each time."""
LEASE_AGAIN_S = 600.0
"""Between two looks for the sake of a lease that an install waits for."""
_NOT_FINAL = frozenset(reason.value for reason in Reason if reason not in FINAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTaken:
    """Something signed that this device does not take, or a repository that it could not look at."""

    about: str
    """Path of the target, `image`, `director`, or empty: all."""
    code: str
    digest: str = ""
    """Of the target, where it is known."""


def releases_among(agreed: Iterable[Agreed]) -> list[Agreed]:
    """The agreed targets that are releases."""
    return [one for one in agreed if one.target.kind is Kind.RELEASE]


def no_longer_wanted(
    installs: Sequence[Install], agreed: Iterable[Agreed], refused: Iterable[Refusal]
) -> list[Install]:
    """Installs under way whose release the director names no more; only after a look that was whole.

    Where it names a newer one of the same specialist instead, that one takes its place once it is activated: what is in
    probation serves until then, and is watched.
    """
    named = {one.target.path for one in agreed} | {one.about for one in refused}
    newest: dict[tuple[str, str], int] = {}
    for target in filter(None, map(read_target, named)):
        if target.kind is Kind.RELEASE:
            of = (target.group, target.name)
            newest[of] = max(target.number, newest.get(of, 0))
    return [each for each in installs if not each.is_over and not _is_named(each.release.target, named, newest)]


def _is_named(path: str, named: Collection[str], newest: Mapping[tuple[str, str], int]) -> bool:
    target = read_target(path)
    return path in named or (target is not None and newest.get((target.group, target.name), 0) > target.number)


def unfit(manifest: ReleaseManifest, target: Target, site: str) -> str:
    """The code of why a trusted manifest is not taken here; empty: it is."""
    if (manifest.family, manifest.id, manifest.number) != (target.group, target.name, target.number):
        return Reason.DISAGREEMENT.value
    if manifest.sites and site not in manifest.sites:
        return Reason.OTHER_SITE.value
    return ""


def later(held: Lease | None, new: Lease) -> Lease:
    """Of two leases for the same bytes the one that counts for more: the later stop, then the later end."""
    if held is None:
        return new
    return max(held, new, key=lambda lease: (lease.stop_epoch, lease.expires_at_s))


def may_pass(one: NotTaken) -> bool:
    """Whether another look may find it otherwise: what a network or a mirror can do is never final."""
    return one.code in _NOT_FINAL


def is_to_be_told(one: NotTaken) -> bool:
    """Whether the fleet is to hear of it: of all but that it could not be reached."""
    return one.code != Reason.UNREACHABLE


def again_in_s(failures: int) -> float:
    """After how long a look is tried again that has failed so often in a row, in seconds; 0: it has not."""
    return min(LOOK_AGAIN_S * 2 ** (failures - 1), LONGEST_AGAIN_S) if failures else LOOK_EVERY_S
