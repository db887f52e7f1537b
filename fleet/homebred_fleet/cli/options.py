"""Options that several commands have, and how they find the controller's settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from homebred_fleet.settings import Settings

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Settings file; HOMEBRED_FLEET_CONFIG, ./fleet.toml or /etc/homebred-fleet/fleet.toml by default.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def loaded(config: Path | None, flags: Mapping[str, str] | None = None) -> Settings:
    """The settings that hold. Raises ConfigurationError."""
    from homebred_fleet.config import load  # noqa: PLC0415  # pydantic costs two tenths of a second: admins need none

    return load(config, flags or {}, os.environ)
