"""One HTTPS connection: shows a request whose certificate its TLS handshake has found in order, and waits for nobody.

uvicorn tells an application nothing of its peer's certificate, and lets a peer take for ever to send a request's head.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from typing import Any

from fastapi import Request
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

PEER = "homebred_peer_fingerprint"
HEAD_WITHIN_S = 15.0
"""A request's head, from the connection's start or the head's own first byte."""


class PeerAwareProtocol(H11Protocol):
    """uvicorn's protocol, with the peer's certificate in the state of each request."""

    _head_deadline: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, PEER: _fingerprint(transport.get_extra_info("ssl_object"))}
        self._expect_head()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_between_requests:
            self._expect_head()
        else:
            self._head_came()

    @property
    def _is_between_requests(self) -> bool:
        cycle: Any = self.cycle
        return cycle is None or bool(cycle.response_complete)

    def _expect_head(self) -> None:
        if self._head_deadline is None:
            self._head_deadline = self.loop.call_later(HEAD_WITHIN_S, self.transport.abort)

    def _head_came(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None


def peer_fingerprint(request: Request) -> str:
    """SHA-256 of the certificate that the peer showed, hexadecimal; empty: it showed none."""
    return str(request.scope.get("state", {}).get(PEER, ""))


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client is not None else "unknown"


def _fingerprint(tls: Any) -> str:
    shown = tls.getpeercert(binary_form=True) if isinstance(tls, ssl.SSLObject) else None
    return hashlib.sha256(shown).hexdigest() if shown else ""
