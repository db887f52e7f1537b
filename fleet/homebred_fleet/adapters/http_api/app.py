"""The application that the HTTPS server runs: routers, one form of errors, bounded bodies (bodies.py).

Every refusal is `{"error": {"code", "message", "hint"}}`. No words of an exception that was not meant for people leave.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from homebred_fleet.adapters.http_api.access import Access
from homebred_fleet.adapters.http_api.bodies import DOCUMENTS_WITHIN_S, Bound, BoundedBodies
from homebred_fleet.errors import FleetError, OverloadedError, RequestError

STATUS = {
    "bad_request": HTTPStatus.BAD_REQUEST,
    "token_unknown": HTTPStatus.UNAUTHORIZED,
    "token_used": HTTPStatus.UNAUTHORIZED,
    "token_expired": HTTPStatus.UNAUTHORIZED,
    "token_withdrawn": HTTPStatus.UNAUTHORIZED,
    "certificate_needed": HTTPStatus.UNAUTHORIZED,
    "device_revoked": HTTPStatus.FORBIDDEN,
    "not_permitted": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "conflict": HTTPStatus.CONFLICT,
    "not_replaceable": HTTPStatus.CONFLICT,
    "rate_limited": HTTPStatus.TOO_MANY_REQUESTS,
    "no_room": HTTPStatus.INSUFFICIENT_STORAGE,
    "being_read": HTTPStatus.CONFLICT,
    "store_busy": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""HTTP status by error code; a request's own error of another code is 400, every other is 500."""
HTTP_ERRORS = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "bad_request",
    HTTPStatus.REQUEST_TIMEOUT: "bad_request",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_long",
}
"""What FastAPI itself refuses."""


def make_app(access: Access, routers: Iterable[APIRouter], *, max_body_bytes: int) -> FastAPI:
    """The application.

    Args:
        access: recognises devices and admins (`access.device_of`, `access.admin_of`).
        routers: the paths, with their own prefixes.
        max_body_bytes: longest document that an admin sends.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.access = access
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(FleetError, _fleet_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    for status in HTTP_ERRORS:
        app.add_exception_handler(status, _http_error)
    app.add_exception_handler(Exception, _defect)
    app.add_middleware(
        BoundedBodies,
        recognise=access.admin,
        refused=_fleet_error,
        documents=Bound(max_bytes=max_body_bytes, within_s=DOCUMENTS_WITHIN_S),
    )
    return app


def error_response(status: int, code: str, message: str, hint: str) -> JSONResponse:
    """An error in the one form that there is."""
    return JSONResponse({"error": {"code": code, "message": message, "hint": hint}}, status_code=status)


def _fleet_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FleetError)  # noqa: S101  # registered for it alone
    status = STATUS.get(
        error.code, HTTPStatus.BAD_REQUEST if isinstance(error, RequestError) else HTTPStatus.INTERNAL_SERVER_ERROR
    )
    response = error_response(status, error.code, error.message, error.hint)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Basic realm="homebred enrolment"'
    if isinstance(error, OverloadedError):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for it alone
    places = [".".join(str(part) for part in one["loc"]) + ": " + one["msg"] for one in error.errors()]
    return error_response(HTTPStatus.BAD_REQUEST, "bad_request", "; ".join(places), "correct what is named")


def _http_error(_request: Request, error: Exception) -> JSONResponse:
    status, detail = HTTPStatus(getattr(error, "status_code", 400)), str(getattr(error, "detail", error))
    hint = "see docs/fleet.md for what can be asked"
    response = error_response(status, HTTP_ERRORS.get(status, "bad_request"), detail, hint)
    response.headers.update(getattr(error, "headers", None) or {})
    return response


def _defect(_request: Request, error: Exception) -> JSONResponse:
    return error_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal",
        f"homebred-fleet has a defect ({type(error).__name__})",
        "report it; the controller's log says where it happened",
    )
