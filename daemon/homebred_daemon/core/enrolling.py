"""What a technician types at enrolment, and what the controller's refusals mean. It sends nothing, keeps no token."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from homebred_protocol.ids import is_device_id, is_label, is_site
from homebred_protocol.limits import MAX_LABELS

TOKEN: Final = re.compile(r"hbt_[A-Za-z2-7]{26,120}")
"""`homebred-fleet tokens create` prints one: base32 of random bytes."""
HOST: Final = re.compile(r"[A-Za-z0-9:]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
_HEX: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A controller's refusal, in words for the technician."""

    what: str
    next: str


ANOTHER: Final = "have the fleet's administrator make another: homebred-fleet tokens create"
REFUSALS: Final[Mapping[str, Refusal]] = MappingProxyType(
    {
        "token_unknown": Refusal(
            what="the controller does not know this token",
            next=f"check that it was copied whole and is of this controller, else {ANOTHER}",
        ),
        "token_used": Refusal(what="this token was used already, and each is good for one device", next=ANOTHER),
        "token_expired": Refusal(what="this token has expired", next=ANOTHER),
        "token_withdrawn": Refusal(what="this token was withdrawn", next=ANOTHER),
        "device_revoked": Refusal(
            what="the controller has revoked this device",
            next="ask the fleet's administrator why; it comes back with a new token: homebred enroll URL --replace",
        ),
        "certificate_needed": Refusal(
            what="the controller does not take this device's certificate any more",
            next="enrol it again with a new token: homebred enroll URL --replace",
        ),
        "rate_limited": Refusal(
            what="the controller has seen too many attempts and takes none for now",
            next="wait a minute, then try again",
        ),
    }
)
"""By the controller's code; another code is shown with the controller's own words."""


def controller_url(text: str) -> str:
    """`https://host[:port]`, whatever of it was typed.

    Raises:
        ValueError: with what is wrong with it.
    """
    typed = text.strip()
    try:
        parts = urlsplit(typed if "://" in typed else f"https://{typed}")
        port = parts.port
    except ValueError:
        raise ValueError("it is no address") from None
    if parts.scheme != "https":
        raise ValueError("it is not https, and a token must not be sent in the clear")
    if not parts.hostname or not HOST.fullmatch(parts.hostname) or port == 0:
        raise ValueError("it has no host")
    if parts.username is not None or parts.query or parts.fragment or parts.path.strip("/"):
        raise ValueError("it is more than a host and a port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"https://{host}" + (f":{port}" if port is not None else "")


def fingerprint(text: str) -> str:
    """`sha256:` and lower-case hexadecimal, whether it was typed with colons, blanks, capitals or without its prefix.

    Raises:
        ValueError: it is none.
    """
    typed = re.sub(r"[\s:]", "", text.strip().lower().removeprefix("sha256").lstrip(":="))
    if not _HEX.fullmatch(typed):
        raise ValueError("it is not 64 hexadecimal digits")
    return f"sha256:{typed}"


def token(text: str) -> str:
    """The token, without blanks around it.

    Raises:
        ValueError: it is none; it is not repeated.
    """
    typed = text.strip()
    if not TOKEN.fullmatch(typed):
        raise ValueError("a token begins with hbt_ and has no blanks")
    return typed


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """What the controller says of a device that it has enrolled: GET /device/v1/enrolment."""

    device_id: str
    site: str
    labels: Mapping[str, str]
    broker_host: str
    broker_port: int
    server_time_s: int


def welcome(answer: Any) -> Welcome:
    """The answer's JSON value, checked.

    Raises:
        ValueError: it is no such answer; the message names the field.
    """
    fields = answer if isinstance(answer, dict) else {}
    wrong = [name for name, fits in _FITS.items() if not fits(fields.get(name))]
    if wrong:
        raise ValueError(", ".join(wrong))
    return Welcome(**{name: fields[name] for name in _FITS})


def _text(fits: Callable[[str], object]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and bool(fits(value))


def _number(below: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and 0 < value < below


def _are_labels(value: Any) -> bool:
    is_small = isinstance(value, dict) and len(value) <= MAX_LABELS
    return is_small and all(isinstance(text, str) and is_label(text) for pair in value.items() for text in pair)


_FITS: Final[Mapping[str, Callable[[Any], bool]]] = MappingProxyType(
    {
        "device_id": _text(is_device_id),
        "site": _text(is_site),
        "labels": _are_labels,
        "broker_host": _text(HOST.fullmatch),
        "broker_port": _number(1 << 16),
        "server_time_s": _number(1 << 40),
    }
)
