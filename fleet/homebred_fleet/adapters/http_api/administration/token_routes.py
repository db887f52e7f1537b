"""/api/v1/tokens: what lets devices in."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from homebred_fleet.adapters.http_api.administration.context import May, Parts
from homebred_fleet.adapters.store import identities
from homebred_fleet.core.admins import Admin
from homebred_fleet.core.enrolment import Token
from homebred_protocol.limits import MAX_LABELS

router = APIRouter()


class TokenRequest(BaseModel):
    """A token that is wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    site: str = Field(default="", max_length=32)
    labels: dict[str, str] = Field(default_factory=dict, max_length=MAX_LABELS)
    device: str = Field(default="", max_length=63)
    replaces: str = Field(default="", max_length=63)
    life_s: int = 86_400


@router.get("/tokens")
def list_tokens(_: Annotated[Admin, Depends(May("token.read"))], parts: Parts) -> dict[str, Any]:
    """Every token, the newest first; none can be used by whoever sees it here."""
    now_s = parts.clock()
    with parts.database.reading() as connection:
        return {"tokens": [_shown(one, now_s) for one in identities.list_tokens(connection)]}


@router.post("/tokens")
def create_token(
    doer: Annotated[Admin, Depends(May("token.create"))], parts: Parts, body: TokenRequest
) -> dict[str, Any]:
    """Makes a token; its text is in this answer and never again."""
    text, token = parts.changes.create_token(
        doer, site=body.site, labels=body.labels, device=body.device, replaces=body.replaces, life_s=body.life_s
    )
    return {"token": text, **_shown(token, parts.clock())}


@router.delete("/tokens/{token_id}")
def withdraw_token(
    doer: Annotated[Admin, Depends(May("token.withdraw"))], parts: Parts, token_id: str
) -> dict[str, Any]:
    """Makes a token useless."""
    return {"id": token_id, "withdrawn": parts.changes.withdraw_token(doer, token_id)}


def _shown(token: Token, now_s: int) -> dict[str, Any]:
    shown = asdict(token)
    del shown["used_key"]
    return {**shown, "state": _state(token, now_s)}


def _state(token: Token, now_s: int) -> str:
    if token.used_at_s is not None:
        return "used"
    if token.withdrawn_at_s is not None:
        return "withdrawn"
    return "expired" if now_s >= token.expires_at_s else "open"
