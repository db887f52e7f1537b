"""What a request leads to: who sent it is known, its path has an endpoint, its task is answered. It decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from homebred_daemon.adapters.openai_gateway.answer_forms import ChatForm, CompletionForm, Form
from homebred_daemon.adapters.openai_gateway.chat_request import chat_document
from homebred_daemon.adapters.openai_gateway.completion_request import completion_document
from homebred_daemon.adapters.openai_gateway.embedding_request import embedding_asked
from homebred_daemon.adapters.openai_gateway.failures import error_body, headers_of, status_of
from homebred_daemon.adapters.openai_gateway.gatekeeper import Gatekeeper
from homebred_daemon.adapters.openai_gateway.http_connection import Connection, Request
from homebred_daemon.adapters.openai_gateway.listening import (
    JSON_TYPE,
    Listener,
    StreamListener,
    WholeListener,
    json_bytes,
)
from homebred_daemon.adapters.openai_gateway.parameters import MODEL, WORKFLOW_PREFIX
from homebred_daemon.adapters.openai_gateway.tasks import Content, Reading
from homebred_daemon.core.traces import one_traceparent
from homebred_daemon.errors import HomebredError, NotFoundError, RequestError, UnreadError, defect, release_frames
from homebred_daemon.inbound.answering import Answerer
from homebred_daemon.inbound.embedding import Embedder
from homebred_daemon.inbound.stream_room import StreamRoom

Caller = tuple[str, ...]
_Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """What somebody beside the caller must hear of."""

    refused: Callable[[HomebredError], None]
    """A request that was not let in."""
    unread: Callable[[Caller], None]
    defect: Callable[[BaseException], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    """A path that takes tasks."""

    content: Content
    form: Form


INLINE_BYTES: Final = 65_536
"""Longer bodies are read on a thread."""
_TASKS: Final[Mapping[str, _Endpoint]] = MappingProxyType(
    {
        "/v1/chat/completions": _Endpoint(content=chat_document, form=ChatForm()),
        "/v1/completions": _Endpoint(content=completion_document, form=CompletionForm()),
    }
)


class Gateway:
    """Serves one connection after another."""

    def __init__(
        self,
        answerer: Answerer,
        embedder: Embedder,
        *,
        gatekeeper: Gatekeeper,
        reading: Reading,
        room: StreamRoom,
        reports: Reports,
    ) -> None:
        self._answerer = answerer
        self._embedder = embedder
        self._gatekeeper = gatekeeper
        self._reading = reading
        self._room = room
        self._reports = reports

    async def serve(self, connection: Connection) -> None:
        """Answers the requests of one connection until it ends."""
        while True:
            try:
                request = await connection.next_request()
                if request is None:
                    return
                await self._exchange(connection, request)
            except UnreadError:
                raise
            except RequestError as error:  # nothing was answered yet, and what else the caller sends is unknown
                connection.closes = True
                await refuse(connection, error)
            if connection.closes or not connection.begins_anew():
                return

    async def _exchange(self, connection: Connection, request: Request) -> None:
        """Answers one request. Raises RequestError where it is not let in, or cannot be read."""
        try:
            caller = self._gatekeeper.caller_of(request)
        except RequestError as error:
            self._reports.refused(error)
            raise
        body = await connection.body()
        match request.method, request.path:
            case "GET", "/v1/models":
                await connection.respond(200, [JSON_TYPE], json_bytes(self._models(caller)))
            case "POST", path if path in _TASKS:
                await self._while_there(connection, partial(self._task, connection, request, body, caller))
                if connection.is_unread:
                    self._reports.unread(caller)
            case "POST", "/v1/embeddings":
                await self._while_there(connection, partial(self._embed, connection, request, body, caller))
            case method, path:
                known = ", ".join(("GET /v1/models", *(f"POST {path}" for path in (*_TASKS, "/v1/embeddings"))))
                await refuse(connection, NotFoundError(f"there is no {method} {path}", hint=f"there is {known}"))

    def _models(self, caller: Caller) -> dict[str, Any]:
        names = (MODEL, *(WORKFLOW_PREFIX + name for name in self._reading.workflows_for(caller)))
        models = [{"id": name, "object": "model", "created": 0, "owned_by": MODEL} for name in names]
        return {"object": "list", "data": models}

    async def _while_there(self, connection: Connection, work: _Work) -> None:
        """Works for a caller until it is done, or the caller has left: then the work is cancelled."""
        async with asyncio.TaskGroup() as group:
            working, leaving = group.create_task(work()), group.create_task(connection.gone())
            await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            leaving.cancel()

    async def _task(self, connection: Connection, request: Request, body: bytes, caller: Caller) -> None:
        """Answers a task, or says why not, as long as it is read."""
        with suppress(UnreadError):
            await self._answered(connection, request, body, caller)

    async def _answered(self, connection: Connection, request: Request, body: bytes, caller: Caller) -> None:
        endpoint = _TASKS[request.path]
        listener: Listener | None = None
        try:
            read = partial(self._reading.asked, request, body, caller, endpoint.content)
            asked = await asyncio.to_thread(read) if len(body) > INLINE_BYTES else read()  # files take their time
            listener = (StreamListener if asked.streams else WholeListener)(connection, endpoint.form, asked)
            with self._room.held():
                parent = one_traceparent(text for name, text in request.headers if name == "traceparent")
                task = replace(asked.task, trace_parent=parent)
                await self._answerer.answer(task, listener.hear, listener.has_heard)
            if listener.problem is not None:
                self._note(listener.problem)
        except UnreadError:
            raise
        except HomebredError as error:
            await self._failed(connection, listener, error)
        except Exception as error:  # noqa: BLE001  # our own fault; its words may quote a task
            await self._failed(connection, listener, defect(error))

    async def _embed(self, connection: Connection, request: Request, body: bytes, caller: Caller) -> None:
        """Turns texts into vectors, or says why not."""
        try:
            asked = embedding_asked(self._reading, request, body, caller)
            embeddings = await self._embedder.embed(asked.task)
            await connection.respond(200, [JSON_TYPE], json_bytes(asked.answer(embeddings)))
        except UnreadError:
            return
        except HomebredError as error:
            await self._failed(connection, None, error)
        except Exception as error:  # noqa: BLE001  # our own fault; its words may quote a text
            self._reports.defect(error)
            await self._failed(connection, None, defect(error))

    async def _failed(self, connection: Connection, listener: Listener | None, error: HomebredError) -> None:
        try:
            await (refuse(connection, error) if listener is None else listener.fail(error))
        finally:
            self._note(error)

    def _note(self, told: HomebredError) -> None:
        """Reports a fault of our own behind what a caller was told."""
        if type(told) is HomebredError and told.__cause__ is not None:
            self._reports.defect(told.__cause__)
        release_frames(told)


async def refuse(connection: Connection, error: HomebredError) -> None:
    """Answers with an error."""
    await connection.respond(status_of(error), [JSON_TYPE, *headers_of(error)], json_bytes(error_body(error)))
