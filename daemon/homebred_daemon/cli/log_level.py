"""`homebred log-level`: how much the running daemon writes about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from homebred_daemon.cli.connection import controller
from homebred_daemon.cli.exits import write_json

app = typer.Typer()


@app.command()
def log_level(
    level: Annotated[str, typer.Argument(help="debug, info, warning or error.")],
    *,
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file that names the socket.")] = None,
    socket: Annotated[Path | None, typer.Option("--socket", help="The daemon's socket.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Have the daemon write more or less, until it ends; what it writes never holds a task's content."""
    with controller(socket, config) as daemon:
        previous = daemon.set_log_level(level).previous
    if as_json:
        write_json({"level": level, "previous": previous})
    else:
        typer.echo(f"log level {level}, before {previous}")
