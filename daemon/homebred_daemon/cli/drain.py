"""`homebred drain`: has the daemon take no more tasks, before it is stopped or its machine is opened."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from homebred_daemon.cli.connection import controller
from homebred_daemon.cli.exits import Exit, write_json

app = typer.Typer()
POLL_S = 0.2


@app.command()
def drain(
    *,
    resume: Annotated[bool, typer.Option("--resume", help="Take tasks again.")] = False,
    wait_s: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until none is answered.")] = 0.0,
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file that names the socket.")] = None,
    socket: Annotated[Path | None, typer.Option("--socket", help="The daemon's socket.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> int:
    """Take no more tasks; running answers go on. Exit status 1 where some still run when the wait is over."""
    with controller(socket, config) as daemon:
        state = daemon.resume() if resume else daemon.drain()
        deadline_s = time.monotonic() + wait_s
        while not resume and state.streams and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
            state = daemon.drain()
    if as_json:
        write_json({"draining": state.draining, "streams": state.streams})
    else:
        taken = "no more tasks are taken" if state.draining else "tasks are taken"
        typer.echo(f"{taken}; {state.streams} being answered")
    return Exit.NEGATIVE if wait_s and not resume and state.streams else Exit.OK
