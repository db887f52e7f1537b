"""`homebred-fleet cohorts`: filters with a name."""

from __future__ import annotations

from typing import Annotated

import typer

from homebred_fleet.cli.asking import ProfileOption, asking
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.showing import show_table, time_text
from homebred_fleet.core.durations import counted

app = typer.Typer(add_completion=False)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and . _ -")]


@app.callback()
def cohorts() -> None:
    """Name filters of devices; who belongs to one is asked anew each time."""


@app.command("list")
def list_(*, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """List cohorts, and how many devices each one means now."""
    found = asking(profile).get("cohorts")
    if as_json:
        write_json(found)
        return
    rows = [(one["name"], one["devices"], time_text(one["created_at_s"]), one["selector"]) for one in found["cohorts"]]
    show_table(("cohort", "devices", "made", "filter"), rows, none="there are no cohorts")


@app.command("set")
def set_(
    name: Name,
    selector: Annotated[str, typer.Argument(metavar="FILTER", help="Such as `label.role==kiosk`.")],
    *,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a cohort, or give one another filter."""
    found = asking(profile).send("PUT", "cohorts", name, body={"selector": selector})
    if as_json:
        write_json(found)
    else:
        typer.echo(f"{name} means {counted(found['devices'], 'device')} now")


@app.command()
def remove(name: Name, *, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Forget a cohort; what was assigned to its devices stays."""
    found = asking(profile).send("DELETE", "cohorts", name)
    if as_json:
        write_json(found)
    else:
        typer.echo(f"{name} is forgotten")
