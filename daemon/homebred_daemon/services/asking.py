"""Asks a stack of specialists for one answer: the smaller ones held back until verified, the last one streamed.

It decides no route and records nothing. An answer that must fit a schema is held back until it does; a failure before
anything was streamed is an AttemptFailedError, after that it is final.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from homebred_daemon.core.documents import with_documents
from homebred_daemon.core.prompting import messages_for_chat, options_for
from homebred_daemon.core.tool_calls import are_fit
from homebred_daemon.core.verification import Answer, Finding, is_weak, verify
from homebred_daemon.errors import EngineUnavailableError, OverloadedError, RequestError
from homebred_daemon.inbound.answering import AcceptedTask, Emit
from homebred_daemon.ports.engines import Prompt
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

    def __init__(self, standing: Standing, accepted: AcceptedTask, means: Means, emit: Emit, route_id: str) -> None:
        self._standing = standing
        self._accepted = accepted
        self._means = means
        self._emit = emit
        self._route_id = route_id
        self._turns = with_documents(accepted.turns, accepted.content.documents)
        self._minimum_confidence = standing.workflow_policy(accepted.task.workflow).minimum_confidence

    async def ask(self, stack: tuple[str, ...]) -> Generated:
        """The first answer of the stack that withstands verification, else the last one.

        Raises:
            AttemptFailedError: the last specialist failed and nothing was streamed.
            RequestError, OverloadedError: no specialist would do better.
            EngineUnavailableError: the engine broke after streaming had begun.
        """
        for specialist_id in stack[:-1]:
            try:
                generated = await self._generate(specialist_id, held=True)
            except AttemptFailedError:
                continue  # the next specialist is the answer to it; the cascade's last one reports its own failure
            if not is_weak(generated.findings):
                await self._emit_held(generated)
                return generated
        return await self._generate_last(stack[-1])

    async def _generate_last(self, specialist_id: str) -> Generated:
        options = self._options(self._served(specialist_id))
        held = bool(options.json_schema) or options.tool_choice not in ("auto", "none")
        generated = await self._generate(specialist_id, held=held)
        if held:
            if Finding.SCHEMA_INVALID in generated.findings:
                raise AttemptFailedError(specialist_id, "schema_invalid", "its answer does not fit the schema")
            await self._emit_held(generated)
        return generated

    async def _emit_held(self, generated: Generated) -> None:
        if generated.text:
            await self._emit(generated.text)

    async def _generate(self, specialist_id: str, *, held: bool) -> Generated:
        """One generation; `held` keeps its text back."""
        collected = _Collected()
        try:
            async with aclosing(self._stream(specialist_id)) as events:
                async for event in events:
                    collected.add(event, self._means.clock.monotonic_s())
                    if isinstance(event, api.Delta) and event.text and not held:
                        await self._emit(event.text)
        except api.EngineError as error:
            raise self._meaning(error, specialist_id, streamed=bool(collected.text) and not held) from error
        if collected.finished is None or collected.finished.reason is api.FinishReason.CANCELLED:
            cut_off = api.EngineFailedError("Its model was unloaded while it answered.")
            raise self._meaning(cut_off, specialist_id, streamed=bool(collected.text) and not held)
        return self._verified(specialist_id, collected, collected.finished)

    def _stream(self, specialist_id: str) -> AsyncGenerator[api.Event, None]:
        served = self._served(specialist_id)
        if self._accepted.content.requires:
            raise AttemptFailedError(specialist_id, "unsupported_attachment", "no engine takes sound or pictures yet")
        prompt = Prompt(
            request_id=self._route_id,
            fairness_key=self._accepted.caller[0] if self._accepted.caller else "",
            messages=messages_for_chat(served.manifest, self._turns),
            options=self._options(served),
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

    def _verified(self, specialist_id: str, collected: _Collected, finished: api.Finished) -> Generated:
        options = self._options(self._served(specialist_id))
        text, calls = "".join(collected.text), finished.tool_calls
        fits, schema = self._means.schemas.fits, "" if calls else options.json_schema
        answer = Answer(
            text=text,
            has_tool_calls=bool(calls),
            truncated=finished.reason is api.FinishReason.LENGTH,
            fits_schema=fits(text, schema) if schema else None,
            fits_tools=are_fit(calls, options, fits),
            confidence=collected.confidence(),
        )
        findings = verify(answer, minimum_confidence=self._minimum_confidence)
        is_unfit = Finding.SCHEMA_INVALID in findings
        return Generated(
            specialist_id=specialist_id,
            text=text,
            finish_reason=SCHEMA_INVALID if is_unfit else finished.reason.value,
            usage=finished.usage,
            first_token_s=collected.first_s,
            confidence=answer.confidence,
            findings=findings,
            tool_calls=() if is_unfit else calls,
        )

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


class _Collected:
    """What a generation has said so far."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.finished: api.Finished | None = None
        self.first_s: float | None = None
        self._probability = 0.0
        self._tokens = 0

    def add(self, event: api.Event, now_s: float) -> None:
        """Takes one event in."""
        if isinstance(event, api.Finished):
            self.finished = event
            return
        if event.text:
            self.text.append(event.text)
            self.first_s = now_s if self.first_s is None else self.first_s
        for token in event.logprobs:
            self._probability += math.exp(token.logprob)
            self._tokens += 1

    def confidence(self) -> float | None:
        """Mean token probability; None where none was measured."""
        return self._probability / self._tokens if self._tokens else None
