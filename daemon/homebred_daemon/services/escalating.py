"""Asks a cloud model for one answer: the least of the task goes out masked, the answer comes home restored.

It decides no route and records nothing. An answer that fails on the way is taken back from the caller: whoever is asked
next begins anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from homebred_daemon.core import measures
from homebred_daemon.core.constraints import what_breaks
from homebred_daemon.core.context import MinimumContext, minimum_context
from homebred_daemon.core.masking import masked
from homebred_daemon.core.pseudonyms import Pseudonyms, Restorer, TokenError
from homebred_daemon.core.tool_calls import ANY_OBJECT, Restored, misfit, restored
from homebred_daemon.core.verification import Answer, Finding, verify
from homebred_daemon.errors import DetectionError, RequestError
from homebred_daemon.inbound.answering import AcceptedTask, Emit, Retracted
from homebred_daemon.ports.cloud import (
    BrokenAnswerError,
    CloudError,
    CloudFinish,
    CloudFinished,
    CloudLane,
    CloudRequest,
    CloudText,
    CloudUsage,
)
from homebred_daemon.services.asking import Generated
from homebred_daemon.services.deciding import Decider
from homebred_daemon.services.standing import Means
from homebred_engines import api
from homebred_engines.tool_prompts import AnswerReading

MAX_TOKENS: Final = 1024
"""Of an answer whose caller names no bound."""
UNFIT: Final = frozenset({Finding.SCHEMA_INVALID, Finding.CONSTRAINT_BROKEN})


def leaving_context(accepted: AcceptedTask) -> MinimumContext:
    """What an escalation needs of a task, as it is; a summary may take its place."""
    return minimum_context(
        accepted.turns,
        accepted.options.json_schema,
        tools=accepted.options.tools,
        tool_choice=accepted.options.tool_choice,
        documents=accepted.content.documents,
        is_searchable=accepted.content.is_searchable,
    )


class EscalationFailedError(Exception):
    """The cloud gave no answer that holds; nothing of it counts."""

    def __init__(self, why: Finding) -> None:
        self.why = why
        super().__init__(why.value)


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

    async def ask(self, alias: str, context: Callable[[], MinimumContext], *, deadline_s: float) -> Generated:
        """The answer of the cloud model of that alias to a context, which leaves masked.

        It is streamed, unless it must fit a schema or keep to constraints. `context` is called on a thread.

        Raises:
            EscalationFailedError: there is none that holds; what was streamed of it has been retracted.
        """
        pseudonyms = Pseudonyms(self._means.sessions.key(self._accepted.caller, self._accepted.session_id))
        try:
            request = await asyncio.to_thread(self._request, alias, context, pseudonyms)  # masking takes its time
        except DetectionError as error:
            raise EscalationFailedError(Finding.UNSEARCHED) from error
        for entity_type, times in pseudonyms.masked_types().items():
            self._means.measures.count(measures.REDACTIONS, entity_type, by=times)
        if not self._has_usable_schemas(request):
            raise EscalationFailedError(Finding.MASKED_SCHEMA)
        restorer = pseudonyms.restorer()
        try:
            finished = await self._streamed(request, restorer, deadline_s=deadline_s)
            home = restored(finished.tool_calls, pseudonyms, local_tools=self._accepted.local_tools)
            if self._accepted.options.json_schema:
                self._restore_held(home, restorer, pseudonyms)
        except CloudError as error:
            raise await self._failed(Finding(error.code)) from error
        except TokenError as error:
            raise await self._failed(Finding.ALTERED_TOKEN) from error
        except (ValueError, RecursionError) as error:  # of its JSON
            raise await self._failed(Finding.CLOUD_UNFIT) from error
        return await self._verified(alias, finished, home, withheld=restorer.withheld + home.withheld)

    async def _streamed(self, request: CloudRequest, restorer: Restorer, *, deadline_s: float) -> CloudFinished:
        """Shows the answer as it comes, up to a stop string; one that must fit a schema is kept as it is.

        Stop strings stay here: they are the caller's words. Raises CloudError, TokenError.
        """
        finished, is_kept = None, bool(self._accepted.options.json_schema)
        stopping = AnswerReading(api.GenerateOptions(stop=self._accepted.options.stop))
        async with aclosing(self._lane.ask(request, deadline_s=deadline_s)) as events:
            async for event in events:
                match event:
                    case CloudText(text):
                        await self._show(text if is_kept else stopping.feed(restorer.feed(text)))
                        if stopping.stopped:
                            return CloudFinished(reason=CloudFinish.STOP, usage=CloudUsage())
                    case CloudFinished():
                        finished = event
        if not is_kept:
            await self._show(stopping.feed(restorer.finish()))
            await self._show(stopping.finish(is_truncated=False))
        if finished is None:
            raise BrokenAnswerError
        if finished.reason is CloudFinish.FILTERED:
            raise await self._failed(Finding.CLOUD_FILTERED)
        return finished

    def _restore_held(self, home: Restored, restorer: Restorer, pseudonyms: Pseudonyms) -> None:
        """Puts values into an answer that must fit a schema. Raises TokenError, ValueError.

        Beside calls of tools it may be prose.
        """
        held = "".join(self._said)
        try:
            self._said = [home.document(held, pseudonyms, may_show=True)]
        except ValueError:
            if not home.calls:
                raise
            self._said = [restorer.feed(held), restorer.finish()]

    def _request(self, alias: str, context: Callable[[], MinimumContext], pseudonyms: Pseudonyms) -> CloudRequest:
        options = self._accepted.options
        leaving = masked(context(), self._decider.leaving_spans, pseudonyms)
        return CloudRequest(
            alias=alias,
            system=leaving.system,
            turns=leaving.turns,
            max_tokens=options.max_tokens or MAX_TOKENS,
            temperature=options.temperature,
            top_p=options.top_p,
            seed=options.seed,
            json_schema=leaving.json_schema,
            tools=leaving.tools,
            tool_choice=leaving.tool_choice,
        )

    def _has_usable_schemas(self, request: CloudRequest) -> bool:
        """Whether masking has left the schemas such: a bound that was taken for a year is a text afterwards."""
        try:
            for schema in (request.json_schema, *(tool.parameters for tool in request.tools)):
                self._means.schemas.check_schema(schema or ANY_OBJECT)
        except RequestError:
            return False
        return True

    async def _show(self, piece: str) -> None:
        if not piece:
            return
        self._said.append(piece)
        self._first_s = self._means.clock.monotonic_s() if self._first_s is None else self._first_s
        if not self._accepted.is_held:
            self._shown = True
            await self._emit(piece)

    async def _failed(self, why: Finding) -> EscalationFailedError:
        if self._shown:
            await self._emit(Retracted(code=why.value))
        return EscalationFailedError(why)

    async def _verified(self, alias: str, finished: CloudFinished, home: Restored, *, withheld: int) -> Generated:
        options, text, schemas = self._accepted.options, "".join(self._said), self._means.schemas
        schema = "" if home.calls else options.json_schema
        self._means.measures.count(measures.CLOUD_TOKENS, alias, "in", by=finished.usage.input_tokens or 0)
        self._means.measures.count(measures.CLOUD_TOKENS, alias, "out", by=finished.usage.output_tokens or 0)
        answer = Answer(
            text=text,
            has_tool_calls=bool(home.calls),
            truncated=finished.reason is CloudFinish.LENGTH,
            fits_schema=schemas.fits(text, schema) if schema else None,
            fits_tools=not misfit(home.calls, options, schemas.problem),
            keeps_constraints=bool(home.calls) or not what_breaks(self._accepted.constraints, text, schemas.matches),
        )
        findings = verify(answer)
        if UNFIT.intersection(findings):
            raise await self._failed(Finding.CLOUD_UNFIT)
        if self._accepted.is_held and text:
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
            tool_calls=home.calls,
            findings=(*findings, Finding.WITHHELD) if withheld else findings,
        )
