"""From a described task and its text to a decision: detect, decide, measure an escalation's risk, decide again.

Synchronous and without I/O of its own, so that the daemon, the command line and the benches run the very same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from homebred_daemon.core.cascade import leaves_for_a_failure
from homebred_daemon.core.context import MinimumContext
from homebred_daemon.core.decision import RouteDecision
from homebred_daemon.core.link import Link
from homebred_daemon.core.pseudonyms import without_tokens
from homebred_daemon.core.residual_risk import residual_risk
from homebred_daemon.core.routing import DecisionInputs, awaits_residual_risk, decide
from homebred_daemon.core.sensitivity import Detector, Span, raised_classes, types_raising
from homebred_daemon.errors import DetectionError
from homebred_protocol.documents.policy import Policy
from homebred_protocol.documents.registry import Registry
from homebred_protocol.documents.task import Task

REDACTION = "redaction"
SUMMARY = "summary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """Decides tasks under one policy and one registry."""

    policy: Policy
    registry: Registry
    detector: Detector
    """Of every task: patterns and what the site knows."""
    cloud_detector: Detector | None = None
    """Of what may leave, and more thorough; it raises no class. None: the same."""

    def leaving_spans(self, text: str) -> tuple[Span, ...]:
        """What must be masked in a text that may leave."""
        return (self.cloud_detector or self.detector).detect(text)

    def forbidden_types(self, leaving: str) -> frozenset[str]:
        """What is in a masked text that may not leave, by entity type: the last look at it."""
        spans = self.detector.detect(without_tokens(leaving))
        return types_raising(spans, self.policy.detection_classes, self.policy.local_only_classes)

    def consider(
        self,
        task: Task,
        text: str,
        *,
        attached: Iterable[Span] = (),
        carried: frozenset[str] = frozenset(),
        link: Link,
        now: datetime,
        link_cause: str = "",
        caller: tuple[str, ...] = (),
        unavailable: frozenset[str] = frozenset(),
    ) -> tuple[DecisionInputs, RouteDecision]:
        """The route of a task whose content is `text`, and exactly what it depended on.

        What an escalation's context would still give away is not measured yet: see `measure`. `attached` says what its
        attachments are, `carried` which classes its session has met, `unavailable` who cannot be asked now.
        """
        inputs = DecisionInputs(
            task=task,
            registry=self.registry,
            policy=self.policy,
            link=link,
            link_cause=link_cause,
            now=now,
            caller=caller,
            detected=raised_classes((*self.detector.detect(text), *attached), self.policy.detection_classes),
            carried=carried,
            detector_digest=self.detector.digest,
            unavailable=unavailable,
        )
        return _whatever_fails(inputs)

    def consider_again(
        self, before: DecisionInputs, *, failed: frozenset[str], now: datetime
    ) -> tuple[DecisionInputs, RouteDecision]:
        """The route after a specialist failed before its first token: the same task with those unavailable.

        `failed` may name further specialists, such as those on the same model.
        """
        return _whatever_fails(replace(before, now=now, unavailable=before.unavailable | failed))

    def measure(
        self, inputs: DecisionInputs, decision: RouteDecision, leaving: Callable[[], MinimumContext]
    ) -> tuple[DecisionInputs, RouteDecision]:
        """Where only the risk of what would leave is missing: that risk, and the decision with it. Else as they are.

        It takes as long as a thorough search does: keep it off an event loop where `awaits_residual_risk`.

        Raises:
            DetectionError: what would leave could not be searched.
        """
        if not awaits_residual_risk(inputs, decision):
            return inputs, decision
        context = leaving()
        if not context.is_searchable:
            raise DetectionError("what is attached is no text, or holds more than one")
        measured = replace(inputs, context_method=REDACTION, residual_risk=self._risk(context.text))
        return measured, decide(measured)

    def measure_summary(self, redacted: DecisionInputs, summary: str | None) -> tuple[DecisionInputs, RouteDecision]:
        """The route of a synthesis that redaction left too risky, with a summary instead where that leaves less.

        None: there is no summary. Both measurements stand in the inputs.

        Raises:
            DetectionError: the summary could not be searched.
        """
        if summary is None:
            inputs = replace(redacted, context_reason="there is no summary")
            return inputs, decide(inputs)
        risk = self._risk(summary)
        if risk > self.policy.maximum_residual_risk:
            inputs = replace(redacted, context_reason=f"summary_risk={risk:.4f}")
        else:
            reason = f"redaction_risk={redacted.residual_risk:.4f}"
            inputs = replace(redacted, context_method=SUMMARY, context_reason=reason, residual_risk=risk)
        return inputs, decide(inputs)

    def _risk(self, leaving: str) -> float:
        return residual_risk(leaving, self.leaving_spans(leaving), self.policy.risk_weights)

    def consider_unsearched(self, inputs: DecisionInputs) -> tuple[DecisionInputs, RouteDecision]:
        """The route where what would leave could not be searched: for this task the way out is closed."""
        return _closed(inputs, "unsearched")


def _whatever_fails(inputs: DecisionInputs) -> tuple[DecisionInputs, RouteDecision]:
    """The route; for a tool loop that is answered here, one that stays here though a specialist cannot be asked."""
    decision = decide(inputs)
    return _closed(inputs, "tool_loop") if leaves_for_a_failure(inputs, decision) else (inputs, decision)


def _closed(inputs: DecisionInputs, cause: str) -> tuple[DecisionInputs, RouteDecision]:
    """The route where the way out is closed for this task, whatever the link."""
    closed = replace(inputs, link=Link.DOWN, link_cause=cause)
    return closed, decide(closed)
