"""Routes as a ledger's feed hands them on; hypothesis makes any, with callers' words wherever text may be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from homebred_daemon.core.decision import REASONS, Fallback, Reason, Runtime
from homebred_daemon.core.link import Link
from homebred_daemon.core.telemetry import Ended, Route, Said, Telling
from homebred_daemon.core.verification import Finding
from homebred_protocol.documents.policy import Policy
from homebred_protocol.documents.task import BUILT_IN_CLASSES

AT = datetime(2026, 11, 23, 9, 41, 17, 500_000, tzinfo=UTC)
ENDED = Ended(
    at_utc=AT,
    status="answer",
    answered_by="clinic-intake",
    findings=(),
    prompt_tokens=100,
    completion_tokens=33,
    first_token_ms=12.4,
    total_ms=99.5,
    confidence=0.75,
)
ROUTE = Route(
    route_id="5e1c5a0e-0000-4000-8000-000000000001",
    supersedes="",
    runtime=Runtime.LOCAL,
    stack="clinic-intake",
    local_reason="local fitness margin met",
    redaction_required=False,
    evidence_required=False,
    fallback=Fallback.NONE,
    created_at_utc=AT,
    reason=Reason.MARGIN_MET,
    classes=("public",),
    policy_digest="sha256:" + "ab" * 32,
    workflow="intake.extract",
    link=Link.UP,
    ended=ENDED,
)
PRIVATE = replace(
    ROUTE, classes=("patient",), reason=Reason.LOCAL_ONLY, local_reason=REASONS[Reason.LOCAL_ONLY].sentence
)
WORKFLOWS = frozenset({"intake.extract", "notice.draft"})
TELLING = Telling(policy=Policy(), workflows=WORKFLOWS)


def told_by(**policy: Any) -> Telling:
    """By a policy of one's own."""
    return replace(TELLING, policy=Policy(**policy))


moments = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - aware by it
endings = st.builds(
    Ended,
    at_utc=moments,
    status=st.sampled_from(["answer", "degraded", "review", "error"]),
    answered_by=st.text(),
    findings=st.lists(st.sampled_from([each.value for each in Finding]) | st.text(), max_size=4).map(tuple),
    prompt_tokens=st.integers(0, 10**7),
    completion_tokens=st.integers(0, 10**7),
    first_token_ms=st.none() | st.floats(0, 10**7),
    total_ms=st.floats(0, 10**7),
    confidence=st.none() | st.floats(0, 1),
)
sayings = st.builds(
    Said, at_utc=moments, verdict=st.sampled_from(["good", "bad", "corrected"]), has_correction=st.booleans()
)
routes = st.builds(
    Route,
    route_id=st.text(),
    supersedes=st.text(),
    runtime=st.sampled_from(Runtime),
    stack=st.text(),
    local_reason=st.text(),
    redaction_required=st.booleans(),
    evidence_required=st.booleans(),
    fallback=st.sampled_from(Fallback),
    created_at_utc=moments,
    reason=st.sampled_from(Reason),
    classes=st.lists(st.sampled_from(BUILT_IN_CLASSES) | st.text(), max_size=4).map(tuple),
    policy_digest=st.text(),
    workflow=st.none() | st.sampled_from(sorted(WORKFLOWS)) | st.text(),
    link=st.sampled_from(Link),
    ended=endings,
    said=st.none() | sayings,
)
