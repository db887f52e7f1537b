"""What an admin can do over the API, and the least role that may: one table, enforced there and shown in docs/fleet.md.

Each name is also the audit's word for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ROLE_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "device.read": "viewer",
        "cohort.read": "viewer",
        "document.read": "viewer",  # which lists of names there are; what stands in them: document.read-names
        "command.read": "viewer",
        "stop.read": "viewer",
        "telemetry.read": "viewer",
        "audit.read": "viewer",
        "token.read": "operator",
        "device.label": "operator",
        "cohort.put": "operator",
        "cohort.remove": "operator",
        "command.issue": "operator",
        "command.fetch": "operator",
        "stop.on": "operator",  # a stop must be easy, its end considered
        "stop.off": "publisher",
        "document.add": "publisher",
        "release.read": "viewer",
        "release.assign": "publisher",
        "release.withdraw": "publisher",
        "release.reset": "publisher",
        "release.publish": "publisher",  # to the controller; who signs decides what may run
        "repository.publish": "publisher",
        "receipt.read": "viewer",
        "receipt.import": "operator",
        "document.read-names": "publisher",  # of patients and clients
        "token.create": "admin",
        "token.withdraw": "admin",
        "device.revoke": "admin",
        "bundle.make": "admin",  # no stop reaches the leases in it
    }
)
