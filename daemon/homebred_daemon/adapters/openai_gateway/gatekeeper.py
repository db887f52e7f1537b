"""Who may come in: the names a request may call this host by, the origins it may come from, and the tokens.

A page in a browser gets nothing: it cannot leave out its Origin, and one that had this device's address put under a
name of its own (DNS rebinding) says so in Host. There are no CORS headers at all.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from homebred_daemon.adapters import loopback
from homebred_daemon.adapters.openai_gateway.http_connection import Request
from homebred_daemon.core.callers import TOKEN_PREFIX
from homebred_daemon.errors import ConfigurationError, NotPermittedError, UnattestedError

MIN_TOKEN_CHARACTERS = 24
_BEARER = "Bearer "


class Tokens:
    """The tokens that are known here, each with the name of its caller profile. Only their digests are kept."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        """By name. Raises ConfigurationError for one that could be guessed, and for two that are the same."""
        for name, token in tokens.items():
            if len(token) < MIN_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
                raise ConfigurationError(
                    f"the token of {name} is not {MIN_TOKEN_CHARACTERS} or more characters of ASCII in one word",
                    hint="make one: openssl rand -hex 32",
                )
        if len(set(tokens.values())) < len(tokens):
            raise ConfigurationError(
                "two of the gateway's tokens are the same",
                hint="give each caller one of its own: openssl rand -hex 32",
            )
        self._digests = {name: _digest(token) for name, token in tokens.items()}

    def principal_of(self, token: str) -> str | None:
        """`token:NAME`; None: nobody's. It takes the same time for every token of a length."""
        digest = _digest(token)
        names = [name for name, known in self._digests.items() if hmac.compare_digest(known, digest)]
        return f"{TOKEN_PREFIX}{names[0]}" if names else None


class Gatekeeper:
    """Looks at a request's head."""

    def __init__(self, tokens: Tokens, *, port: int | None, allowed_origins: frozenset[str]) -> None:
        """`port` is the one listened at; None: a Unix socket, which no browser reaches, whatever it is called."""
        self._tokens = tokens
        self._hosts = None if port is None else frozenset(f"{name}:{port}" for name in loopback.NAMES)
        self._allowed_origins = allowed_origins

    def caller_of(self, request: Request) -> tuple[str, ...]:
        """The principals of whoever sent it.

        Raises:
            NotPermittedError: it calls this host by a foreign name, or comes from a foreign origin.
            UnattestedError: it has no token that is known here.
        """
        if self._hosts is not None and (request.header("host") or "").lower() not in self._hosts:
            raise NotPermittedError(
                "the request's Host is no name of this device's loopback with the gateway's port",
                hint="call it by 127.0.0.1, localhost or [::1], and its port; a proxy must set Host so",
            )
        origin = request.header("origin")
        if origin is not None and origin not in self._allowed_origins:
            raise NotPermittedError(
                "the request comes from a page or program of an origin that is not allowed here",
                hint="call from a program that sends no Origin, or have the origin named in gateway.allowed_origins",
            )
        return (self._attested(request.header("authorization") or ""),)

    def _attested(self, authorization: str) -> str:
        token = authorization.removeprefix(_BEARER)
        principal = None if token == authorization else self._tokens.principal_of(token)
        if principal is None:
            raise UnattestedError(
                "the request has no token that this gateway knows",
                hint="send `Authorization: Bearer TOKEN` (OpenAI's clients: api_key) with one of [gateway.tokens]",
            )
        return principal


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
