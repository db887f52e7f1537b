"""Who a caller is, as the kernel attests it, and which roles that gives.

Names were resolved to numbers before; nothing here asks the system, and nothing here says which call needs which role.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ROOT_UID = 0


class Role(StrEnum):
    """What somebody may do here."""

    CALLER = "caller"
    """Asks for answers."""
    OPERATOR = "operator"
    """Looks after the daemon."""
    REVIEWER = "reviewer"
    """Reads and answers what waits for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The process at the other end of a connection, as it was when it connected."""

    uid: int
    gids: tuple[int, ...]
    """Its group and its supplementary groups."""
    pid: int

    @property
    def principals(self) -> tuple[str, ...]:
        """What policy and access rules know it by: its user, then its groups in order of their text."""
        return (f"uid:{self.uid}", *sorted({f"gid:{gid}" for gid in self.gids}))


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRules:
    """Who has which role, as principals `uid:N` and `gid:N`."""

    own_uid: int
    """The daemon's own user: it may do everything, as root may."""
    callers: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()
    reviewers: frozenset[str] = frozenset()


def roles_of(peer: Peer, rules: AccessRules) -> frozenset[Role]:
    """The roles of a peer; whoever operates or reviews may also call."""
    if peer.uid in (ROOT_UID, rules.own_uid):
        return frozenset(Role)
    principals = frozenset(peer.principals)
    named = ((Role.OPERATOR, rules.operators), (Role.REVIEWER, rules.reviewers), (Role.CALLER, rules.callers))
    roles = frozenset(role for role, members in named if principals & members)
    return roles | {Role.CALLER} if roles else roles
