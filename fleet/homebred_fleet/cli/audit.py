"""`homebred-fleet audit`: who changed what, and whether that record is whole."""

from __future__ import annotations

import json

import typer

from homebred_fleet.cli.asking import LimitOption, ProfileOption, asking
from homebred_fleet.cli.exits import Exit, write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.showing import short, show_table, time_text

app = typer.Typer(add_completion=False)


@app.callback()
def audit() -> None:
    """See who changed what, and check the record."""


@app.command("list")
def list_(*, limit: LimitOption = 100, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """List changes, the newest first."""
    found = list(asking(profile).pages("audit", "before", "audit", limit=limit))
    if as_json:
        write_json({"audit": found})
        return
    rows = [
        (
            one["number"],
            time_text(one["at_s"]),
            one["actor"],
            one["action"],
            _target(one["target"]),
            json.dumps(one["details"]),
        )
        for one in found
    ]
    show_table(("", "when", "who", "what", "of what", "details"), rows, none="nothing was changed yet")


@app.command()
def verify(*, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Check the record from its first row to its last; exit status 1 where it was changed."""
    found = asking(profile).get("audit", "verification")
    if as_json:
        write_json(found)
    elif found["whole"]:
        typer.echo(f"whole, up to row {found['rows_end']}: {found['digest']}")
        typer.echo("next: keep that digest elsewhere; a cut end shows only against it")
    else:
        typer.echo(f"row {found['first_broken']} is not as it was written, or was put in or taken out")
    if not found["whole"]:
        raise typer.Exit(Exit.NEGATIVE)


def _target(target: str) -> str:
    return short(target) if target.startswith("sha256:") else target
