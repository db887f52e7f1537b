"""`homebred-fleet labels`: what devices are called besides their id. A device hears of it with its desired state."""

from __future__ import annotations

from typing import Annotated

import typer

from homebred_fleet.cli.asking import ProfileOption, asking, pairs
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.showing import labels_text

app = typer.Typer(add_completion=False)
Device = Annotated[str, typer.Argument(metavar="DEVICE", help="A device's id.")]


@app.callback()
def labels() -> None:
    """Set and remove labels of a device."""


@app.command("set")
def set_(
    device: Device,
    words: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="Labels; lower case, digits, . _ -")],
    *,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set labels."""
    _change(device, dict(pairs(words)), profile, as_json=as_json)


@app.command()
def remove(
    device: Device,
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Labels to remove.")],
    *,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove labels."""
    _change(device, dict.fromkeys(keys), profile, as_json=as_json)


def _change(device: str, changes: dict[str, str | None], profile: ProfileOption, *, as_json: bool) -> None:
    found = asking(profile).send("PATCH", "devices", device, "labels", body=changes)
    if as_json:
        write_json({"device": device, **found})
    else:
        typer.echo(f"{device}: {labels_text(found['labels']) or 'no labels'}")
