"""HTTPS to the fleet's controller: enrolment and renewal (EST, RFC 7030), documents by digest, files.

Beside the gate the one module that calls out, and only to the address that a technician gave at enrolment: no task, nor
anything of one, ever reaches it. It follows no redirect, heeds no proxy of the environment and leaves no connection
open. Before it sends a token it has verified whom it talks to. `httpx2` and `cryptography` come with the first call.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from homebred_daemon import strict_json
from homebred_daemon.adapters import fleet_tls
from homebred_daemon.adapters.partial_document import PartialDocument
from homebred_daemon.core.enrolling import REFUSALS, Welcome, welcome
from homebred_daemon.errors import (
    ClockWrongError,
    ControllerUnreachableError,
    ControllerUntrustedError,
    EnrolmentRefusedError,
    FleetError,
    NotFoundError,
    StateError,
)
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.identity import Identity, Issued, Membership, PendingKey

if TYPE_CHECKING:
    import httpx2
    from cryptography.x509 import Certificate

EST: Final = "/.well-known/est"
DEVICE_API: Final = "/device/v1"
ENROLMENT: Final = f"{DEVICE_API}/enrolment"
CALL_S: Final = 30.0
"""Longest time of one call, all of it; a document may take as long as bytes come."""
SILENCE_S: Final = 20.0
CONNECT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 262_144
CHUNK_BYTES: Final = 262_144
CLOCKS_APART_S: Final = 300.0
"""From here on it is said that a clock is wrong, where certificates were refused."""
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "homebred"}
_OK, _PARTIAL, _NOT_FOUND, _RANGE_NOT_SATISFIABLE = 200, 206, 404, 416
_REFUSED = frozenset({400, 401, 403, 404, 409, 410, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What whoever answers at the address says of itself, not verified yet."""

    fingerprints: tuple[str, ...]
    """Of the roots that it names."""
    clock_ahead_s: float | None
    """How far its clock is ahead of this device's; None: it did not say."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class ControllerHttps:
    """Fulfils `ports.identity.ControllerLine`, and enrols. One event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def look(self, url: str) -> Look:
        """Who answers there, without believing it: for a person to compare. Raises FleetError."""
        certificates, answer = await self._authorities(url, fleet_tls.unverified())
        from homebred_daemon.adapters.device_certificates import fingerprint, roots  # noqa: PLC0415

        ahead_s = self._ahead_s(answer.headers)
        return Look(fingerprints=tuple(map(fingerprint, roots(certificates))), clock_ahead_s=ahead_s)

    async def clock_ahead_s(self, identity: Identity) -> float | None:
        """How far the controller's clock is ahead of this device's; None: it does not say.

        Raises:
            FleetError: it cannot be reached, or is not believed.
        """
        context = fleet_tls.trusting_of(identity)
        answer = await self._call(context, "GET", f"{identity.membership.controller_url}{EST}/cacerts", {})
        return self._ahead_s(answer.headers)

    async def trusted(self, url: str, pinned: str) -> bytes:
        """The controller's authorities in PEM, once whoever answers has proven to be of the root with the fingerprint.

        Raises:
            ControllerUntrustedError, ClockWrongError, FleetError
        """
        from homebred_daemon.adapters.device_certificates import as_pem, trusted_from  # noqa: PLC0415

        certificates, answer = await self._authorities(url, fleet_tls.unverified())
        first = as_pem(trusted_from(certificates, pinned))
        with self._judging_clocks(answer.headers):
            certificates, _ = await self._authorities(url, fleet_tls.trusting(first))
        return as_pem(certificates)

    async def enrol(self, url: str, authorities_pem: bytes, token: str, pending: PendingKey) -> Issued:
        """A certificate for the key, in exchange for a token (RFC 7030 §4.2). Raises FleetError."""
        basic = base64.b64encode(f"token:{token}".encode()).decode()
        context = fleet_tls.trusting(authorities_pem)
        answer = await self._post_request(url, "simpleenroll", context, pending, {"Authorization": f"Basic {basic}"})
        return await self._issued(url, answer, authorities_pem, pending)

    async def renew(self, identity: Identity, pending: PendingKey) -> Issued:
        """As the port says (RFC 7030 §4.2.2)."""
        url = identity.membership.controller_url
        context = fleet_tls.of_identity(identity)
        try:
            certificates, _ = await self._authorities(url, context)  # a new authority is learnt from a trusted one
        except ControllerUnreachableError:
            await self._authorities(url, fleet_tls.trusting_of(identity))
            raise _certificate_refused("closed") from None  # it answers whoever shows none
        answer = await self._post_request(url, "simplereenroll", context, pending, {})
        from homebred_daemon.adapters.device_certificates import as_pem  # noqa: PLC0415

        issued = await self._issued(url, answer, as_pem(certificates), pending)
        before, after = identity.membership, issued.membership
        if (after.device_id, after.site) != (before.device_id, before.site):  # what a site may be told hangs on both
            raise FleetError("the controller answered for another device or site than this one was enrolled as")
        return replace(issued, membership=replace(after, enrolled_at_s=before.enrolled_at_s))

    async def fetch(self, identity: Identity, digest: str, length: int, into: Path) -> Path:
        """As the port says."""
        document = PartialDocument(into, digest, length)
        url = f"{identity.membership.controller_url}{DEVICE_API}/documents/{digest}"
        try:
            held = await asyncio.to_thread(document.held)
            if held < length or not length:
                await self._fill(document, url, fleet_tls.of_identity(identity), held)
            return await asyncio.to_thread(document.finish)
        except OSError as error:
            raise StateError(
                f"a document could not be kept in {into}: {error.strerror}",
                hint="free disk space; it is tried again, from where it ended",
            ) from error

    async def pieces(self, identity: Identity, path: str) -> AsyncGenerator[bytes]:
        """As `ports.trust.FleetFiles` says."""
        url = f"{identity.membership.controller_url}{DEVICE_API}/{path}"
        async with self._exchange(fleet_tls.of_identity(identity), "GET", url, {}) as response:
            if response.status_code == _NOT_FOUND:
                raise NotFoundError(f"the controller has no {path}")
            if response.status_code != _OK or response.headers.get("content-encoding", "identity") != "identity":
                raise _refusal(await _whole(response))
            async for piece in response.aiter_raw(CHUNK_BYTES):
                yield piece

    async def small_file(self, context: ssl.SSLContext, url: str) -> bytes:
        """A small file whole. Raises FleetError; NotFoundError: there is none."""
        answer = await self._call(context, "GET", url, {})
        if answer.status == _NOT_FOUND:
            raise NotFoundError(f"there is no {url}")
        if answer.status != _OK:
            raise _refusal(answer)
        return answer.body

    async def _fill(self, document: PartialDocument, url: str, context: ssl.SSLContext, held: int) -> None:
        """Fetches what is still missing of a document."""
        headers = {"Range": f"bytes={held}-"} if held else {}
        async with self._exchange(context, "GET", url, headers) as response:
            if response.status_code == _RANGE_NOT_SATISFIABLE:
                await asyncio.to_thread(document.restart)
                raise FleetError("the controller has less of a document than this device", hint="it is fetched anew")
            if response.status_code not in {_OK, _PARTIAL}:
                raise _refusal(await _whole(response))
            if held and response.status_code == _OK:
                await asyncio.to_thread(document.restart)
            async for chunk in response.aiter_raw(CHUNK_BYTES):
                await asyncio.to_thread(document.append, chunk)

    async def _authorities(self, url: str, context: ssl.SSLContext) -> tuple[list[Certificate], _Answer]:
        from homebred_daemon.adapters.device_certificates import certificates_in  # noqa: PLC0415

        answer = await self._call(context, "GET", f"{url}{EST}/cacerts", {})
        if answer.status != _OK:
            raise _refusal(answer)
        return certificates_in(answer.body), answer

    async def _post_request(
        self, url: str, path: str, context: ssl.SSLContext, pending: PendingKey, headers: Mapping[str, str]
    ) -> _Answer:
        body = base64.encodebytes(pending.request_der)
        kind = {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}
        answer = await self._call(context, "POST", f"{url}{EST}/{path}", {**kind, **headers}, body)
        if answer.status != _OK:
            raise _refusal(answer)
        return answer

    async def _issued(self, url: str, answer: _Answer, authorities_pem: bytes, pending: PendingKey) -> Issued:
        """What was issued, checked, with what the controller says to who holds it."""
        from homebred_daemon.adapters.device_certificates import (  # noqa: PLC0415
            as_pem,
            certificates_in,
            common_name,
            facts,
            own_chain,
        )

        chain = own_chain(certificates_in(answer.body), pending.key_pem, authorities_pem, now=self._clock.now())
        context = await asyncio.to_thread(fleet_tls.of_pending, authorities_pem, as_pem(chain), pending)
        told = await self._welcome(url, context)
        if told.device_id != common_name(chain[0]):
            raise FleetError("the controller calls this device by another name than its certificate does")
        membership = Membership(
            device_id=told.device_id,
            site=told.site,
            labels=told.labels,
            controller_url=url,
            broker_host=told.broker_host,
            broker_port=told.broker_port,
            enrolled_at_s=told.server_time_s,
        )
        return Issued(
            certificates_pem=as_pem(chain),
            authorities_pem=authorities_pem,
            facts=facts(chain[0]),
            membership=membership,
        )

    async def _welcome(self, url: str, context: ssl.SSLContext) -> Welcome:
        answer = await self._call(context, "GET", f"{url}{ENROLMENT}", {})
        if answer.status != _OK:
            raise _refusal(answer)
        try:
            return welcome(strict_json.parse(answer.body))
        except ValueError as error:
            raise FleetError(
                f"the controller's answer to a new device cannot be used: {error}",
                hint="update homebred on the older of the two",
            ) from error

    async def _call(
        self, context: ssl.SSLContext, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> _Answer:
        """One call, its answer whole."""
        try:
            async with asyncio.timeout(CALL_S):
                async with self._exchange(context, method, url, headers, body) as response:
                    return await _whole(response)
        except TimeoutError:
            raise ControllerUnreachableError(f"{url} did not answer within {CALL_S:.0f} s") from None

    @asynccontextmanager
    async def _exchange(
        self, context: ssl.SSLContext, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncIterator[httpx2.Response]:
        import httpx2  # noqa: PLC0415

        timeout = httpx2.Timeout(SILENCE_S, connect=CONNECT_S)
        request = httpx2.Request(
            method,
            url,
            headers={**_HEADERS, **headers},
            content=body or None,
            extensions={"timeout": timeout.as_dict()},
        )
        limits = httpx2.Limits(max_keepalive_connections=0)
        async with httpx2.AsyncHTTPTransport(context, trust_env=False, limits=limits) as transport:
            with _in_our_words(url):
                response = await transport.handle_async_request(request)
                try:
                    yield response
                finally:
                    await response.aclose()

    def _ahead_s(self, headers: Mapping[str, str]) -> float | None:
        try:
            said = parsedate_to_datetime(headers.get("date", ""))
        except ValueError:
            return None
        return (said - self._clock.now()).total_seconds() if said.tzinfo is not None else None

    @contextmanager
    def _judging_clocks(self, headers: Mapping[str, str]) -> Iterator[None]:
        """A refused certificate is the clock's fault where the two clocks are far apart."""
        try:
            yield
        except ControllerUntrustedError as error:
            ahead_s = self._ahead_s(headers)
            if ahead_s is None or abs(ahead_s) < CLOCKS_APART_S:
                raise
            now, there = self._clock.now(), datetime.fromtimestamp(self._clock.now().timestamp() + ahead_s, UTC)
            raise ClockWrongError(
                f"the clock here says {now:%Y-%m-%d %H:%M} UTC and the controller's {there:%Y-%m-%d %H:%M}: "
                "certificates cannot be judged"
            ) from error


async def _whole(response: httpx2.Response) -> _Answer:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise FleetError(f"the controller's answer is longer than {MAX_ANSWER_BYTES} bytes")
    return _Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def _refusal(answer: _Answer) -> FleetError:
    """What a status that is no success means."""
    code, message, hint = _told(answer.body)
    known = REFUSALS.get(code)
    if known is not None:
        return EnrolmentRefusedError(known.what, hint=known.next, reason=code)
    said = f": {message}" if message else f" ({answer.status})"
    if answer.status in _REFUSED:
        return EnrolmentRefusedError(f"the controller refuses{said}", hint=hint, reason=code)
    return ControllerUnreachableError(f"the controller cannot answer{said}", hint=hint)


def _told(body: bytes) -> tuple[str, str, str]:
    """Code, message and hint of an error's JSON; empty where it is none."""
    try:
        error: Any = strict_json.parse(body)["error"]
        code, message, hint = (str(error.get(name, "")) for name in ("code", "message", "hint"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", "", ""
    return code[:64], _printable(message), _printable(hint)


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable())[:300]


@contextmanager
def _in_our_words(url: str) -> Iterator[None]:
    import httpx2  # noqa: PLC0415

    try:
        yield
    except (httpx2.RequestError, ssl.SSLError) as error:
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise ControllerUntrustedError(
                    f"the certificate at {url.partition('/.')[0]} is not the controller's: {cause.verify_message}"
                ) from None
            if isinstance(cause, ssl.SSLError) and "ALERT" in str(cause.reason):
                raise _certificate_refused(str(cause.reason)) from None
        why = str(causes[-1]) or type(causes[-1]).__name__
        raise ControllerUnreachableError(f"{url.partition('/.')[0]} cannot be reached: {why}") from None


def _certificate_refused(reason: str) -> EnrolmentRefusedError:
    """TLS 1.3 tells a client so after its handshake: by an alert, or by what a closed pipe leaves of one."""
    what = reason.rpartition("ALERT_")[2].replace("_", " ").lower()
    refusal = REFUSALS["certificate_needed"]
    return EnrolmentRefusedError(f"{refusal.what} ({what})", hint=refusal.next, reason="certificate_needed")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
