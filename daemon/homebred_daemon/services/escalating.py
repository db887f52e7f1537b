"""Asks a cloud model for one answer: the least of the task goes out masked, the answer comes home restored.

It decides no route and records nothing. An answer that fails on the way is taken back from the caller: whoever is asked
next begins anew.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from homebred_daemon.core.context import MinimumContext, masked, minimum_context
from homebred_daemon.core.pseudonyms import Pseudonyms, TokenError
from homebred_daemon.core.verification import Answer, Finding, verify
from homebred_daemon.errors import DetectionError
from homebred_daemon.inbound.answering import AcceptedTask, Emit, Retracted
from homebred_daemon.ports.cloud import (
    BrokenAnswerError,
    CloudError,
    CloudFinish,
    CloudFinished,
    CloudLane,
    CloudRequest,
    CloudText,
)
from homebred_daemon.services.asking import Generated
from homebred_daemon.services.deciding import Decider
from homebred_daemon.services.standing import Means
from homebred_engines import api

MAX_TOKENS: Final = 1024
"""Of an answer whose caller names no bound."""


def leaving_context(accepted: AcceptedTask) -> MinimumContext:
    """What an escalation needs of a task, as it is; a summary may take its place."""
    return minimum_context(accepted.turns, accepted.options.json_schema)


class EscalationFailedError(Exception):
    """The cloud gave no answer that holds; nothing of it counts."""

    def __init__(self, why: Finding) -> None:
        self.why = why
        super().__init__(why.value)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


class Escalating:
    """One task on its way to a cloud model and back."""

    def __init__(self, lane: CloudLane, decider: Decider, accepted: AcceptedTask, means: Means, emit: Emit) -> None:
        self._lane = lane
        self._decider = decider
        self._accepted = accepted
        self._means = means
        self._emit = emit
        self._said: list[str] = []
        self._shown = False
        self._first_s: float | None = None

    async def ask(
        self, alias: str, context: Callable[[], MinimumContext], *, key: bytes, deadline_s: float
    ) -> Generated:
        """The answer of the cloud model of that alias to a context, which leaves masked.

        It is streamed, unless it must fit a schema. `context` is called on a thread.

        Raises:
            EscalationFailedError: there is none that holds; what was streamed of it has been retracted.
        """
        pseudonyms = Pseudonyms(key)
        try:
            request = await asyncio.to_thread(self._request, alias, context, pseudonyms)  # masking takes its time
        except DetectionError as error:
            raise EscalationFailedError(Finding.UNSEARCHED) from error
        if not _is_json(request.json_schema or "{}"):
            raise EscalationFailedError(Finding.MASKED_SCHEMA)
        restorer, finished = pseudonyms.restorer(), None
        try:
            async with aclosing(self._lane.ask(request, deadline_s=deadline_s)) as events:
                async for event in events:
                    match event:
                        case CloudText(text):
                            await self._show(restorer.feed(text))
                        case CloudFinished():
                            finished = event
            await self._show(restorer.finish())
            if finished is None:
                raise BrokenAnswerError
        except CloudError as error:
            raise await self._failed(Finding(error.code)) from error
        except TokenError as error:
            raise await self._failed(Finding.ALTERED_TOKEN) from error
        return await self._verified(alias, finished, withheld=restorer.withheld)

    def _request(self, alias: str, context: Callable[[], MinimumContext], pseudonyms: Pseudonyms) -> CloudRequest:
        options = self._accepted.options
        leaving = masked(context(), self._decider.leaving_spans, pseudonyms)
        return CloudRequest(
            alias=alias,
            system=leaving.system,
            turns=leaving.turns,
            max_tokens=options.max_tokens or MAX_TOKENS,
            temperature=options.temperature,
            json_schema=leaving.json_schema,
        )

    async def _show(self, piece: str) -> None:
        if not piece:
            return
        self._said.append(piece)
        self._first_s = self._means.clock.monotonic_s() if self._first_s is None else self._first_s
        if not self._accepted.options.json_schema:
            self._shown = True
            await self._emit(piece)

    async def _failed(self, why: Finding) -> EscalationFailedError:
        if self._shown:
            await self._emit(Retracted(code=why.value))
        return EscalationFailedError(why)

    async def _verified(self, alias: str, finished: CloudFinished, *, withheld: int) -> Generated:
        schema, text = self._accepted.options.json_schema, "".join(self._said)
        answer = Answer(
            text=text,
            truncated=finished.reason is CloudFinish.LENGTH,
            fits_schema=self._means.schemas.fits(text, schema) if schema else None,
        )
        findings = verify(answer)
        if finished.reason is CloudFinish.FILTERED:
            raise await self._failed(Finding.CLOUD_FILTERED)
        if Finding.SCHEMA_INVALID in findings:
            raise await self._failed(Finding.CLOUD_UNFIT)
        if schema:
            await self._emit(text)
        return Generated(
            specialist_id=alias,
            text=text,
            finish_reason=finished.reason.value,
            usage=api.Usage(
                prompt_tokens=finished.usage.input_tokens or 0, completion_tokens=finished.usage.output_tokens or 0
            ),
            first_token_s=self._first_s,
            confidence=None,
            findings=(*findings, Finding.WITHHELD) if withheld else findings,
        )
