"""`homebred-fleet tokens`: what lets a device in, once."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.cli.asking import ProfileOption, asking, pairs, seconds
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.showing import ago, labels_text, show_table

app = typer.Typer(add_completion=False)


@app.callback()
def tokens() -> None:
    """Make, list and withdraw enrolment tokens."""


@app.command()
def create(
    *,
    site: Annotated[str, typer.Option("--site", help="Where the device stands; a known device's is its own.")] = "",
    label: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Repeatable.")] = None,
    ttl: Annotated[str, typer.Option("--ttl", help="How long it may be used, such as 2h or 7d.")] = "1d",
    device: Annotated[str, typer.Option("--device", help="Let this device in again, under its own name.")] = "",
    replaces: Annotated[str, typer.Option("--replaces", help="Have a new device take this one's place.")] = "",
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token; it is shown here and never again."""
    body = {"site": site, "labels": pairs(label or []), "device": device, "replaces": replaces, "life_s": seconds(ttl)}
    made = asking(profile).send("POST", "tokens", body=body)
    if as_json:
        write_json(made)
        return
    typer.echo(made["token"])
    sys.stderr.write(f"token {made['id']}: for site {made['site']}, within {ttl}, once\n")
    sys.stderr.write("next:  homebred enroll URL --token-file FILE, on the device\n")


@app.command("list")
def list_(*, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """List tokens, the newest first; none can be used by whoever sees it here."""
    found = asking(profile).get("tokens")
    if as_json:
        write_json(found)
        return
    now_s = unix_s()
    rows = [
        (
            one["id"],
            one["state"],
            one["site"],
            labels_text(one["labels"]),
            one["device"] or (f"replaces {one['replaces']}" if one["replaces"] else "a new one"),
            one["created_by"],
            ago(one["expires_at_s"], now_s),
            one["used_by"],
        )
        for one in found["tokens"]
    ]
    head = ("token", "state", "site", "labels", "device", "made by", "ends", "used by")
    show_table(head, rows, none="there are no tokens")


@app.command()
def withdraw(
    token: Annotated[str, typer.Argument(metavar="ID", help="What `tokens list` calls it.")],
    *,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token useless."""
    found = asking(profile).send("DELETE", "tokens", token)
    if as_json:
        write_json(found)
    else:
        typer.echo(f"{token} is withdrawn" if found["withdrawn"] else f"{token} was used or withdrawn already")
