"""The decision record: its fields in the contract's order, its reason codes, and what each code means.

Which reason holds is decided in routing; here a reason is only looked up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from homebred_protocol.documents.registry import CASCADE_PREFIX


class Runtime(StrEnum):
    """Where a task is answered."""

    LOCAL = "local"
    CLOUD_ESCALATION = "cloud_escalation"
    NO_OP = "no_op"


class Fallback(StrEnum):
    """What follows when the selected runtime yields no answer."""

    NONE = "none"
    LOCAL_SUMMARY = "local_summary"
    HUMAN_REVIEW = "human_review"


class Reason(StrEnum):
    """The stable machine code beside each sentence for people."""

    LOCAL_ONLY = "local_only"
    MARGIN_MET = "margin_met"
    UTILITY_LOCAL = "utility_local"
    OFFLINE_LOCAL = "offline_local"
    MARGIN_SHORT = "margin_short"
    UTILITY_CLOUD = "utility_cloud"
    BELOW_FLOOR = "below_floor"
    NO_CANDIDATE = "no_candidate"
    RESIDUAL_RISK = "residual_risk"
    NO_ROUTE = "no_route"


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row of the contract's table of reason codes."""

    runtime: Runtime
    redaction: bool
    evidence: bool
    fallback: Fallback
    sentence: str
    """Ends in a colon where the rule completes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDecision:
    """The record of one decision; the first seven fields are the contract's, in its order."""

    selected_runtime: Runtime
    selected_model_or_stack: str
    local_reason: str
    redaction_required: bool
    evidence_required: bool
    fallback_target: Fallback
    route_created_at_utc: datetime
    reason_code: Reason
    classes: tuple[str, ...]
    """All labels the task bears, sorted."""
    policy_digest: str
    trace: tuple[str, ...]
    """What each rule saw, in order; never content."""

    @property
    def stack(self) -> tuple[str, ...]:
        """The specialists of a local route in the order they are tried; empty for any other route."""
        if self.selected_runtime is not Runtime.LOCAL:
            return ()
        return tuple(self.selected_model_or_stack.removeprefix(CASCADE_PREFIX).split("+"))


_NO_ROUTE = "no acceptable route under policy: "

# fmt: off
REASONS: dict[Reason, Meaning] = {
    #                              runtime                   redact  evidence fallback               sentence
    Reason.LOCAL_ONLY:    Meaning(Runtime.LOCAL,            False, False, Fallback.NONE,          "private data stays on this device"),
    Reason.MARGIN_MET:    Meaning(Runtime.LOCAL,            False, False, Fallback.NONE,          "local fitness margin met"),
    Reason.UTILITY_LOCAL: Meaning(Runtime.LOCAL,            False, False, Fallback.NONE,          "local lane has the higher utility"),
    Reason.OFFLINE_LOCAL: Meaning(Runtime.LOCAL,            False, True,  Fallback.NONE,          "offline: best local specialist at the floor"),
    Reason.MARGIN_SHORT:  Meaning(Runtime.CLOUD_ESCALATION, True,  True,  Fallback.LOCAL_SUMMARY, "local margin not enough"),
    Reason.UTILITY_CLOUD: Meaning(Runtime.CLOUD_ESCALATION, True,  True,  Fallback.LOCAL_SUMMARY, "cloud lane has the higher utility"),
    Reason.BELOW_FLOOR:   Meaning(Runtime.NO_OP,            False, True,  Fallback.HUMAN_REVIEW,  _NO_ROUTE),
    Reason.NO_CANDIDATE:  Meaning(Runtime.NO_OP,            False, True,  Fallback.HUMAN_REVIEW,  _NO_ROUTE),
    Reason.RESIDUAL_RISK: Meaning(Runtime.NO_OP,            False, True,  Fallback.HUMAN_REVIEW,  _NO_ROUTE),
    Reason.NO_ROUTE:      Meaning(Runtime.NO_OP,            False, True,  Fallback.HUMAN_REVIEW,  _NO_ROUTE),
}
# fmt: on
