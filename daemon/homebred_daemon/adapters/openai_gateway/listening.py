"""Tells one answer's events to its caller: as server-sent events, or whole.

The status goes out with the first piece of the answer, not with the decision: until then an error, or a task that goes
to a person, is a status of its own. What a cloud model says is held back until it holds: what has been sent cannot be
taken back here as it can on gRPC, and no caller is to keep a text that was retracted.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any, Final

from typing_extensions import override

from homebred_daemon.adapters.openai_gateway.answer_forms import (
    REQUEST_ID_HEADER,
    Form,
    Naming,
    decision_header,
    homebred_document,
)
from homebred_daemon.adapters.openai_gateway.failures import error_body, headers_of, status_of
from homebred_daemon.adapters.openai_gateway.http_connection import Connection
from homebred_daemon.adapters.openai_gateway.tasks import Asked
from homebred_daemon.core.decision import Runtime
from homebred_daemon.errors import HomebredError
from homebred_daemon.inbound.answering import AnswerEvent, Decided, Outcome, Retracted
from homebred_engines import api

JSON_TYPE: Final = ("content-type", "application/json")
_STREAM_HEADERS: Final = (("content-type", "text/event-stream"), ("cache-control", "no-store"))
_DONE: Final = b"data: [DONE]\n\n"


def json_bytes(value: object) -> bytes:
    """A body."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Listener(ABC):
    """One answer on its way to its caller; `hear` is its Emit, `has_heard` its Heard."""

    def __init__(self, connection: Connection, form: Form, asked: Asked) -> None:
        self.problem: HomebredError | None = None
        """What the outcome says went wrong."""
        self._connection = connection
        self._form = form
        self._asked = asked
        self._decided: Decided | None = None
        self._named: Naming | None = None
        self._has_begun = False

    async def hear(self, event: AnswerEvent) -> None:
        """Takes an event. Raises what the connection's `write` does."""
        match event:
            case Decided():
                self._decided, self._named = event, self._naming_of(event)
                self._decide(event)
            case str():
                await self._say(event)
            case api.ToolCall():
                await self._call(event)
            case Retracted():
                self._retract()
            case Outcome(problem=None):
                await self._end(event)
            case Outcome(problem=HomebredError() as problem):
                self.problem = problem
                await self.fail(problem, event)

    @abstractmethod
    async def has_heard(self) -> None:
        """Returns once everything said is with the caller. Raises what the connection's `write` does."""

    async def fail(self, error: HomebredError, outcome: Outcome | None = None) -> None:
        """Ends the answer with an error: a status of its own where nothing has been said, else an event."""
        homebred = None if self._decided is None else homebred_document(self._decided, outcome)
        body = error_body(error, homebred)
        if self._has_begun:
            await self._connection.write(_event(body))  # without [DONE]: the answer is not whole
            await self._connection.finish()
        else:
            headers = [JSON_TYPE, *headers_of(error), *self._decision_headers()]
            await self._connection.respond(status_of(error), headers, json_bytes(body))

    @abstractmethod
    def _decide(self, decided: Decided) -> None:
        """Takes a decision."""

    @abstractmethod
    async def _say(self, text: str) -> None:
        """Takes a piece of the answer."""

    @abstractmethod
    async def _call(self, call: api.ToolCall) -> None:
        """Takes a tool to call."""

    @abstractmethod
    def _retract(self) -> None:
        """Takes back what was said."""

    @abstractmethod
    async def _end(self, outcome: Outcome) -> None:
        """Ends the answer."""

    def _decision_headers(self) -> list[tuple[str, str]]:
        if self._decided is None:
            return []
        return [decision_header(self._decided), (REQUEST_ID_HEADER, self._decided.route_id)]

    def _naming_of(self, decided: Decided) -> Naming:
        return Naming(
            route_id=decided.route_id,
            created_s=int(decided.decision.route_created_at_utc.timestamp()),
            model=self._asked.model,
            includes_usage=self._asked.includes_usage,
        )

    def _naming(self) -> tuple[Decided, Naming]:
        if self._decided is None or self._named is None:
            raise AssertionError("an answer follows its decision")
        return self._decided, self._named


class StreamListener(Listener):
    """Tells the answer piece by piece."""

    def __init__(self, connection: Connection, form: Form, asked: Asked) -> None:
        super().__init__(connection, form, asked)
        self._held: list[str] = []
        self._holds = False
        """Whether what is said may still be retracted."""
        self._calls = 0

    @override
    async def has_heard(self) -> None:
        await self._release()
        await self._connection.flushed()

    @override
    def _decide(self, decided: Decided) -> None:
        self._holds = decided.decision.selected_runtime is Runtime.CLOUD_ESCALATION

    @override
    async def _say(self, text: str) -> None:
        if self._holds:
            self._held.append(text)
        else:
            await self._write(text)

    @override
    async def _call(self, call: api.ToolCall) -> None:
        await self._release()
        _, naming = self._naming()
        await self._tell(self._form.tool_call(naming, call, self._calls))
        self._calls += 1

    @override
    def _retract(self) -> None:
        self._held.clear()
        self._holds = False  # whoever is asked now is a specialist here

    @override
    async def _end(self, outcome: Outcome) -> None:
        await self._release()
        decided, naming = self._naming()
        await self._tell(*self._form.closing(naming, outcome, homebred_document(decided, outcome)))
        await self._connection.write(_DONE)
        await self._connection.finish()

    async def _release(self) -> None:
        self._holds = False
        if self._held:
            text = "".join(self._held)
            self._held.clear()
            await self._write(text)

    async def _write(self, text: str) -> None:
        _, naming = self._naming()
        await self._tell(self._form.piece(naming, text))

    async def _tell(self, *values: dict[str, Any]) -> None:
        """Writes events; before the first ones the head of the answer, and what a stream begins with."""
        if not self._has_begun:
            self._has_begun = True
            _, naming = self._naming()
            self._connection.begin(200, [*_STREAM_HEADERS, *self._decision_headers()])
            values = (*self._form.opening(naming), *values)
        await self._connection.write(b"".join(map(_event, values)))


class WholeListener(Listener):
    """Tells the answer once it is whole: what was retracted of it is not in it."""

    def __init__(self, connection: Connection, form: Form, asked: Asked) -> None:
        super().__init__(connection, form, asked)
        self._texts: list[str] = []
        self._calls: list[api.ToolCall] = []

    @override
    async def has_heard(self) -> None:
        """At once: a caller that leaves is noticed, and everything is said with the outcome."""

    @override
    def _decide(self, decided: Decided) -> None:
        """Nothing is said yet that hangs on it."""

    @override
    async def _say(self, text: str) -> None:
        self._texts.append(text)

    @override
    async def _call(self, call: api.ToolCall) -> None:
        self._calls.append(call)

    @override
    def _retract(self) -> None:
        self._texts.clear()
        self._calls.clear()

    @override
    async def _end(self, outcome: Outcome) -> None:
        decided, naming = self._naming()
        homebred = homebred_document(decided, outcome)
        whole = self._form.whole(naming, "".join(self._texts), tuple(self._calls), outcome, homebred)
        await self._connection.respond(200, [JSON_TYPE, *self._decision_headers()], json_bytes(whole))


def _event(value: Any) -> bytes:
    return b"data: " + json_bytes(value) + b"\n\n"
