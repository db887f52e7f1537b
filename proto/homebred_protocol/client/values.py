"""What an application gives and gets: plain values, without grpc or protobuf in them.

Every enum has an UNKNOWN: a newer daemon may say a word that this library does not know, and that is no crash. An
answer whose status is unknown is no answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from homebred_protocol.client.errors import FailedError, NeedsReviewError


class _Word(str, Enum):
    """A word of the wire; in text and JSON it is that word, on every Python."""

    __str__ = str.__str__


class Runtime(_Word):
    """Where a task is answered."""

    LOCAL = "local"
    CLOUD_ESCALATION = "cloud_escalation"
    NO_OP = "no_op"
    UNKNOWN = "unknown"


class Fallback(_Word):
    """What happens where that is not possible."""

    NONE = "none"
    LOCAL_SUMMARY = "local_summary"
    HUMAN_REVIEW = "human_review"
    UNKNOWN = "unknown"


class Status(_Word):
    """How a task ended."""

    ANSWER = "answer"
    DEGRADED = "degraded"
    """Answered, but the contract asked for more than this device could do now."""
    REVIEW = "review"
    """Not answered: a person must."""
    ERROR = "error"
    UNKNOWN = "unknown"


class ReviewState(_Word):
    """Where a task stands that a person must answer."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    ANSWERED = "answered"
    DECLINED = "declined"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Verdict(_Word):
    """How good an answer was."""

    GOOD = "good"
    BAD = "bad"
    CORRECTED = "corrected"
    """It was used after a correction."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What the model asks the caller's program to do; always whole."""

    id: str
    name: str
    arguments: str
    """A JSON object, as text."""

    def parsed(self) -> dict[str, Any]:
        """The arguments."""
        arguments: dict[str, Any] = json.loads(self.arguments)
        return arguments


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """`system`, `user`, `assistant` or `tool`."""
    content: str
    tool_calls: tuple[ToolCall, ...] = field(default=(), kw_only=True)
    """Of the assistant: what it asked for."""
    tool_call_id: str = field(default="", kw_only=True)
    """Of a tool's message: the call that it is the result of."""


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that the caller's program can do for the model."""

    name: str
    """1 to 64 of A-Z a-z 0-9 _ -."""
    description: str = ""
    parameters: Mapping[str, Any] | str = ""
    """JSON Schema of an object; empty: there are none."""
    runs_here: bool = field(default=False, kw_only=True)
    """On this device: what was masked for a cloud model may be put back into its arguments."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document, a picture, a recording that belongs to a task; nothing but a masked text ever leaves the device."""

    name: str
    data: bytes
    media_type: str = ""
    """Such as `text/plain`; empty: it is found out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What the text of an answer must keep to, beside a schema; an answer that asks for a tool is not held to it."""

    matches: str = ""
    """Regular expression that is found in it, as `pattern` of JSON Schema: `^` and `$` bind it to the whole."""
    contains: tuple[str, ...] = ()
    """Each is in it, as it is written."""
    excludes: tuple[str, ...] = ()
    """None is in it."""
    max_characters: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked, and what may be done to answer it. `dataclasses.replace` makes the next one of a kind."""

    text: str = ""
    """The task in words; exactly one of text and messages."""
    messages: tuple[Message, ...] = field(default=(), kw_only=True)
    attachments: tuple[Attachment, ...] = field(default=(), kw_only=True)
    """Texts are read; what else there is takes a specialist for it, or a person."""
    workflow: str = field(default="", kw_only=True)
    """The repeated kind of task it belongs to; empty: none, only generalists may answer."""
    data_classes: tuple[str, ...] = field(default=(), kw_only=True)
    """What it holds, such as `patient` or `public`; empty: the device's policy says."""
    kind: str = field(default="", kw_only=True)
    """`repeat`, `tool_loop`, `synthesis`, `drafting` or `other`, which an empty one is."""
    allows_escalation: bool = field(default=False, kw_only=True)
    """Whether a redacted minimum of it may leave the device."""
    schema: Mapping[str, Any] | str | None = field(default=None, kw_only=True)
    """JSON Schema that the answer must fit; it is then held back until it does."""
    tools: tuple[Tool, ...] = field(default=(), kw_only=True)
    """What the model may ask the caller's program to do."""
    tool_choice: str = field(default="", kw_only=True)
    """`auto`, `none`, `required`, or the name of the tool that must be asked for; empty: auto."""
    session_id: str = field(default="", kw_only=True)
    """The caller's name for what belongs together: a value that is masked has one token within it."""
    constraints: Constraints | None = field(default=None, kw_only=True)
    """What the answer's text must keep to; it is then held back until it is whole."""
    rejects: str = field(default="", kw_only=True)
    """`route_id` of an answer of the same session that is not good enough: a larger specialist is asked."""
    deadline_s: float | None = field(default=None, kw_only=True)
    """Seconds from now to the outcome, all tries together; None: the device's own bound."""
    max_tokens: int | None = field(default=None, kw_only=True)
    """Tokens of answer at most; None: as the specialist has it."""
    temperature: float | None = field(default=None, kw_only=True)
    seed: int | None = field(default=None, kw_only=True)
    stop: tuple[str, ...] = field(default=(), kw_only=True)
    """Texts that end the answer before them."""
    minimum_margin: float | None = field(default=None, kw_only=True)
    """How much better than its reference a specialist must be; None: the policy says."""
    expected_calls: int | None = field(default=None, kw_only=True)
    """Calls that a tool loop is likely to make in its session: they bound what trying smaller models first may take."""
    requires: tuple[str, ...] = field(default=(), kw_only=True)
    """`vision`, `audio`, `tools`, `embeddings`."""
    context_tokens: int | None = field(default=None, kw_only=True)
    task_id: str = field(default="", kw_only=True)
    """The caller's own name for it, the same on every try; empty: one is made when it is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingContext:
    """What an escalation would send: the least of the task, with tokens for all that was found."""

    system: str
    """Standing instructions."""
    messages: tuple[Message, ...]
    schema: str
    """As JSON text; empty: none."""
    dropped_messages: int
    """How many earlier ones would stay on the device."""
    tools: tuple[Tool, ...]
    dropped_attachments: int
    """How many would stay on the device; the texts of the others stand in the last message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Where a task goes and why; it holds nothing of the task."""

    selected_runtime: Runtime
    selected_model_or_stack: str
    """A specialist, `cascade:a+b`, a cloud model, or `none`."""
    local_reason: str
    """A sentence for people."""
    redaction_required: bool
    evidence_required: bool
    fallback_target: Fallback
    route_created_at_utc: datetime
    reason_code: str
    """The sentence's stable code, such as `margin_met`."""
    classes: tuple[str, ...]
    policy_digest: str
    trace: tuple[str, ...]
    route_id: str
    """What reviews and feedback ask for; empty in a dry run."""
    supersedes: str
    """The route whose failure, or whose answer's rejection, led here; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun(Decision):
    """Where a task would go, and what would leave."""

    would_send: OutgoingContext | None
    """None: it would not be escalated. A real call has other tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a person needs to hear of an error."""

    code: str
    message: str
    """What and why."""
    hint: str
    """What next."""
    retry_after_s: float
    """0: no advice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a task ended, and what it took."""

    status: Status
    weak: bool
    """Whether a finding says not to rely on the answer."""
    findings: tuple[str, ...]
    """Such as `slow`, `truncated`, `low_confidence`, `constraint_broken`, `fallback`."""
    answered_by: str
    finish_reason: str
    """`stop`, `length`, `tool_calls` or `schema_invalid`."""
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    first_token_ms: float | None
    """From acceptance; None: there was no answer."""
    total_ms: float
    confidence: float | None
    """Mean token probability; None: not measured."""
    problem: Problem | None
    """With ERROR and REVIEW."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retracted:
    """The pieces so far do not count: the answer failed on its way, and begins anew."""

    code: str
    """Why: a stable machine code."""


Event = Decision | str | ToolCall | Retracted | Outcome
"""What a stream yields: decisions first, pieces of the answer (never cumulative), tool calls, then exactly one outcome.

A Retracted voids the pieces and calls before it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A task that has ended. `text` is there only where there is an answer: see `needs_review`."""

    decisions: tuple[Decision, ...]
    """More than one where a failure led to another."""
    outcome: Outcome
    streamed: str
    """All pieces that count together, whatever they are worth."""
    tool_calls: tuple[ToolCall, ...] = ()
    """What the model asks for: send the task again with these in an assistant's message and their results after it."""

    @property
    def status(self) -> Status:
        """How it ended: ANSWER, DEGRADED or REVIEW."""
        return self.outcome.status

    @property
    def decision(self) -> Decision:
        """The one that holds."""
        return self.decisions[-1]

    @property
    def route_id(self) -> str:
        """Names this task to `wait_for_review` and `feedback`."""
        return self.decision.route_id

    @property
    def needs_review(self) -> bool:
        """Whether a person must answer: there is no text."""
        return self.status is Status.REVIEW

    @property
    def is_sure(self) -> bool:
        """Whether it may be acted on without a person's look: as good as the contract asks, and not weak."""
        return self.status is Status.ANSWER and not self.outcome.weak

    @property
    def text(self) -> str:
        """The answer.

        Raises:
            NeedsReviewError: there is none, a person must give it.
            FailedError: it ended in a way that this library does not know.
        """
        if self.status in (Status.ANSWER, Status.DEGRADED):
            return self.streamed
        if self.needs_review:
            problem = self.outcome.problem
            raise NeedsReviewError("" if problem is None else problem.message, route_id=self.route_id)
        raise FailedError(
            f"the task ended as {self.status}, which is no answer", hint="update this library: the daemon is newer"
        )

    def json(self) -> Any:
        """The answer parsed, for a task with a schema.

        Raises:
            NeedsReviewError, FailedError: as `text` does.
            ValueError: it is not JSON; with a schema it always is.
        """
        return json.loads(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """Texts as vectors."""

    vectors: tuple[tuple[float, ...], ...]
    """One a text, in order, each of length 1: the product of two is their cosine."""
    made_by: str
    """Specialist id: vectors of different ones cannot be compared."""
    prompt_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What became of a task that went to a person."""

    route_id: str
    state: ReviewState
    output: str | None
    """The person's answer; None unless ANSWERED."""
    note: str
    """Why there is none, with DECLINED."""
    filed_at_utc: datetime | None
    expires_at_utc: datetime | None
    """When it ends by itself; once it has ended: until when it can be asked for."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in (ReviewState.ANSWERED, ReviewState.DECLINED, ReviewState.EXPIRED)
