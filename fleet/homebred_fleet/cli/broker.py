"""`homebred-fleet broker`: the broker's configuration, as this version has it for these settings."""

from __future__ import annotations

from typing import Annotated

import typer

from homebred_fleet.adapters.fleet_folder import FleetFolder
from homebred_fleet.app.founding import broker_configuration, renew_broker_files
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import ConfigOption, JsonOption, loaded
from homebred_fleet.core.broker_access import access_file

app = typer.Typer(add_completion=False)


@app.callback()
def broker() -> None:
    """Print or write the broker's configuration."""


@app.command("config")
def config_(
    *,
    config: ConfigOption = None,
    write: Annotated[bool, typer.Option("--write", help="Write both files anew; restart the broker after it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print mosquitto's configuration and access file; with --write put them into the controller's folder."""
    settings = loaded(config)
    folder = FleetFolder(settings.paths.folder)
    texts = {folder.broker_settings: broker_configuration(folder, settings), folder.broker_access: access_file()}
    if write:
        renew_broker_files(folder, settings)
    if as_json:
        write_json({"written": write, "files": {str(path): text for path, text in texts.items()}})
    elif write:
        typer.echo("".join(f"wrote {path}\n" for path in texts) + "restart the broker: it reads them at its start")
    else:
        typer.echo("\n".join(f"# --- {path}\n{text}" for path, text in texts.items()))
