"""How a command asks the controller: by the profile of a flag, the variable or the usual places. And whom it means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from homebred_fleet.adapters.admin_client import AdminClient
from homebred_fleet.adapters.admin_profile import find_profile
from homebred_fleet.core.durations import duration_s
from homebred_fleet.errors import RequestError

ProfileOption = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        help="Admin's profile; HOMEBRED_FLEET_PROFILE, ./admin.toml or /etc/homebred-fleet/admin.toml by default.",
    ),
]
FilterOption = Annotated[
    str, typer.Option("--filter", help="Devices, such as `site==clinic-east and label.role==kiosk`.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="One device, by its id.")]
CohortOption = Annotated[str, typer.Option("--cohort", help="The devices of a cohort, as they are now.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Entries at most.")]
HoursOption = Annotated[int, typer.Option("--hours", min=1, help="How far back.")]


def asking(profile: Path | None) -> AdminClient:
    """Who asks whom. Raises ConfigurationError."""
    return AdminClient(find_profile(profile, os.environ))


def target(device: str, filter_text: str, cohort: str) -> dict[str, Any]:
    """Whom a change concerns, as the API takes it.

    Raises:
        RequestError: none of the three is named, or more than one.
    """
    named = {"device": device, "filter": filter_text, "cohort": cohort}
    given = {name: value for name, value in named.items() if value}
    if len(given) != 1:
        raise RequestError(
            "this needs one of --device, --filter and --cohort", hint="`--filter 'site==*'` means every device"
        )
    return given


def pairs(words: list[str]) -> dict[str, str]:
    """`KEY=VALUE` words. Raises RequestError."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or not value:
            raise RequestError(f"{word!r} is not KEY=VALUE", hint="write such as role=kiosk")
        found[key] = value
    return found


def seconds(text: str) -> int:
    """A length of time such as 90s, 15m, 6h, 2d. Raises RequestError."""
    found = duration_s(text)
    if found is None:
        raise RequestError(f"{text!r} is no length of time", hint="write such as 90s, 15m, 6h or 2d")
    return found


def body_of(file: Path, *, max_bytes: int) -> bytes:
    """A file's bytes. Raises RequestError: it cannot be read, or the controller would not take so many."""
    try:
        with file.open("rb") as opened:
            body = opened.read(max_bytes + 1)
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror}", hint="correct the path") from error
    if len(body) > max_bytes:
        raise RequestError(f"{file} is larger than {max_bytes:,} bytes", hint="leave out what nothing needs")
    return body
