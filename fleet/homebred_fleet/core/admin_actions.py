"""What an admin can do over the API, and the least role that may: one table, enforced there and shown in docs/fleet.md.

Each name is also the audit's word for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ROLE_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "devices.read": "viewer",
        "cohorts.read": "viewer",
        "documents.read": "viewer",  # a gazetteer's bytes: documents.read-names
        "commands.read": "viewer",
        "stop.read": "viewer",
        "telemetry.read": "viewer",
        "audit.read": "viewer",
        "tokens.read": "operator",
        "devices.label": "operator",
        "cohorts.put": "operator",
        "cohorts.remove": "operator",
        "commands.issue": "operator",
        "commands.fetch": "operator",
        "stop.on": "operator",  # a stop must be easy, its end considered
        "stop.off": "publisher",
        "documents.add": "publisher",
        "documents.assign": "publisher",
        "documents.read-names": "publisher",  # of patients and clients
        "tokens.create": "admin",
        "tokens.withdraw": "admin",
        "devices.revoke": "admin",
    }
)
