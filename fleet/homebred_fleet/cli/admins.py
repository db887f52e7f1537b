"""`homebred-fleet admins`: who administers the fleet; done on the controller's own machine."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from homebred_fleet.app.appointing import appoint
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import ConfigOption, JsonOption, loaded
from homebred_fleet.core.admins import ROLES, Admin

app = typer.Typer(add_completion=False)


@app.callback()
def admins() -> None:
    """Give somebody an admin's certificate, on the controller's machine."""


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and dashes.")],
    *,
    role: Annotated[str, typer.Option(help=f"{', '.join(ROLES)}: each may what those before it may.")] = ROLES[0],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an admin's key, certificate and profile; hand the three files over, and remove them here."""
    appointed = appoint(loaded(config), Admin(name=name, role=role), time.time_ns() // 1_000_000_000)
    if as_json:
        write_json({"name": name, "role": role, "profile": str(appointed.profile)})
    else:
        typer.echo(f"{name} is an admin with the role {role}\nprofile: {appointed.profile}")
