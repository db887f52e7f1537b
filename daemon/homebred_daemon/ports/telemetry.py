"""What telemetry needs so that the fleet hears of this device: facts as bytes."""

from __future__ import annotations

from typing import Protocol

from homebred_daemon.core.evidence import EvidenceFact
from homebred_daemon.core.telemetry import HealthFact, ReceiptFact, RouteFact


class EventForms(Protocol):
    """Facts as events of the wire, without their numbers."""

    def route_body(self, fact: RouteFact) -> bytes:
        """An ended task."""
        ...

    def evidence_body(self, fact: EvidenceFact) -> bytes:
        """A piece of evidence."""
        ...

    def receipt_body(self, fact: ReceiptFact, *, at_s: int) -> bytes:
        """What the device did of what it was told."""
        ...

    def health_body(self, fact: HealthFact, *, at_s: int) -> bytes:
        """How the device stands."""
        ...
