"""Who administers a fleet: names and roles, each of which may what those before it may. Pure."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("viewer", "operator", "publisher", "admin")
"""Rising."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """Somebody who was recognised by a client certificate."""

    name: str
    role: str

    def may(self, role: str) -> bool:
        """Whether what needs a role is allowed."""
        return ROLES.index(self.role) >= ROLES.index(role)
