"""`homebred-fleet serve`: the controller in the foreground."""

from __future__ import annotations

import typer

from homebred_fleet.cli.options import ConfigOption, loaded

app = typer.Typer(add_completion=False)


@app.command()
def serve(config: ConfigOption = None) -> int:
    """Run the controller in the foreground, until SIGTERM or Ctrl-C."""
    settings = loaded(config)
    from homebred_fleet.app.serving import serve as run  # noqa: PLC0415  # everything: only once settings are right

    return run(settings)
