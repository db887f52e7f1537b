"""What a controller hears of a task that has ended: words of closed vocabularies, counts, an administrator's names.

Of a guarded task, one that must not leave this device (I4), less: no ids, no names but of allowed workflows, counts in
powers of two, time to the hour. Nothing of a caller's own words is told of any task: a workflow that neither policy nor
registry names is `unrecognised`, a label of the site's own is `other`. Nothing is sent or kept here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from homebred_daemon.core.decision import Fallback, Reason, Runtime
from homebred_daemon.core.link import Link
from homebred_daemon.core.verification import Finding
from homebred_protocol.documents.policy import Policy
from homebred_protocol.documents.registry import GENERALIST, Registry
from homebred_protocol.documents.task import BUILT_IN_CLASSES

UNRECOGNISED = "unrecognised"
OTHER = "other"
LOCAL_BRANCH = frozenset({Reason.LOCAL_ONLY, Reason.BELOW_FLOOR, Reason.NO_CANDIDATE})
"""Reasons that the local-only branch alone gives, and each of its decisions bears one (CONTRACT "The procedure")."""
MOST_NAME_CHARACTERS = 128
"""A longer name of an administrator's is not told."""
MOST_STACK_CHARACTERS = 1000
"""Of a cascade, which names several."""
MOST_ID_CHARACTERS = 64
MOST_RESULT_CHARACTERS = 32
MOST_COUNTED = 2**40
"""Tokens or milliseconds (35 years): a controller refuses the batch of an event that counts more."""
TOLD_FINDINGS = frozenset(
    {
        Finding.EMPTY,
        Finding.TRUNCATED,
        Finding.SCHEMA_INVALID,
        Finding.CONSTRAINT_BROKEN,
        Finding.LOW_CONFIDENCE,
        Finding.SLOW,
        Finding.FALLBACK,
        Finding.REJECTED_BY_CALLER,
        Finding.CASCADE_BUDGET_SPENT,
        Finding.CLOUD_FAILED,
        Finding.WITHHELD,
        Finding.NO_CLOUD_LANE,
    }
)
"""Those that homebred.v1 has a word for; others are `other`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a task ended, as the ledger has it."""

    at_utc: datetime
    status: str
    """`answer`, `degraded`, `review` or `error`."""
    answered_by: str
    findings: tuple[str, ...]
    prompt_tokens: int
    completion_tokens: int
    first_token_ms: float | None
    total_ms: float
    confidence: float | None
    error_code: str = ""
    """Empty: it did not fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What its caller said of it."""

    at_utc: datetime
    verdict: str
    """`good`, `bad` or `corrected`."""
    has_correction: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A decision in the ledger and what became of it."""

    route_id: str
    supersedes: str
    runtime: Runtime
    stack: str
    """`selected_model_or_stack`."""
    local_reason: str
    redaction_required: bool
    evidence_required: bool
    fallback: Fallback
    created_at_utc: datetime
    reason: Reason
    classes: tuple[str, ...]
    policy_digest: str
    workflow: str | None
    """As the caller named it."""
    link: Link
    ended: Ended | None
    """None: it has no outcome."""
    said: Said | None = None
    """None: this is of its end; else of what was said later."""
    registry_digest: str = ""
    """Of the registry that it was decided on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFact:
    """What is told of one ended task: homebred.v1.RouteEvent's fields."""

    recorded_at_s: int
    """Unix seconds; the hour where guarded, as every time below."""
    runtime: Runtime
    stack: str
    local_reason: str
    redaction_required: bool
    evidence_required: bool
    fallback: Fallback
    created_at_s: int
    guarded: bool
    reason: Reason
    route_id: str
    workflow: str
    status: str
    answered_by: str
    classes: tuple[str, ...]
    """Built-in labels and `other`."""
    findings: tuple[str, ...]
    """Words of TOLD_FINDINGS and `other`."""
    link: Link
    prompt_tokens: int
    completion_tokens: int
    first_token_ms: int | None
    total_ms: int
    confidence_ppm: int | None
    policy_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptFact:
    """What the device did of what it was told."""

    kind: str
    """`desired`, `command`, `stop`, `identity` or `install`."""
    subject: str
    """Digest of a document or release, id of a command, serial of a certificate."""
    version: int = 0
    result: str
    """A word: `applied`, `refused`, `done`, `failed`, `expired`."""
    problem_code: str = ""
    signed: bytes = b""
    """Of an install: the receipt with this device's signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFact:
    """How the device stands."""

    uptime_s: int
    resident_bytes: int
    free_disk_bytes: int
    outbox_events: int
    outbox_bytes: int
    loaded_models: int
    worker_failures: int
    reviews_waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """By what a task is told of: the site's policy in force, and the workflows that may be named."""

    policy: Policy
    workflows: frozenset[str]


def telling(policy: Policy, registry: Registry) -> Telling:
    """By this policy, with the workflows that it or a specialist of this device names."""
    found = set(policy.workflows)
    found |= {name for specialist in registry.specialists for name in specialist.workflows}
    found |= {name for profile in policy.callers.values() for name in profile.workflows or ()}
    allowed = {name for name in found - {GENERALIST} if name and name == named(name)}
    return Telling(policy=policy, workflows=frozenset(allowed))


def is_guarded(route: Route, policy: Policy) -> bool:
    """Whether the task must not leave: by its own decision, or by the policy that holds now, whichever is stricter."""
    bound = any(name in policy.local_only_classes or not policy.knows_class(name) for name in route.classes)
    return bound or route.reason in LOCAL_BRANCH


def route_fact(route: Route, told: Telling) -> RouteFact:
    """What is told of a task that has ended.

    Raises:
        ValueError: it has not.
    """
    ended = route.ended
    if ended is None:
        raise ValueError("a route without an outcome is not told")
    guarded = is_guarded(route, told.policy)
    return RouteFact(
        recorded_at_s=seconds(ended.at_utc, guarded=guarded),
        runtime=route.runtime,
        stack="" if guarded else named(route.stack, most=MOST_STACK_CHARACTERS),
        local_reason="" if guarded else named(route.local_reason, most=MOST_STACK_CHARACTERS),
        redaction_required=route.redaction_required,
        evidence_required=route.evidence_required,
        fallback=route.fallback,
        created_at_s=seconds(route.created_at_utc, guarded=guarded),
        guarded=guarded,
        reason=route.reason,
        route_id="" if guarded else named(route.route_id, most=MOST_ID_CHARACTERS),
        workflow=workflow_told(route, told),
        status=ended.status,
        answered_by="" if guarded else named(ended.answered_by),
        classes=classes_told(route),
        findings=findings_told(ended),
        link=route.link,
        prompt_tokens=counted(ended.prompt_tokens, guarded=guarded),
        completion_tokens=counted(ended.completion_tokens, guarded=guarded),
        first_token_ms=None if ended.first_token_ms is None else counted(ended.first_token_ms, guarded=guarded),
        total_ms=counted(ended.total_ms, guarded=guarded),
        confidence_ppm=None if guarded else millionths(ended.confidence),
        policy_digest="" if guarded else named(route.policy_digest, most=MOST_ID_CHARACTERS + len("sha256:")),
    )


def receipt_fact(
    kind: str, subject: str, result: str, problem_code: str, *, version: int, signed: bytes = b""
) -> ReceiptFact:
    """A receipt whose words every controller takes."""
    return ReceiptFact(
        kind=kind,
        subject=named(subject),
        version=version,
        result=named(result, most=MOST_RESULT_CHARACTERS),
        problem_code=named(problem_code, most=MOST_ID_CHARACTERS),
        signed=signed,
    )


def workflow_told(route: Route, told: Telling) -> str:
    """The workflow's name where an administrator gave it; empty: the task named none."""
    if route.workflow is None:
        return ""
    return route.workflow if route.workflow in told.workflows else UNRECOGNISED


def classes_told(route: Route) -> tuple[str, ...]:
    """Its labels, a site's own as one word."""
    return tuple(sorted({name if name in BUILT_IN_CLASSES else OTHER for name in route.classes}))


def findings_told(ended: Ended) -> tuple[str, ...]:
    """What was found, in order; what homebred.v1 has no word for as one."""
    words = (str(name) if name in TOLD_FINDINGS else OTHER for name in ended.findings)
    return tuple(dict.fromkeys(words))


def named(text: str, *, most: int = MOST_NAME_CHARACTERS) -> str:
    """The text where every controller takes it, else `other`: one event must not cost the batch that it is in."""
    return text if len(text) <= most and "\0" not in text else OTHER


def counted(number: float, *, guarded: bool) -> int:
    """A count or a duration; guarded: the least power of two that is no less."""
    within = min(max(number, 0), MOST_COUNTED)
    return power_of_two(within) if guarded else round(within)


def millionths(share: float | None) -> int | None:
    """A share of 1; None: there is none, or it is none."""
    return round(share * 1_000_000) if share is not None and 0 <= share <= 1 else None


def power_of_two(number: float) -> int:
    """The least power of two that is no less; 0 stays 0."""
    return 0 if number <= 0 else 1 << (ceil(number) - 1).bit_length()


def seconds(moment: datetime, *, guarded: bool) -> int:
    """Unix seconds, of the hour where guarded."""
    shown = moment.replace(minute=0, second=0, microsecond=0) if guarded else moment
    return (shown - _EPOCH) // timedelta(seconds=1)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
