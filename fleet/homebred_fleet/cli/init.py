"""`homebred-fleet init`: makes a controller's folder, and says what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from homebred_fleet.adapters.fleet_folder import FleetFolder
from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.app.founding import Founded, Plan, found
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption

app = typer.Typer(add_completion=False)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the controller; made where it is not there.")],
    *,
    host: Annotated[
        list[str] | None,
        typer.Option(help="Name or address by which devices reach this machine, the first one told to them."),
    ] = None,
    http_port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the HTTPS server.")] = 8443,
    broker_port: Annotated[int, typer.Option(min=1, max=65_535, help="TLS port of the broker.")] = 8883,
    admin: Annotated[str, typer.Option(help="Name of the first admin.")] = "admin",
    broker_user: Annotated[
        str, typer.Option(help="User that the broker runs as; by default mosquitto, or whoever runs this.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Make a controller's folder: authority, keys, first admin, broker.

    What is there stays as it is: a folder that was half made is completed.
    """
    plan = Plan(
        hosts=tuple(host or ()), http_port=http_port, broker_port=broker_port, admin=admin, broker_user=broker_user
    )
    there = FleetFolder(folder.absolute())
    founded = found(there, plan, unix_s())
    if as_json:
        made = [str(path) for path in founded.made]
        write_json({"folder": str(there.path), "fingerprint": founded.root_fingerprint, "made": made})
    else:
        typer.echo(_text(there, founded))


def _text(folder: FleetFolder, founded: Founded) -> str:
    done = f"made {len(founded.made)} files in" if founded.made else "nothing is missing in"
    root = folder.root(folder.root_numbers()[-1]).key
    lines = [
        f"{done} {folder.path}",
        "",
        "The fleet's fingerprint, which devices are enrolled with:",
        f"  {founded.root_fingerprint}",
        "",
        "Next:",
        f"  1. mosquitto -c {folder.broker_settings}",
        f"  2. homebred-fleet serve --config {folder.settings}",
        "  3. homebred-fleet tokens create --site SITE          (a token lets one device in, once)",
        f"  4. on the device: homebred enroll {url_of(founded)} --fingerprint {founded.root_fingerprint}",
    ]
    if root.exists():
        lines += ["", f"Take {root} offline: it is needed again only to make another issuer."]
    return "\n".join(lines)


def url_of(founded: Founded) -> str:
    """Where devices find the controller."""
    host = founded.settings.broker_for_devices[0]
    return f"https://{f'[{host}]' if ':' in host else host}:{founded.settings.http.port}"
