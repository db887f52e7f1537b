"""Puts what admins ask into the controller's app."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, FastAPI

from homebred_fleet.adapters.http_api.administration import (
    assigning_routes,
    bundle_routes,
    device_routes,
    publishing_routes,
    receipt_routes,
    release_routes,
    telemetry_routes,
    token_routes,
)
from homebred_fleet.adapters.http_api.administration.context import Administration, attach

PREFIX: Final = "/api/v1"
PARTS: Final = (
    device_routes,
    assigning_routes,
    release_routes,
    publishing_routes,
    receipt_routes,
    bundle_routes,
    telemetry_routes,
    token_routes,
)


def admin_router() -> APIRouter:
    """Everything under PREFIX."""
    router = APIRouter(prefix=PREFIX)
    for part in PARTS:
        router.include_router(part.router)
    return router


def mount(app: FastAPI, administration: Administration) -> None:
    """Has an app serve admins."""
    attach(app, administration)
    app.include_router(admin_router())
