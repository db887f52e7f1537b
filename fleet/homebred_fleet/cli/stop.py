"""`homebred-fleet stop`: has the whole fleet take nothing new up, until it is lifted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from homebred_fleet.cli.asking import ProfileOption, asking
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.showing import time_text

app = typer.Typer(add_completion=False)
Reason = Annotated[str, typer.Option("--reason", help="One word, such as recall.")]


@app.callback()
def stop() -> None:
    """Stop the whole fleet, or let it go on."""


@app.command()
def status(*, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Show whether a stop is in force; exit status 0 in either case."""
    found = asking(profile).get("stop")
    if as_json:
        write_json(found)
    elif not found["stopped"]:
        typer.echo("no stop is in force")
    else:
        since = time_text(found["issued_at_s"])
        typer.echo(f"a stop is in force since {since} ({found['reason_code']}), epoch {found['epoch']}")
        typer.echo("next: homebred-fleet devices list --filter 'state==enrolled'")
    if not as_json:
        _warn(found)


@app.command()
def on(*, reason: Reason, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Stop: no device takes anything new up."""
    _order(profile, reason, stopped=True, as_json=as_json)


@app.command()
def off(*, reason: Reason, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Lift the stop; needs the role publisher."""
    _order(profile, reason, stopped=False, as_json=as_json)


def _order(profile: Path | None, reason: str, *, stopped: bool, as_json: bool) -> None:
    found = asking(profile).send("PUT", "stop", body={"stopped": stopped, "reason_code": reason})
    if as_json:
        write_json(found)
    else:
        typer.echo(f"the fleet is {'stopped' if stopped else 'let go on'}: epoch {found['epoch']}")
        _warn(found)


def _warn(found: dict[str, Any]) -> None:
    """Devices believe nothing but what the director has signed."""
    if found["unsigned_because"]:
        typer.echo(
            f"warning: no device hears this order before it can be signed: {found['unsigned_because']}", err=True
        )
