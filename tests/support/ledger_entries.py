"""Decisions and outcomes to fill a ledger with, and the documents that they name. Real decisions: they replay."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tests.support.keyword_detector import KeywordDetector

from homebred_daemon.core.context import minimum_context
from homebred_daemon.core.link import Link
from homebred_daemon.core.records import canonical
from homebred_daemon.ports.ledger import FeedbackRecord, Ledger, LedgerEntry, OutcomeRecord
from homebred_daemon.services.deciding import Decider
from homebred_engines.api import Message
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.policy import bounded, read_ceiling, read_policy
from homebred_protocol.documents.registry import read_registry
from homebred_protocol.documents.task import Task

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
POLICY_BODY = b'version = 1\ndefault_class = "public"\n'
CEILING_BODY = b"version = 1\nmaximum_residual_risk = 0.9\n"
REGISTRY: dict[str, Any] = {
    "specialists": [
        {"id": name, "engine": "echo", "workflows": {"intake.normalise": {"fitness": fitness, "samples": 200}}}
        for name, fitness in (("a", 0.95), ("b", 0.9))
    ]
}
REGISTRY_BODY = canonical(REGISTRY).encode()
DECIDER = Decider(
    policy=bounded(
        read_policy(tomllib.loads(POLICY_BODY.decode()), digest_of(POLICY_BODY)),
        read_ceiling(tomllib.loads(CEILING_BODY.decode()), digest_of(CEILING_BODY)),
    ),
    registry=read_registry(REGISTRY, digest_of(REGISTRY_BODY)),
    detector=KeywordDetector(),
)


def entry(route_id: str, **task: Any) -> LedgerEntry:
    """A decision about a task of one's own."""
    described = Task(task_id=route_id, **({"workflow": "intake.normalise"} | task))
    considered = DECIDER.consider(described, "hello", link=Link.UP, now=NOW, caller=("uid:7",))
    inputs, decision = DECIDER.measure(*considered, lambda: minimum_context([Message(role="user", content="hello")]))
    return LedgerEntry(route_id=route_id, inputs=inputs, decision=decision)


def entries(*route_ids: str) -> list[LedgerEntry]:
    """Decisions under these ids."""
    return [entry(route_id) for route_id in route_ids]


def keep_documents(ledger: Ledger) -> None:
    """Keeps what the entries name, so that they can be decided again."""
    for kind, body in (("policy", POLICY_BODY), ("ceiling", CEILING_BODY), ("registry", REGISTRY_BODY)):
        ledger.keep_document(kind, digest_of(body), body)


ENTRY = replace(entry("r1", data_classes=("public",), allows_escalation=True, deadline_s=2.5), supersedes="r0")
OUTCOME = OutcomeRecord(
    route_id="r1",
    recorded_at_utc=NOW,
    status="answer",
    answered_by="a",
    findings=("slow", "fallback"),
    finish_reason="stop",
    prompt_tokens=9,
    cached_tokens=4,
    completion_tokens=3,
    first_token_ms=12.5,
    total_ms=99.25,
    confidence=0.75,
)
FEEDBACK = FeedbackRecord(route_id="r1", recorded_at_utc=NOW, verdict="corrected", has_correction=True)
