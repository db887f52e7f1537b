"""Asks a controller for an admin, over HTTPS with the admin's certificate. One connection a request: it keeps none.

A controller that does not answer, or is not the one of the profile, is told apart from one that refuses.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Final
from urllib.parse import quote, urlencode

from homebred_fleet.adapters.admin_profile import Profile
from homebred_fleet.errors import (
    ConfigurationError,
    ConflictError,
    ControllerUnreachableError,
    FleetError,
    NoRoomError,
    NotFoundError,
    NotPermittedError,
    OverloadedError,
    RequestError,
    StoreBusyError,
    UnauthenticatedError,
)

PREFIX: Final = "/api/v1"
TIMEOUT_S: Final = 30.0
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
MAX_ERROR_BYTES: Final = 65_536
PIECE_BYTES: Final = 1024 * 1024
Params = Mapping[str, str | int | None]
_BY_STATUS: Final[Mapping[int, type[FleetError]]] = {
    400: RequestError,
    401: UnauthenticatedError,
    403: NotPermittedError,
    404: NotFoundError,
    409: ConflictError,
    503: StoreBusyError,
    507: NoRoomError,
}


class AdminClient:
    """One admin at one controller. Every method may raise FleetError, as the controller said it."""

    def __init__(self, profile: Profile, *, timeout_s: float = TIMEOUT_S) -> None:
        """Connects to nothing yet. Raises ConfigurationError."""
        self._profile = profile
        self._timeout_s = timeout_s
        self._context = _context(profile)

    def get(self, *path: str, **params: str | int | None) -> dict[str, Any]:
        """What there is at a path."""
        return self._json("GET", path, params)

    def send(self, method: str, *path: str, body: object = None, within_s: float = 0.0) -> dict[str, Any]:
        """Has something done, told as JSON; `within_s` where its answer may take longer than others."""
        return self._json(method, path, {}, json.dumps(body).encode(), "application/json", within_s=within_s)

    def upload(self, *path: str, body: bytes, **params: str | int | None) -> dict[str, Any]:
        """Sends bytes as they are."""
        return self._json("POST", path, params, body, "application/octet-stream")

    def fetch(self, *path: str) -> bytes:
        """Bytes as they are."""
        return self._ask("GET", path, {}, None, "")

    def stream(self, *path: str, begin: int = 0) -> Iterator[bytes]:
        """Bytes of a file as they come, from an offset on, however many."""
        with closing(self._connection()) as connection:
            try:
                connection.request("GET", _target(path, {}), None, {"Range": f"bytes={begin}-"} if begin else {})
                answer = connection.getresponse()
                if answer.status >= http.client.BAD_REQUEST:
                    raise _refusal(answer.status, answer.read(MAX_ERROR_BYTES), "")
                if begin and answer.headers.get("Content-Range", "").split("-")[0] != f"bytes {begin}":
                    raise ControllerUnreachableError(f"{self._profile.url} gives no part of a file")
                while piece := answer.read(PIECE_BYTES):
                    yield piece
                if answer.length:
                    raise http.client.IncompleteRead(b"", answer.length)
            except (OSError, http.client.HTTPException) as error:
                raise _unreachable(self._profile.url, error) from error

    def pages(self, key: str, place: str, *path: str, limit: int, **params: str | int | None) -> Iterator[Any]:
        """Entries of a list over its pages, at most `limit`; `place` names the next page, asked and answered."""
        left = limit
        at: str | int | None = None
        while left > 0:
            found = self.get(*path, limit=min(left, 1000), **params, **({place: at} if at is not None else {}))
            entries = found[key][:left]
            yield from entries
            left -= len(entries)
            at = found.get(place)
            if at is None or not entries:
                return

    def _json(
        self,
        method: str,
        path: tuple[str, ...],
        params: Params,
        body: bytes | None = None,
        kind: str = "",
        *,
        within_s: float = 0.0,
    ) -> dict[str, Any]:
        answer = self._ask(method, path, params, body, kind, within_s=within_s)
        try:
            found: dict[str, Any] = json.loads(answer)
        except ValueError:
            raise ControllerUnreachableError(
                f"{self._profile.url} does not answer as a controller does", hint="correct `url` in the admin's profile"
            ) from None
        return found

    def _ask(
        self,
        method: str,
        path: tuple[str, ...],
        params: Params,
        body: bytes | None,
        kind: str,
        *,
        within_s: float = 0.0,
    ) -> bytes:
        connection = self._connection(within_s)
        try:
            connection.request(method, _target(path, params), body, {"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            told = answer.read(MAX_ANSWER_BYTES + 1)
            status, retry_after = answer.status, answer.headers.get("Retry-After", "")
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(self._profile.url, error) from error
        finally:
            connection.close()
        if status >= http.client.BAD_REQUEST:
            raise _refusal(status, told, retry_after)
        return told

    def _connection(self, within_s: float = 0.0) -> http.client.HTTPSConnection:
        timeout_s = within_s or self._timeout_s
        return http.client.HTTPSConnection(
            self._profile.host, self._profile.port, timeout=timeout_s, context=self._context
        )


def _target(path: tuple[str, ...], params: Params) -> str:
    query = urlencode({name: value for name, value in params.items() if value not in {None, ""}})
    return PREFIX + "".join(f"/{quote(part, safe='')}" for part in path) + (f"?{query}" if query else "")


def _context(profile: Profile) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(profile.authorities)
        context.load_cert_chain(profile.certificate, profile.key)
    except (OSError, ssl.SSLError) as error:
        names = f"{profile.authorities}, {profile.certificate} and {profile.key}"
        raise ConfigurationError(
            f"the files of the admin's profile cannot be used ({names}): {error.strerror or error}",
            hint="see that they are there, belong together, and that you may read them",
        ) from error
    return context


def _unreachable(url: str, error: Exception) -> ControllerUnreachableError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return ControllerUnreachableError(
            f"{url} shows a certificate that is not your controller's: {error.verify_message}",
            hint="see that `url` and `authorities` of the profile are one controller's, and that this clock is right",
        )
    if isinstance(error, ssl.SSLError):
        return ControllerUnreachableError(
            f"{url} does not accept the connection: {error.reason or error}",
            hint="see that your certificate was issued by this controller and has not run out",
        )
    said = "it gave no answer in time" if isinstance(error, TimeoutError) else (getattr(error, "strerror", "") or error)
    return ControllerUnreachableError(f"the controller at {url} does not answer: {said}")


def _refusal(status: int, told: bytes, retry_after: str) -> FleetError:
    try:
        record = json.loads(told)["error"]
        code, message, hint = (str(record[name]) for name in ("code", "message", "hint"))
    except (ValueError, KeyError, TypeError):
        return FleetError(f"the controller answered {status}", hint="read the controller's log")
    if status == http.client.TOO_MANY_REQUESTS:
        after_s = int(retry_after) if retry_after.isdigit() else 1
        return OverloadedError(message, hint=hint, retry_after_s=after_s)
    return _BY_STATUS.get(status, FleetError)(message, hint=hint, code=code)
