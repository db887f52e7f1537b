"""One task from acceptance to outcome: decide, record, ask, verify, record.

Every accepted task ends in exactly one outcome (I7): an answer, a degraded answer, a review item or an error. It holds
no way out of the device: the cloud lane is handed to an escalation, and never to a local-only task. It keeps no
content: what a person must answer is filed with the review desk, before anybody hears that it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import assert_never

from homebred_daemon.core import measures, traces
from homebred_daemon.core.context import MinimumContext
from homebred_daemon.core.decision import RouteDecision, Runtime
from homebred_daemon.core.masking import masked
from homebred_daemon.core.pseudonyms import Pseudonyms
from homebred_daemon.core.review import ReviewItem
from homebred_daemon.core.routing import (
    PUBLIC_ONLY,
    DecisionInputs,
    awaits_residual_risk,
    could_be_summarised,
    degraded_stack,
)
from homebred_daemon.core.tool_calls import with_ids
from homebred_daemon.core.verification import Finding, is_slow, is_weak
from homebred_daemon.errors import (
    DeadlineError,
    DetectionError,
    EngineUnavailableError,
    HomebredError,
    NeedsReviewError,
    defect,
)
from homebred_daemon.inbound.answering import AcceptedTask, Decided, Emit, Heard, Outcome, Routed, at_once
from homebred_daemon.ports.ledger import LedgerEntry, OutcomeRecord
from homebred_daemon.services.admission import Admission
from homebred_daemon.services.asking import Asking, AttemptFailedError, Generated
from homebred_daemon.services.cascading import Cascading
from homebred_daemon.services.escalating import Escalating, EscalationFailedError, leaving_context
from homebred_daemon.services.guest import Guest
from homebred_daemon.services.releases.shadowing import Answered, Hears, Shadowing, unheard
from homebred_daemon.services.standing import Means, Standing
from homebred_daemon.services.summarising import summarised
from homebred_daemon.services.way_out import NO_WAY_OUT, WayOut

MAX_DECISIONS = 4
"""One, and at most three more after failures before the first token (CONTRACT "After the decision")."""

INLINE_CHARACTERS = 16_384
"""Longer texts are looked through on a thread; so many take a few milliseconds."""

CLOUD_SHARE = 0.75
"""Of the time that is left, for the cloud model: a local answer must still be possible after it."""


class Answering:
    """Answers accepted tasks under the standing that holds when each is accepted."""

    def __init__(self, standing: Standing, means: Means, way_out: WayOut = NO_WAY_OUT) -> None:
        self.standing = standing
        """Replaced whole when policy or models change; running tasks finish on what they began with."""
        self.admission = Admission()
        self.way_out = way_out
        """Set once at start, where the device has a cloud lane."""
        self.heard: Hears = unheard
        """Hears of each task whose caller has its answer."""
        self._means = means

    def shadowed(self, guest: Guest, *, context_tokens: int) -> Shadowing:
        """Has newcomers answer its tasks again, from now on; call it once, at start."""
        shadowing = Shadowing(guest, self._means, context_tokens=context_tokens)
        self.heard = shadowing.heard
        return shadowing

    async def route(self, accepted: AcceptedTask) -> Routed:
        """The decision and what would leave: nothing is recorded, and nothing is asked but for a summary.

        Raises:
            RequestError: the task cannot be accepted.
        """
        standing = self.standing
        self._admit(standing, accepted)
        choice = await _decided(standing, self._means, accepted)
        if choice.decision.selected_runtime is not Runtime.CLOUD_ESCALATION:
            return Routed(decision=choice.decision, context=None)
        pseudonyms = Pseudonyms(self._means.sessions.key(accepted.caller, accepted.session_id))
        spans = standing.decider.leaving_spans
        try:
            context = await asyncio.to_thread(lambda: masked(choice.context(), spans, pseudonyms))
        except DetectionError:
            _, decision = standing.decider.consider_unsearched(choice.inputs)
            return Routed(decision=decision, context=None)
        return Routed(decision=choice.decision, context=context)

    async def answer(self, accepted: AcceptedTask, emit: Emit, heard: Heard = at_once) -> None:
        """Answers a task: `emit` hears decisions, pieces of the answer, then exactly one Outcome.

        An answer is recorded as one once its caller has `heard` it whole. Cancelled, the outcome is recorded, and not
        emitted.

        Raises:
            RequestError: the task was not accepted; nothing was emitted or recorded.
        """
        standing = self.standing
        with self.admission.admitted():
            self._admit(standing, accepted)
            answered = await _Run(standing, self._means, accepted, emit, heard, way_out=self.way_out).to_outcome()
        self.heard(answered)

    def _admit(self, standing: Standing, accepted: AcceptedTask) -> None:
        standing.require_workflow(accepted.caller, accepted.task.workflow)
        if accepted.options.json_schema:
            self._means.schemas.check_schema(accepted.options.json_schema)
        if accepted.constraints.matches:
            self._means.schemas.check_pattern(accepted.constraints.matches, name="constraints.matches")
        if accepted.rejects:
            self._means.sessions.steps(accepted.caller, accepted.session_id).answered_by(accepted.rejects)
        for tool in accepted.options.tools:
            if tool.parameters:
                self._means.schemas.check_schema(tool.parameters, name=f"parameters of the tool {tool.name}")


@dataclass(frozen=True, slots=True)
class _Choice:
    """A decision and what it depended on."""

    inputs: DecisionInputs
    decision: RouteDecision
    context: Callable[[], MinimumContext]
    """Chooses what an escalation would send, not yet masked: it reads the whole task, so only where that is needed."""
    is_unsearched: bool = False
    """What would leave could not be searched, so it does not."""


def _unremembered(decision: RouteDecision) -> None:
    """A dry run leaves nothing behind in its session."""
    del decision


async def _decided(
    standing: Standing, means: Means, accepted: AcceptedTask, met: Callable[[RouteDecision], None] = _unremembered
) -> _Choice:
    """`met` hears of the task's classes before anything takes its time."""
    consider = partial(
        standing.decider.consider,
        accepted.task,
        accepted.text,
        attached=accepted.content.spans,
        carried=means.sessions.classes(accepted.caller, accepted.session_id),
        link=standing.link.link,
        link_cause=standing.link.cause,
        now=means.clock.now(),
        caller=accepted.caller,
        unavailable=_out_of_service(standing, means),
    )
    # A long text is looked through on a thread, so that other tasks go on; a short one costs less than a thread does.
    is_long = len(accepted.text) > INLINE_CHARACTERS
    considered = await asyncio.to_thread(consider) if is_long else consider()
    met(considered[1])
    return await _measured(standing, means, accepted, considered)


async def _measured(
    standing: Standing, means: Means, accepted: AcceptedTask, considered: tuple[DecisionInputs, RouteDecision]
) -> _Choice:
    """The choice with what an escalation's context would give away, where that matters."""
    decider, least = standing.decider, partial(leaving_context, accepted)
    if not awaits_residual_risk(*considered):
        return _Choice(*considered, least)
    try:
        inputs, decision = await asyncio.to_thread(decider.measure, *considered, least)
        if not could_be_summarised(inputs, decision):
            return _Choice(inputs, decision, least)
        summary = await summarised(least(), accepted, inputs, standing, means)
        text = None if summary is None else summary.text
        inputs, decision = await asyncio.to_thread(decider.measure_summary, inputs, text)
        return _Choice(inputs, decision, least if summary is None else lambda: summary)
    except DetectionError:
        return _Choice(*decider.consider_unsearched(considered[0]), least, is_unsearched=True)


def _out_of_service(standing: Standing, means: Means) -> frozenset[str]:
    """Specialists whose model failed and is not asked now: a task goes straight to another one."""
    models = means.pool.out_of_service()
    if not models:
        return frozenset()
    return frozenset(name for name, served in standing.specialists.items() if served.model in models)


class _Run:
    """One task on its way."""

    def __init__(
        self, standing: Standing, means: Means, accepted: AcceptedTask, emit: Emit, heard: Heard, *, way_out: WayOut
    ) -> None:
        self._standing = standing
        self._means = means
        self._accepted = accepted
        self._emit = emit
        self._heard = heard
        self._way_out = way_out
        self._started_s = means.clock.monotonic_s()
        self._route_id = ""
        self._is_accepted = False
        """Until then it can be refused, and nothing of it is recorded."""
        self._room = ExitStack()
        """Holds the task's room in the review queue, where it needs some."""
        self._has_room = False
        self._filing: asyncio.Future[ReviewItem] | None = None
        """The task on its way to a person; None: it goes to none so far."""
        self._why_review = ""
        self._trace = means.traces.begin(accepted.trace_parent)
        self._deciding = self._trace.begin(traces.DECIDE)
        self._owes_outcome = False
        """Whether the ledger has, or is about to have, a decision of this task without its outcome."""
        self._findings = [Finding.REJECTED_BY_CALLER] if accepted.rejects else []
        """What the way to the answer left behind; the answer's own findings join them."""
        self._cascading = Cascading(standing, accepted, means, self._note)
        self._asked_first = ""
        """The specialist that the first decision asked alone, if it did."""
        self._has_failed = False

    async def to_outcome(self) -> Answered:
        """Runs the task to its one outcome, within its deadline; what became of it.

        Raises:
            OverloadedError: only a person could answer it, and the review queue is full; nothing was recorded.
        """
        with self._room:
            outcome = await self._outcome()
        outcome = await self._recorded(outcome)
        self._count(outcome.record)
        if outcome.record.answered_by:
            self._cascading.answered(self._route_id, outcome.record.answered_by)
        await self._emit(outcome)
        return Answered(
            standing=self._standing,
            accepted=self._accepted,
            asked=self._asked_first,
            has_failed=self._has_failed,
            record=outcome.record,
        )

    async def _outcome(self) -> Outcome:
        try:
            async with asyncio.timeout(self._accepted.deadline_s):
                return await self._answered()
        except TimeoutError:
            if await self._is_filed():
                return self._for_a_person()
            late = DeadlineError(f"the task was not answered within {self._accepted.deadline_s:g} s")
            return self._without_answer("error", late)
        except HomebredError as error:
            if not self._is_accepted:
                raise
            return self._without_answer("error", error)
        except asyncio.CancelledError:
            record = self._record("error", error_code="cancelled", findings=tuple(self._findings))
            gone = self._for_a_person() if await self._is_filed() else Outcome(record=record, weak=False)
            self._count((await self._recorded(gone)).record)
            raise
        except Exception as error:  # noqa: BLE001  # our own fault: the caller hears so, its cause goes to the log
            return self._without_answer("error", defect(error))

    async def _answered(self) -> Outcome:
        choice = await _decided(self._standing, self._means, self._accepted, met=self._met)
        for number in range(1, MAX_DECISIONS + 1):
            inputs, decision = choice.inputs, choice.decision
            if choice.is_unsearched:
                self._note(Finding.UNSEARCHED)
            stack, status = self._stack(inputs, decision)
            if not stack and not self._is_accepted:
                self._make_room()
            self._is_accepted = True
            await self._announce(inputs, decision)
            if (escalated := await self._escalated(decision, choice.context)) is not None:
                return self._with_answer("answer", escalated)
            if not stack:
                return await self._handed_over(decision)
            if number == 1 and status == "answer" and len(stack) == 1:
                (self._asked_first,) = stack
            try:
                generated = await self._asking().ask(stack)
                await self._delivered(generated)
                return self._with_answer(status, generated)
            except AttemptFailedError as failure:
                self._note(Finding.FALLBACK)
                self._has_failed = True
                if number == MAX_DECISIONS:
                    raise EngineUnavailableError(
                        f"{MAX_DECISIONS} specialists failed in turn; the last was {failure}"
                    ) from failure
                await self._close_route(failure.code)
                self._deciding = self._trace.begin(traces.DECIDE)
                again = self._standing.decider.consider_again(
                    inputs,
                    failed=_out_of_service(self._standing, self._means) | {failure.specialist_id},
                    now=self._means.clock.now(),
                )
                choice = await _measured(self._standing, self._means, self._accepted, again)
        raise AssertionError("the last decision returns or raises")

    def _asking(self) -> Asking:
        return Asking(
            self._standing,
            self._accepted,
            self._means,
            self._emit,
            route_id=self._route_id,
            cascading=self._cascading,
            trace=self._trace,
        )

    def _met(self, decision: RouteDecision) -> None:
        classes = frozenset(decision.classes) - PUBLIC_ONLY  # that one protects nothing
        self._means.sessions.met(self._accepted.caller, self._accepted.session_id, classes)

    def _stack(self, inputs: DecisionInputs, decision: RouteDecision) -> tuple[tuple[str, ...], str]:
        """Who is asked, in which order, and what an answer of theirs is worth; nobody: a person answers."""
        match decision.selected_runtime:
            case Runtime.LOCAL:
                return decision.stack, "answer"
            case Runtime.CLOUD_ESCALATION:  # who answers in the cloud model's place, where it does not
                specialist_id = degraded_stack(inputs)
                return ((specialist_id,) if specialist_id else ()), "degraded"
            case Runtime.NO_OP:
                return (), "review"
        assert_never(decision.selected_runtime)

    async def _escalated(self, decision: RouteDecision, context: Callable[[], MinimumContext]) -> Generated | None:
        """The cloud model's answer; None: the route is no escalation, or leads to no answer that holds."""
        if decision.selected_runtime is not Runtime.CLOUD_ESCALATION or Finding.CLOUD_FAILED in self._findings:
            return None
        lane = self._way_out.opened_for(decision, self._standing.decider.policy)
        if lane is None:
            self._note(Finding.NO_CLOUD_LANE)
            return None
        left_s = self._accepted.deadline_s - self._elapsed_ms(self._means.clock.monotonic_s()) / 1000
        escalating = Escalating(lane, self._standing.decider, self._accepted, self._means, self._emit)
        span = self._trace.begin(traces.ESCALATE)
        try:
            generated = await escalating.ask(
                decision.selected_model_or_stack,
                context,
                deadline_s=left_s * CLOUD_SHARE,
            )
        except EscalationFailedError as failure:
            span.end(failure.why)
            self._note(Finding.CLOUD_FAILED)
            self._note(failure.why)
            return None
        span.end(traces.ANSWERED)
        await self._delivered(generated)
        return generated

    async def _delivered(self, generated: Generated) -> None:
        """Returns once the caller has all of it."""
        for call in with_ids(generated.tool_calls, self._route_id):
            await self._emit(call)
        await self._heard()

    def _make_room(self) -> None:
        """Holds a place in the review queue until the task is filed. Raises OverloadedError where it is full."""
        if not self._has_room:
            self._room.enter_context(self._means.reviews.room(self._accepted.size))
            self._has_room = True

    async def _handed_over(self, decision: RouteDecision) -> Outcome:
        """The task is with a person, on the disk, before anybody hears so."""
        self._why_review = decision.local_reason
        self._make_room()  # where an engine failed first, nobody could tell that it would be needed
        span = self._trace.begin(traces.REVIEW)
        self._filing = self._means.reviews.file(self._route_id, self._accepted, decision)
        await asyncio.shield(self._filing)
        span.end()
        return self._for_a_person()

    async def _is_filed(self) -> bool:
        """Whether the task is with a person; waits for a filing that has begun, whoever gives up meanwhile."""
        if self._filing is None:
            return False
        while not self._filing.done():
            with suppress(asyncio.CancelledError):  # filing is short, and what comes of it must be recorded
                await asyncio.wait([self._filing])
        return self._filing.exception() is None

    def _for_a_person(self) -> Outcome:
        hint = (
            "the task is kept on this device until a person answers it or its retention is over: ask GetReview with "
            f"this route id, or run `homebred review wait {self._route_id}`"
        )
        return self._without_answer("review", NeedsReviewError(self._why_review, hint=hint))

    async def _announce(self, inputs: DecisionInputs, decision: RouteDecision) -> None:
        """The decision is in the ledger before anybody acts on it."""
        supersedes, route_id = self._route_id or self._accepted.rejects, self._means.new_route_id()
        entry = LedgerEntry(route_id=route_id, inputs=inputs, decision=decision, supersedes=supersedes)
        self._route_id, self._owes_outcome = route_id, True  # before the wait: cut short, it is committed all the same
        try:
            await self._means.recorder.decision(entry)
        except HomebredError:
            self._owes_outcome = False
            raise
        self._means.measures.count(measures.DECISIONS, decision.selected_runtime, decision.reason_code)
        self._deciding.end(decision.selected_runtime, decision.reason_code)
        await self._emit(Decided(route_id=route_id, decision=decision, supersedes=supersedes))

    def _note(self, finding: Finding) -> None:
        if finding not in self._findings:
            self._findings.append(finding)

    def _with_answer(self, status: str, generated: Generated) -> Outcome:
        findings = (*generated.findings, *self._findings)
        budget_ms = self._standing.workflow_policy(self._accepted.task.workflow).latency_budget_ms
        if is_slow(self._elapsed_ms(self._means.clock.monotonic_s()), budget_ms):
            findings = (*findings, Finding.SLOW)
        record = self._record(status, generated=generated, findings=findings)
        return Outcome(record=record, weak=is_weak(findings))

    def _without_answer(self, status: str, problem: HomebredError) -> Outcome:
        record = self._record(status, error_code=problem.code, findings=tuple(self._findings))
        return Outcome(record=record, weak=False, problem=problem)

    def _record(
        self,
        status: str,
        *,
        error_code: str = "",
        generated: Generated | None = None,
        findings: tuple[Finding, ...] = (),
    ) -> OutcomeRecord:
        record = OutcomeRecord(
            route_id=self._route_id,
            recorded_at_utc=self._means.clock.now(),
            status=status,
            error_code=error_code,
            findings=tuple(finding.value for finding in findings),
            total_ms=self._elapsed_ms(self._means.clock.monotonic_s()),
        )
        if generated is None:
            return record
        first_s = generated.first_token_s
        return replace(
            record,
            answered_by=generated.specialist_id,
            finish_reason=generated.finish_reason,
            prompt_tokens=generated.usage.prompt_tokens,
            cached_tokens=generated.usage.cached_tokens,
            completion_tokens=generated.usage.completion_tokens,
            first_token_ms=None if first_s is None else self._elapsed_ms(first_s),
            confidence=generated.confidence,
        )

    async def _close_route(self, error_code: str) -> None:
        """The outcome of a decision that another one is about to supersede."""
        self._owes_outcome = False  # before the wait: cut short, it is written all the same
        await self._means.recorder.outcome(self._record("error", error_code=error_code))

    async def _recorded(self, outcome: Outcome) -> Outcome:
        """The outcome once it is in the ledger; where it cannot be stored, the caller hears of that instead."""
        if not self._owes_outcome:
            return outcome  # the decision could not be stored, or another was about to supersede it
        self._owes_outcome = False
        try:
            await self._means.recorder.outcome(outcome.record)
        except HomebredError as error:
            return self._without_answer("error", error)
        return outcome

    def _count(self, record: OutcomeRecord) -> None:
        self._trace.end(record.status)
        self._means.measures.count(measures.TASKS, record.status)
        for finding in record.findings:
            self._means.measures.count(measures.FINDINGS, finding)

    def _elapsed_ms(self, until_s: float) -> float:
        return (until_s - self._started_s) * 1000
