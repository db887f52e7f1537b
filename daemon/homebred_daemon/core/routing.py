"""The routing contract's procedure: `decide` turns what is known of a task into one decision, with its reasons.

Pure: same inputs, same decision (I5), so that a ledger can be replayed bit for bit. It sees no content, reads no clock
and moves no byte; a local-only task can reach no branch that names a cloud (I4). The rules stand in RULES, in the
contract's order; the first that yields a verdict wins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from homebred_daemon.core.callers import Rights, rights_of
from homebred_daemon.core.decision import REASONS, Reason, RouteDecision, Runtime
from homebred_daemon.core.fitness import DECIMALS
from homebred_daemon.core.lanes import Candidate, candidates, cascade, cloud_has_higher_utility, degraded_choice
from homebred_daemon.core.link import Link, permits
from homebred_protocol.documents.policy import Policy
from homebred_protocol.documents.registry import Registry
from homebred_protocol.documents.task import Task

PUBLIC_ONLY = frozenset({"public"})
LINK_BLOCKERS = frozenset({"air_gap", "link_metered", "link_down", "link_portal"})
BLOCKED_BECAUSE = {
    "task_forbids_escalation": "the task does not allow escalation",
    "policy_forbids_escalation": "the policy forbids escalation",
    "caller_may_not_escalate": "this caller may not escalate",
    "workflow_not_allowed": "this caller may not use this workflow",
    "air_gap": "the site is air-gapped",
    "link_metered": "the link is metered",
    "link_down": "the link is down",
    "link_portal": "the link ends at a captive portal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionInputs:
    """All that a decision depends on; the ledger stores exactly this, registry and policy by digest."""

    task: Task
    registry: Registry
    policy: Policy
    """As it holds on this site: already bounded by the site ceiling."""
    link: Link
    now: datetime
    """Aware UTC time that the decision bears."""
    link_cause: str = ""
    """Why the link is so; it decides nothing."""
    caller: tuple[str, ...] = ()
    """Attested principals: `uid:…`, `gid:…`, `token:…`."""
    detected: frozenset[str] = frozenset()
    """Classes that detection raised."""
    carried: frozenset[str] = frozenset()
    """Classes that earlier tasks of the same session had."""
    detector_digest: str = ""
    """Which detector looked."""
    context_method: str = ""
    """How the minimum context for an escalation was made; empty: none was made."""
    context_reason: str = ""
    """Why so; empty: there was no choice."""
    residual_risk: float | None = None
    """Risk left in that context, in [0, 1]; None: not measured."""
    unavailable: frozenset[str] = frozenset()
    """Specialists that have just failed for this task."""

    def __post_init__(self) -> None:
        if self.now.utcoffset() is None:
            raise ValueError("now has no time zone; pass an aware UTC time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The inputs as the rules look at them."""

    inputs: DecisionInputs
    classes: frozenset[str]
    private: bool
    """Whether the task is local-only."""
    candidates: list[Candidate]
    """Best first; empty where the caller may not use the workflow."""
    blockers: tuple[str, ...]
    """What forbids an escalation, each a key of BLOCKED_BECAUSE; empty: permitted."""
    trace: list[str]

    @property
    def best(self) -> Candidate | None:
        """The best local candidate, whatever its floor."""
        return self.candidates[0] if self.candidates else None

    @property
    def best_at_floor(self) -> Candidate | None:
        """The best of those that provably reach the floor."""
        return next((candidate for candidate in self.candidates if candidate.at_floor), None)

    @property
    def margin_is_met(self) -> bool:
        """Whether the best candidate's margin reaches the minimum that holds for this task."""
        return self.best is not None and self.best.margin >= self.minimum_margin

    @property
    def minimum_margin(self) -> float:
        """The task's own minimum, else the workflow's, else the policy's; rounded as margins are."""
        task, policy = self.inputs.task, self.inputs.policy
        asked = policy.minimum_margin(task.workflow) if task.minimum_margin is None else task.minimum_margin
        return round(asked, DECIMALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a rule concludes."""

    reason: Reason
    model: str = "none"
    because: str = ""
    """Completes the reason's sentence where it ends in a colon."""


def decide(inputs: DecisionInputs) -> RouteDecision:
    """The route of one task."""
    situation = _situation(inputs)
    for rule in RULES:
        verdict = rule(situation)
        if verdict is not None:
            return _decision(situation, verdict)
    raise AssertionError("the last rule always yields")


def awaits_residual_risk(inputs: DecisionInputs, decision: RouteDecision) -> bool:
    """Whether only a missing measurement of the minimum context stopped an escalation; measure, then decide again."""
    return decision.reason_code is Reason.RESIDUAL_RISK and inputs.residual_risk is None


def could_be_summarised(inputs: DecisionInputs, decision: RouteDecision) -> bool:
    """Whether only what redaction left stopped a synthesis: a summary may leave less (CONTRACT "synthesis")."""
    is_too_risky = decision.reason_code is Reason.RESIDUAL_RISK and inputs.residual_risk is not None
    return is_too_risky and inputs.task.kind == "synthesis"


def degraded_stack(inputs: DecisionInputs) -> str:
    """Which specialist answers, degraded, in place of an escalation that yields nothing; empty: nobody, review it."""
    situation = _situation(inputs)
    return degraded_choice(inputs.task, inputs.registry, situation.candidates, inputs.unavailable)


def stays_on_the_device(situation: Situation) -> Verdict | None:
    """Row 1: private data is answered here by a specialist at its floor, or by a person."""
    if not situation.private:
        return None
    best = situation.best_at_floor
    if best is not None:
        return Verdict(reason=Reason.LOCAL_ONLY, model=_stack(situation, best))
    if situation.candidates:
        return Verdict(reason=Reason.BELOW_FLOOR, because="no local specialist provably reaches the fitness floor")
    return Verdict(reason=Reason.NO_CANDIDATE, because="no local specialist fits, and the data may not leave")


def drafts_by_utility(situation: Situation) -> Verdict | None:
    """Row 5: public drafting takes the lane with the higher measured utility; a tie or a missing figure is local."""
    best = situation.best
    if best is None or situation.inputs.task.kind != "drafting" or situation.classes != PUBLIC_ONLY:
        return None
    if not situation.margin_is_met or situation.blockers:
        return None
    policy = situation.inputs.policy
    cloud_wins = cloud_has_higher_utility(best, policy.models.get(policy.fallback_model), policy.drafting)
    situation.trace.append(
        "utility_unknown" if cloud_wins is None else f"utility_cloud_higher={str(cloud_wins).lower()}"
    )
    return _escalation(situation, Reason.UTILITY_CLOUD) if cloud_wins else _local(situation, best, Reason.UTILITY_LOCAL)


def meets_the_margin(situation: Situation) -> Verdict | None:
    """Rows 2 and 3: a specialist proven good enough answers here."""
    best = situation.best
    return _local(situation, best, Reason.MARGIN_MET) if best is not None and situation.margin_is_met else None


def escalates(situation: Situation) -> Verdict | None:
    """Row 4: a redacted minimum goes to the cloud where task, policy, caller and link all allow it."""
    return None if situation.blockers else _escalation(situation, Reason.MARGIN_SHORT)


def continues_offline(situation: Situation) -> Verdict | None:
    """Row 6: where only the link or the air gap forbids the escalation, a specialist at its floor carries on."""
    best = situation.best_at_floor
    if best is None or not LINK_BLOCKERS.issuperset(situation.blockers):
        return None
    return _local(situation, best, Reason.OFFLINE_LOCAL)


def goes_to_a_person(situation: Situation) -> Verdict | None:
    """Nothing acceptable is left."""
    first = next((name for name in situation.blockers if name not in LINK_BLOCKERS), situation.blockers[0])
    return Verdict(reason=Reason.NO_ROUTE, because=BLOCKED_BECAUSE[first])


RULES: tuple[Callable[[Situation], Verdict | None], ...] = (
    stays_on_the_device,  # no rule below can be reached by a local-only task
    drafts_by_utility,
    meets_the_margin,
    escalates,
    continues_offline,
    goes_to_a_person,
)


def _situation(inputs: DecisionInputs) -> Situation:
    task, policy = inputs.task, inputs.policy
    trace: list[str] = []
    rights = rights_of(inputs.caller, policy)
    declared = frozenset(task.data_classes) or frozenset((policy.default_class,))
    if not task.data_classes:
        trace.append("default_class")
    own = rights.adds_classes | declared | inputs.detected
    trace.extend(f"session={name}" for name in sorted(inputs.carried - own))
    classes = own | inputs.carried
    allowed = rights.allows_workflow(task.workflow)
    found = candidates(task, inputs.registry, policy.floor(task.workflow), inputs.unavailable) if allowed else []
    trace.extend(
        f"candidate {one.specialist.id} margin={one.margin:+.4f} at_floor={str(one.at_floor).lower()}" for one in found
    )
    blockers = _blockers(inputs, rights)
    return Situation(
        inputs=inputs,
        classes=classes,
        private=_is_private(classes, policy, trace),
        candidates=found,
        blockers=blockers,
        trace=trace,
    )


def _is_private(classes: frozenset[str], policy: Policy, trace: list[str]) -> bool:
    """A label that nobody defined is a misspelling, and treated as local-only."""
    bound = classes & policy.local_only_classes
    trace.extend(f"local_only_class={name}" for name in sorted(bound))
    unknown = not all(policy.knows_class(name) for name in classes)
    if unknown:
        trace.append("unknown_class")
    return unknown or bool(bound)


def _blockers(inputs: DecisionInputs, rights: Rights) -> tuple[str, ...]:
    task, policy = inputs.task, inputs.policy
    permitted = (
        ("task_forbids_escalation", task.allows_escalation),
        ("policy_forbids_escalation", policy.escalation),
        ("caller_may_not_escalate", rights.may_escalate),
        ("workflow_not_allowed", rights.allows_workflow(task.workflow)),
        ("air_gap", not policy.air_gap),
        (f"link_{inputs.link.value}", permits(inputs.link, metered_escalation=policy.metered_escalation)),
    )
    return tuple(name for name, is_permitted in permitted if not is_permitted)


def _local(situation: Situation, best: Candidate, reason: Reason) -> Verdict:
    return Verdict(reason=reason, model=_stack(situation, best))


def _stack(situation: Situation, best: Candidate) -> str:
    """A tool loop runs smaller specialists first, never a cloud step; every other kind the best alone."""
    if situation.inputs.task.kind != "tool_loop":
        return best.specialist.id
    return cascade(best, (one for one in situation.candidates if one.at_floor))


def _escalation(situation: Situation, reason: Reason) -> Verdict:
    """An escalation whose minimum context is riskier than the policy bears, or unmeasured, goes to a person."""
    policy, risk = situation.inputs.policy, situation.inputs.residual_risk
    if risk is None:
        situation.trace.append("residual_risk_unmeasured")
        return Verdict(reason=Reason.RESIDUAL_RISK, because="the risk left after redaction was not measured")
    situation.trace.append(f"residual_risk={risk:.4f} maximum={policy.maximum_residual_risk:.4f}")
    because = f" because {situation.inputs.context_reason}" if situation.inputs.context_reason else ""
    if risk > policy.maximum_residual_risk:
        if because:
            situation.trace.append(f"context={situation.inputs.context_method}{because}")
        return Verdict(reason=Reason.RESIDUAL_RISK, because="too much could still be recognised after redaction")
    situation.trace.append(f"context={situation.inputs.context_method}{because}")
    return Verdict(reason=reason, model=policy.fallback_model)


def _decision(situation: Situation, verdict: Verdict) -> RouteDecision:
    meaning = REASONS[verdict.reason]
    inputs = situation.inputs
    if meaning.runtime is not Runtime.LOCAL or verdict.reason is Reason.OFFLINE_LOCAL:
        situation.trace.extend(f"blocked_by={name}" for name in situation.blockers)
        if inputs.link_cause and f"link_{inputs.link.value}" in situation.blockers:
            situation.trace.append(f"link_cause={inputs.link_cause}")
    return RouteDecision(
        selected_runtime=meaning.runtime,
        selected_model_or_stack=verdict.model,
        local_reason=meaning.sentence + verdict.because,
        redaction_required=meaning.redaction,
        evidence_required=meaning.evidence,
        fallback_target=meaning.fallback,
        route_created_at_utc=inputs.now,
        reason_code=verdict.reason,
        classes=tuple(sorted(situation.classes)),
        policy_digest=inputs.policy.digest,
        trace=tuple(situation.trace),
    )
