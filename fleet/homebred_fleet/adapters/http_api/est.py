"""Enrolment over Secure Transport (RFC 7030): authorities, enrolment by a one-time token, renewal by a certificate.

Simple PKI messages alone: a certificate's name is the controller's choice, whatever a request says, so there are no
CSR attributes; keys are the devices' own, so none is made here.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool

from homebred_fleet import messages
from homebred_fleet.adapters.certificate_authority import CertificateAuthority
from homebred_fleet.adapters.http_api.access import device_of
from homebred_fleet.adapters.http_api.connection import address_of, peer_fingerprint
from homebred_fleet.core.attempts import Attempts
from homebred_fleet.core.enrolment import Device
from homebred_fleet.errors import OverloadedError, RequestError, UnauthenticatedError
from homebred_fleet.ports.enrolment import Enrolled, Enrolment, RefusedError
from homebred_fleet.ports.journal import Journal

BODY_WITHIN_S = 15.0
CERTS_ONLY = "application/pkcs7-mime; smime-type=certs-only"
NO_TOKEN = "enrolment needs a token"  # noqa: S105  # a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class EstParts:
    """What the paths work with."""

    enrolment: Enrolment
    authority: Callable[[], CertificateAuthority]
    attempts: Attempts
    """Enrolments that were refused, by address."""
    issued: Attempts
    """Certificates that were made, by device or by token: each is kept, and stands on a list once it is taken back."""
    journal: Journal
    monotonic_s: Callable[[], float] = time.monotonic


def est_router(parts: EstParts) -> APIRouter:
    """The paths under /.well-known/est."""
    router = APIRouter(prefix="/.well-known/est")

    @router.get("/cacerts")
    def authorities() -> Response:
        return _pkcs7(parts.authority().trusted_pkcs7(), "application/pkcs7-mime")

    @router.post("/simpleenroll")
    async def enrol(request: Request) -> Response:
        address = address_of(request)
        wait_s = parts.attempts.wait_s(address, parts.monotonic_s())
        if wait_s:
            raise OverloadedError("too many enrolments from here were refused", retry_after_s=wait_s)
        try:
            token, asked = _token_of(request), await _request_of(request)
            _hold_back(parts, _holder_of(token))
            enrolled = await run_in_threadpool(parts.enrolment.enrol, token, asked)
        except RequestError as error:
            parts.attempts.count(address, parts.monotonic_s())
            parts.journal.note(messages.ENROLMENT_REFUSED, address=address, error_code=error.code)
            raise
        parts.issued.count(_holder_of(token), parts.monotonic_s())
        serial = enrolled.issued.serial
        parts.journal.note(messages.ENROLLED, device=enrolled.device, serial=serial, address=address)
        return _answer(parts, enrolled)

    @router.post("/simplereenroll")
    async def renew(request: Request, device: Annotated[Device, Depends(device_of)]) -> Response:
        _hold_back(parts, device.id)
        asked = await _request_of(request)
        try:
            enrolled = await run_in_threadpool(parts.enrolment.renew, device, asked, shown=peer_fingerprint(request))
        except RefusedError as error:
            parts.journal.note(messages.RENEWAL_REFUSED, device=device.id, error_code=error.code)
            raise
        parts.issued.count(device.id, parts.monotonic_s())
        parts.journal.note(messages.RENEWED, device=device.id, serial=enrolled.issued.serial)
        return _answer(parts, enrolled)

    return router


def _hold_back(parts: EstParts, holder: str) -> None:
    """Who has had certificates without end waits: nobody whose answers were lost had so many. Raises RequestError."""
    wait_s = parts.issued.wait_s(holder, parts.monotonic_s())
    if wait_s:
        raise OverloadedError("too many certificates were made for this device today", retry_after_s=wait_s)


def _holder_of(token: str) -> str:
    """A token's name among those who have had certificates: not itself."""
    return "token-" + hashlib.sha256(token.encode()).hexdigest()


def _answer(parts: EstParts, enrolled: Enrolled) -> Response:
    return _pkcs7(parts.authority().with_chain_pkcs7(enrolled.issued.pem), CERTS_ONLY)


def _pkcs7(body: bytes, media_type: str) -> Response:
    return Response(base64.encodebytes(body), media_type=media_type, headers={"Content-Transfer-Encoding": "base64"})


def _token_of(request: Request) -> str:
    """The token, as the password of HTTP's Basic, whatever the user is called (RFC 7030 §3.2.3), or as a Bearer."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                return base64.b64decode(value.strip(), validate=True).decode("ascii").partition(":")[2]
            except (binascii.Error, ValueError):
                pass
    raise UnauthenticatedError(
        NO_TOKEN, hint="send it as the password of HTTP Basic authentication, or as a Bearer", code="token_unknown"
    )


async def _request_of(request: Request) -> bytes:
    """A certificate request: PKCS#10, DER, in base64 (RFC 7030 §4.2.1). Raises RequestError."""
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            body = await request.body()
    except TimeoutError:
        raise RequestError("the request's body did not come in time", hint="send it again") from None
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise RequestError("the body is not base64", hint="send a PKCS#10 request in DER, base64") from None
