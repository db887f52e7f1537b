"""Enrolment tokens as text: `hbt_` and 32 random bytes in base32. Only their SHA-256 is ever kept. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from homebred_fleet.core.enrolment import Token, problems_of_token
from homebred_fleet.errors import RequestError

PREFIX = "hbt_"
SECRET_BYTES = 32
TOKEN_ID_BYTES = 6
_PADDING = "===="
_LETTERS = 52
"""256 bits of 5 each."""


def token_text(secret: bytes) -> str:
    """What is shown once, to be typed or copied."""
    return PREFIX + base64.b32encode(secret).decode().rstrip("=").lower()


def token_hash(text: str) -> str | None:
    """What a token is known by, hexadecimal; None: the text is no token. Case and spaces around it mean nothing."""
    word = text.strip().lower()
    if not word.startswith(PREFIX) or len(word) != len(PREFIX) + _LETTERS:
        return None
    try:
        secret = base64.b32decode(word.removeprefix(PREFIX).upper() + _PADDING)
    except (binascii.Error, ValueError):
        return None
    return secret_hash(secret)


def secret_hash(secret: bytes) -> str:
    """SHA-256, hexadecimal: 256 random bits need no slow hash."""
    return hashlib.sha256(secret).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that was just made."""

    text: str
    """What is shown once, and kept nowhere."""
    hash: str
    token: Token


def new_token(
    *,
    site: str,
    labels: Mapping[str, str],
    device: str,
    replaces: str,
    life_s: int,
    by: str,
    now_s: int,
    random_bytes: Callable[[int], bytes],
) -> NewToken:
    """Makes a token; whoever has a transaction open keeps it.

    Raises:
        RequestError: it may not be made so.
    """
    problems = problems_of_token(site=site, labels=labels, device=device, replaces=replaces, life_s=life_s)
    if problems:
        raise RequestError("; ".join(problems), hint="correct what is named, and ask again")
    secret = random_bytes(SECRET_BYTES)
    token = Token(
        id=random_bytes(TOKEN_ID_BYTES).hex(),
        site=site,
        labels=labels,
        device=device,
        replaces=replaces,
        created_at_s=now_s,
        created_by=by,
        expires_at_s=now_s + life_s,
    )
    return NewToken(text=token_text(secret), hash=secret_hash(secret), token=token)
