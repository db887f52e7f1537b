"""`homebred-fleet admins`: who administers the fleet; done on the controller's own machine."""

from __future__ import annotations

from typing import Annotated

import typer

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.app.appointing import appoint, appointed, dismiss
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import ConfigOption, JsonOption, loaded
from homebred_fleet.cli.showing import show_table
from homebred_fleet.core.admins import ROLES, Admin

app = typer.Typer(add_completion=False)


@app.callback()
def admins() -> None:
    """Say who administers the fleet, on the controller's machine."""


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and dashes.")],
    *,
    role: Annotated[str, typer.Option(help=f"{', '.join(ROLES)}: each may what those before it may.")] = ROLES[0],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an admin's key, certificate and profile; hand the three files over, and remove them here."""
    made = appoint(loaded(config), Admin(name=name, role=role), unix_s())
    if as_json:
        write_json({"name": name, "role": role, "profile": str(made.profile)})
    else:
        typer.echo(f"{name} is an admin with the role {role}\nprofile: {made.profile}")


@app.command("list")
def list_(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List admins and their roles."""
    found = appointed(loaded(config))
    if as_json:
        write_json({"admins": [{"name": one.name, "role": one.role} for one in found]})
    else:
        show_table(("admin", "role"), [(one.name, one.role) for one in found], none="there are no admins")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="As `admins list` has it.")],
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the controller know an admin no longer: it refuses their next request."""
    was_one = dismiss(loaded(config), name, unix_s())
    if as_json:
        write_json({"name": name, "removed": was_one})
    else:
        typer.echo(f"{name} is no admin any more" if was_one else f"{name} was removed already")
