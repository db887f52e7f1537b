"""`homebred feedback`: how good an answer was; evidence for the next specialist."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from homebred_daemon.cli.connection import caller
from homebred_daemon.cli.exits import write_json
from homebred_daemon.errors import RequestError

VERDICTS = ("good", "bad", "corrected")

app = typer.Typer()


@app.command()
def feedback(
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="Route id of an answered task of your own.")],
    verdict: Annotated[str, typer.Argument(help=f"{', '.join(VERDICTS)}.")],
    *,
    output: Annotated[str, typer.Option("--output", help="With `corrected`: what the answer should have been.")] = "",
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file that names the socket.")] = None,
    socket: Annotated[Path | None, typer.Option("--socket", help="The daemon's socket.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say how good an answer was; your last word on it holds."""
    from homebred_protocol.client import Verdict  # noqa: PLC0415  # only where a call is made

    if verdict not in VERDICTS:
        raise RequestError(f"{verdict!r} is no verdict", hint=f"say one of: {', '.join(VERDICTS)}")
    with caller(socket, config) as daemon:
        daemon.feedback(route, Verdict(verdict), corrected_output=output)
    if as_json:
        write_json({"route_id": route, "verdict": verdict})
    else:
        typer.echo(f"taken: {verdict}")
