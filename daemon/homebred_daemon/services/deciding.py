"""From a described task and its text to a decision: detect, decide, measure an escalation's risk, decide again.

Synchronous and without I/O of its own, so that the daemon, the command line and the benches run the very same steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from homebred_daemon.core.decision import RouteDecision
from homebred_daemon.core.link import Link
from homebred_daemon.core.residual_risk import residual_risk
from homebred_daemon.core.routing import DecisionInputs, awaits_residual_risk, decide
from homebred_daemon.core.sensitivity import Detector, Span, raised_classes
from homebred_protocol.documents.policy import Policy
from homebred_protocol.documents.registry import Registry
from homebred_protocol.documents.task import Task

REDACTION = "redaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """Decides tasks under one policy and one registry, with one detector."""

    policy: Policy
    registry: Registry
    detector: Detector

    def decide(
        self,
        task: Task,
        text: str,
        *,
        link: Link,
        now: datetime,
        caller: tuple[str, ...] = (),
        unavailable: frozenset[str] = frozenset(),
    ) -> tuple[DecisionInputs, RouteDecision]:
        """The route of a task whose content is `text`, and exactly what it depended on.

        `unavailable` names specialists that cannot be asked now.
        """
        spans = self.detector.detect(text)
        inputs = DecisionInputs(
            task=task,
            registry=self.registry,
            policy=self.policy,
            link=link,
            now=now,
            caller=caller,
            detected=raised_classes(spans, self.policy.detection_classes),
            detector_digest=self.detector.digest,
            unavailable=unavailable,
        )
        return self._measured(inputs, lambda: self._risk(text, spans))

    def decide_again(
        self, before: DecisionInputs, text: str, *, failed: frozenset[str], now: datetime
    ) -> tuple[DecisionInputs, RouteDecision]:
        """The route after a specialist failed before its first token: the same task with those unavailable.

        `failed` may name further specialists, such as those on the same model.
        """
        inputs = replace(before, now=now, unavailable=before.unavailable | failed)
        return self._measured(inputs, lambda: self._risk(text, self.detector.detect(text)))

    def _measured(self, inputs: DecisionInputs, measure: Callable[[], float]) -> tuple[DecisionInputs, RouteDecision]:
        """Measures the residual risk only where an escalation is considered, then decides with it."""
        decision = decide(inputs)
        if awaits_residual_risk(inputs, decision):
            inputs = replace(inputs, context_method=REDACTION, residual_risk=measure())
            decision = decide(inputs)
        return inputs, decision

    def _risk(self, text: str, spans: tuple[Span, ...]) -> float:
        return residual_risk(text, spans, self.policy.risk_weights)
