"""What the router sees of the link to a cloud endpoint.

Measuring reachability is not done here; `reachability` projects each endpoint onto these four words.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Link(StrEnum):
    """The projected link: suspect, an open breaker and a spent budget have already become `down`."""

    UP = "up"
    METERED = "metered"
    DOWN = "down"
    PORTAL = "portal"


@dataclass(frozen=True, slots=True)
class SeenLink:
    """A projected link, and why it is so."""

    link: Link
    cause: str = ""
    """A word such as `suspect` or `budget_spent`; empty: there is nothing to explain."""


def permits(link: Link, *, metered_escalation: bool) -> bool:
    """Whether the link lets an escalation through (CONTRACT "Link")."""
    return link is Link.UP or (link is Link.METERED and metered_escalation)
