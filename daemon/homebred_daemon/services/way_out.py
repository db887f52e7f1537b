"""Who may leave the device: hands the cloud lane to an escalation, and to nothing else.

A task that stays never holds a reference to the lane (CONTRACT.md I4). It opens no connection and decides no route.
"""

from __future__ import annotations

from dataclasses import dataclass

from homebred_daemon.core.decision import RouteDecision, Runtime
from homebred_daemon.ports.cloud import CloudLane
from homebred_protocol.documents.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """The door to the cloud lane."""

    lane: CloudLane | None
    """None: this device has none."""

    def opened_for(self, decision: RouteDecision, policy: Policy) -> CloudLane | None:
        """The lane, for a decision that escalates; None: there is none.

        Raises:
            AssertionError: the decision does not escalate, or holds a class that may not leave.
        """
        if decision.selected_runtime is not Runtime.CLOUD_ESCALATION or policy.air_gap:
            raise AssertionError("only an escalation may leave")
        if not policy.local_only_classes.isdisjoint(decision.classes):
            raise AssertionError("a local-only class may not leave")
        return self.lane


NO_WAY_OUT = WayOut(lane=None)
"""Of a device without a cloud endpoint."""
