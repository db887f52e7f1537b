"""What stands before a request's body is read: who may send one at all, how long it may be, how long it may take.

FastAPI reads a body, and makes values of it, before it asks whether the one who sends it may: under /api/ that is asked
here, while no byte of it was taken. What an admin's role allows stays the paths' own question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool

from homebred_fleet.adapters.blob_uploads import PIECE_BYTES
from homebred_fleet.adapters.http_api.connection import peer_fingerprint
from homebred_fleet.errors import FleetError

ADMIN_PREFIX = "/api/"
DOCUMENTS_PREFIX = "/api/v1/documents/"
UPLOADS_PREFIXES = ("/api/v1/releases/blobs/", "/api/v1/repositories/files/")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What a body may be."""

    max_bytes: int
    within_s: float
    """From the first look for it to its end; however slowly it comes, its connection is another's again then."""


ANYBODYS = Bound(max_bytes=32_768, within_s=15)
"""Of whoever is not an admin."""
ADMINS = Bound(max_bytes=65_536, within_s=30)
"""Of an admin: JSON, that is read whole and on the loop."""
DOCUMENTS_WITHIN_S = 600.0
UPLOADS = Bound(max_bytes=PIECE_BYTES, within_s=600.0)
"""Of an admin: a piece of a file, that goes to the disk as it comes."""


class BoundedBodies:
    """Refuses who is no admin, and a body once it is too long or takes too long, whatever its head has promised."""

    def __init__(
        self,
        app: Application,
        *,
        recognise: Callable[[str], object],
        refused: Callable[[Request, Exception], Response],
        documents: Bound,
    ) -> None:
        """Puts itself before an application.

        Args:
            app: what is asked then.
            recognise: raises FleetError where no admin shows the certificate of this fingerprint.
            refused: the answer to that.
            documents: bound of an admin's document.
        """
        self._app = app
        self._recognise = recognise
        self._refused = refused
        self._documents = documents

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI's."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith(ADMIN_PREFIX):
            request = Request(scope)
            try:
                await run_in_threadpool(self._recognise, peer_fingerprint(request))
            except FleetError as error:
                await self._refused(request, error)(scope, receive, send)
                return
        await self._app(scope, _bounded(receive, self._bound_of(scope["path"])), send)

    def _bound_of(self, path: str) -> Bound:
        if path.startswith(DOCUMENTS_PREFIX):
            return self._documents
        if path.startswith(UPLOADS_PREFIXES):
            return UPLOADS
        return ADMINS if path.startswith(ADMIN_PREFIX) else ANYBODYS


def _bounded(receive: Receive, bound: Bound) -> Receive:
    loop = asyncio.get_running_loop()
    ends_at: float | None = loop.time() + bound.within_s
    received = 0

    async def bounded() -> Message:
        nonlocal received, ends_at
        try:
            async with asyncio.timeout_at(ends_at):
                message = await receive()
        except TimeoutError:
            raise HTTPException(
                HTTPStatus.REQUEST_TIMEOUT,
                f"a body may take {bound.within_s:g} s",
                headers={"Connection": "close"},  # whoever waits for the rest would hold it
            ) from None
        received += len(message.get("body", b""))
        if received > bound.max_bytes:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body may have {bound.max_bytes} bytes")
        if not message.get("more_body", False):
            ends_at = None  # what is looked for now is the connection's end
        return message

    return bounded
