"""What the router sees of the link to a cloud endpoint.

Measuring reachability is not done here; `reachability` projects each endpoint onto these four words.
"""

from __future__ import annotations

from enum import StrEnum


class Link(StrEnum):
    """The projected link: suspect, an open breaker and a spent budget have already become `down`."""

    UP = "up"
    METERED = "metered"
    DOWN = "down"
    PORTAL = "portal"


def permits(link: Link, *, metered_escalation: bool) -> bool:
    """Whether the link lets an escalation through (CONTRACT "Link")."""
    return link is Link.UP or (link is Link.METERED and metered_escalation)
