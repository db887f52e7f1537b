"""Asks a stack of specialists for one answer: the smaller ones held back until verified, the last one streamed.

It decides no route and records nothing. An answer that must fit a schema or keep to constraints is held back until it
does, and asked for again where it does not; a failure before anything was streamed is an AttemptFailedError, after that
it is final.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace

from homebred_daemon.core import measures, traces
from homebred_daemon.core.asking_again import Ask, is_asked_again, summed
from homebred_daemon.core.cascade import Turn
from homebred_daemon.core.constraints import what_breaks
from homebred_daemon.core.documents import with_documents
from homebred_daemon.core.prompting import messages_for_chat, options_for
from homebred_daemon.core.tool_calls import misfit
from homebred_daemon.core.verification import Answer, Finding, is_weak, verify
from homebred_daemon.errors import EngineUnavailableError, OverloadedError, RequestError
from homebred_daemon.inbound.answering import AcceptedTask, Emit
from homebred_daemon.ports.engines import Prompt
from homebred_daemon.ports.measures import Observe
from homebred_daemon.ports.tracing import UNTRACED, TaskTrace
from homebred_daemon.services.cascading import Cascading
from homebred_daemon.services.standing import Means, Served, Standing
from homebred_engines import api

SCHEMA_INVALID = "schema_invalid"
"""Why an answer ended whose text or tool calls do not fit what was asked."""


class AttemptFailedError(Exception):
    """A specialist failed before anything of its answer was streamed: the task may be decided again."""

    def __init__(self, specialist_id: str, code: str, why: str) -> None:
        self.specialist_id = specialist_id
        self.code = code
        super().__init__(f"{specialist_id}: {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """A finished generation with what verification found."""

    specialist_id: str
    text: str
    finish_reason: str
    usage: api.Usage
    first_token_s: float | None
    """Monotonic time of the first text; None: there was none."""
    confidence: float | None
    findings: tuple[Finding, ...]
    tool_calls: tuple[api.ToolCall, ...] = ()
    """Those that can be made; the caller has yet to hear of them."""


class Asking:
    """Asks specialists on behalf of one task."""

    def __init__(
        self,
        standing: Standing,
        accepted: AcceptedTask,
        means: Means,
        emit: Emit,
        *,
        route_id: str,
        cascading: Cascading,
        trace: TaskTrace = UNTRACED,
    ) -> None:
        self._standing = standing
        self._accepted = accepted
        self._means = means
        self._emit = emit
        self._route_id = route_id
        self._cascading = cascading
        self._trace = trace
        self._turns = with_documents(accepted.turns, accepted.content.documents)
        self._minimum_confidence = standing.workflow_policy(accepted.task.workflow).minimum_confidence

    async def ask(self, stack: tuple[str, ...]) -> Generated:
        """The first answer of the stack that withstands verification, else the last one.

        Raises:
            AttemptFailedError: the last specialist failed and nothing was streamed.
            RequestError, OverloadedError: no specialist would do better.
            EngineUnavailableError: the engine broke after streaming had begun.
        """
        rest = self._cascading.begun(stack)
        while (turn := self._cascading.next_turn(rest)).specialist_id != rest[-1]:
            if (generated := await self._tried(turn)) is not None:
                await self._emit_held(generated)
                return generated
            rest = rest[rest.index(turn.specialist_id) + 1 :]
        return await self._generate_last(turn)

    async def _tried(self, turn: Turn) -> Generated | None:
        """A smaller specialist's answer, unshown; None: there is none in time that withstands verification.

        The next specialist is the answer to that; the cascade's last one reports its own failure.
        """
        try:
            async with asyncio.timeout(turn.seconds):
                generated, _ = await self._generate(turn, held=True)
        except (AttemptFailedError, TimeoutError):
            return None
        return None if is_weak(generated.findings) else generated

    async def _generate_last(self, turn: Turn) -> Generated:
        options = self._options(self._served(turn.specialist_id))
        must_fit = bool(options.json_schema) or options.tool_choice not in ("auto", "none")
        generated, held = await self._generate(turn, held=must_fit or self._accepted.constraints.are_set)
        if held:
            if must_fit and Finding.SCHEMA_INVALID in generated.findings:
                raise AttemptFailedError(turn.specialist_id, "schema_invalid", "its answer does not fit the schema")
            await self._emit_held(generated)
        return generated

    async def _emit_held(self, generated: Generated) -> None:
        if generated.text:
            await self._emit(generated.text)

    async def _generate(self, turn: Turn, *, held: bool) -> tuple[Generated, bool]:
        """A specialist's answer, asked for again while it does not fit, and whether its text was kept back."""
        specialist_id = turn.specialist_id
        ask, spent, asks = self._first_ask(specialist_id), api.Usage(), 0
        while True:
            ask, collected = await self._counted(specialist_id, ask, held=held)
            held, asks, said = held or bool(ask.in_words), asks + 1, "".join(collected.text)
            spent = summed(spent, collected.end.usage)
            generated, complaint = self._verified(specialist_id, ask, collected)
            was_shown = bool(said) and not held
            may_ask = asks < turn.calls
            if not (may_ask and is_asked_again(complaint, collected.end.reason, asks=asks, was_shown=was_shown)):
                return replace(generated, usage=spent), held
            ask = ask.again(said, collected.end.tool_calls, complaint)

    async def _counted(self, specialist_id: str, ask: Ask, *, held: bool) -> tuple[Ask, Collected]:
        """One generation, which the budget of a cascade hears of, however it ends."""
        began_s = self._means.clock.monotonic_s()
        try:
            return await self._collect(specialist_id, ask, held=held)
        finally:
            self._cascading.called(specialist_id, self._means.clock.monotonic_s() - began_s)

    def _first_ask(self, specialist_id: str) -> Ask:
        served = self._served(specialist_id)
        if self._accepted.content.requires:
            raise AttemptFailedError(specialist_id, "unsupported_attachment", "no engine takes sound or pictures yet")
        messages = messages_for_chat(served.manifest, self._turns)
        return Ask(messages=messages, options=self._options(served))

    async def _collect(self, specialist_id: str, ask: Ask, *, held: bool) -> tuple[Ask, Collected]:
        """One generation, and what was asked of the engine in the end; `held` keeps its text back."""
        held, heard = held or bool(ask.in_words), self._means.measures
        collected = Collected(
            self._means.clock.monotonic_s(),
            first=heard.observer(measures.FIRST_TOKEN_SECONDS, specialist_id),
            between=heard.observer(measures.INTER_TOKEN_SECONDS, specialist_id),
        )
        try:
            with self._traced(specialist_id, collected):
                async with aclosing(self._stream(specialist_id, ask)) as events:
                    async for event in events:
                        collected.add(event, self._means.clock.monotonic_s())
                        if isinstance(event, api.Delta) and event.text and not held:
                            await self._emit(event.text)
        except api.UnsupportedOptionError as error:
            if (otherwise := ask.without(error.option)) is None:
                raise self._meaning(error, specialist_id, streamed=False) from error
            return await self._collect(specialist_id, otherwise, held=held)
        except api.EngineError as error:
            raise self._meaning(error, specialist_id, streamed=bool(collected.text) and not held) from error
        if collected.end.reason is api.FinishReason.CANCELLED:
            cut_off = api.EngineFailedError("Its model was unloaded while it answered.")
            raise self._meaning(cut_off, specialist_id, streamed=bool(collected.text) and not held)
        self._count_tokens(specialist_id, collected.end.usage)
        return ask, collected

    @contextmanager
    def _traced(self, specialist_id: str, collected: Collected) -> Iterator[None]:
        """Tells of a generation, however it ends."""
        engine, finish = self._served(specialist_id).manifest.engine, traces.FAILED
        span = self._trace.begin(traces.GENERATE)
        try:
            yield
            finish = collected.end.reason.value
        finally:
            span.end(engine, finish)
        first_s, usage = collected.first_s or self._means.clock.monotonic_s(), collected.end.usage
        computing_s = first_s - usage.prompt_s
        self._trace.add(traces.QUEUE, engine, begun_s=computing_s - usage.queued_s, ended_s=computing_s)

    def _count_tokens(self, specialist_id: str, usage: api.Usage) -> None:
        count = self._means.measures.count
        count(measures.TOKENS, specialist_id, "in", by=usage.prompt_tokens)
        count(measures.TOKENS, specialist_id, "cached", by=usage.cached_tokens)
        count(measures.TOKENS, specialist_id, "out", by=usage.completion_tokens)

    def _stream(self, specialist_id: str, ask: Ask) -> AsyncGenerator[api.Event, None]:
        served = self._served(specialist_id)
        prompt = Prompt(
            request_id=self._route_id,
            fairness_key=self._accepted.caller[0] if self._accepted.caller else "",
            messages=ask.engine_messages(),
            options=ask.engine_options(),
            adapter=served.adapter,
        )
        return self._means.pool.generate(served.model, prompt)

    def _served(self, specialist_id: str) -> Served:
        served = self._standing.specialists.get(specialist_id)
        if served is None:
            raise AttemptFailedError(specialist_id, "not_served", "it is in the registry but not on this device")
        return served

    def _options(self, served: Served) -> api.GenerateOptions:
        options = options_for(served.manifest, self._accepted.options)
        return replace(options, logprobs=True) if self._minimum_confidence is not None else options

    def _verified(self, specialist_id: str, ask: Ask, collected: Collected) -> tuple[Generated, str]:
        """The answer with what verification found, and what there is to say to a model whose answer does not fit."""
        options, problem = ask.options, self._means.schemas.problem
        said = ask.read("".join(collected.text), collected.end)
        schema = "" if said.calls else options.json_schema
        of_text = problem(said.text, schema) if schema else ""
        of_constraints = (
            "" if said.calls else what_breaks(self._accepted.constraints, said.text, self._means.schemas.matches)
        )
        of_calls = "a call of a tool is not in its form" if said.is_half_call else misfit(said.calls, options, problem)
        answer = Answer(
            text=said.text,
            has_tool_calls=bool(said.calls),
            truncated=said.reason is api.FinishReason.LENGTH,
            fits_schema=not of_text if schema else None,
            fits_tools=not of_calls,
            keeps_constraints=not of_constraints,
            confidence=collected.confidence(),
        )
        findings = verify(answer, minimum_confidence=self._minimum_confidence)
        is_unfit = Finding.SCHEMA_INVALID in findings
        generated = Generated(
            specialist_id=specialist_id,
            text=said.text,
            finish_reason=SCHEMA_INVALID if is_unfit else said.reason.value,
            usage=collected.end.usage,
            first_token_s=collected.first_s,
            confidence=answer.confidence,
            findings=findings,
            tool_calls=() if is_unfit else said.calls,
        )
        return generated, of_calls or of_text or of_constraints

    def _meaning(self, error: api.EngineError, specialist_id: str, *, streamed: bool) -> Exception:
        """What an engine's error means for the task."""
        said = f"{error.what} {error.why}"
        if isinstance(error, api.QueueFullError):
            return OverloadedError(said, hint=error.hint, retry_after_s=error.retry_after_s)
        if isinstance(error, api.InvalidRequestError | api.UnsupportedOptionError):
            return RequestError(said, hint=error.hint)
        if streamed:
            return EngineUnavailableError(f"the engine broke off in the middle of the answer: {said}")
        return AttemptFailedError(specialist_id, error.code, said)


class Collected:
    """What a generation has said so far."""

    def __init__(self, asked_s: float, *, first: Observe, between: Observe) -> None:
        """`first` hears how long the first text took since it was asked for, `between` how long each further one."""
        self.text: list[str] = []
        self.end = api.Finished(reason=api.FinishReason.CANCELLED, usage=api.Usage())
        """Cancelled, while none has come."""
        self.first_s: float | None = None
        self._last_s = asked_s
        self._first = first
        self._between = between
        self._probability = 0.0
        self._tokens = 0

    def add(self, event: api.Event, now_s: float) -> None:
        """Takes one event in."""
        if isinstance(event, api.Finished):
            self.end = event
            return
        if event.text:
            self.text.append(event.text)
            took_s, self._last_s = now_s - self._last_s, now_s
            if self.first_s is None:
                self.first_s = now_s
                self._first(took_s)
            else:
                self._between(took_s)
        for token in event.logprobs:
            self._probability += math.exp(token.logprob)
            self._tokens += 1

    def confidence(self) -> float | None:
        """Mean token probability; None where none was measured."""
        return self._probability / self._tokens if self._tokens else None
