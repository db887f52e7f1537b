"""homebred config: what settings hold, and where each came from; secrets are masked."""

from __future__ import annotations

import json as json_text
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from homebred_daemon.cli.exits import write_json

app = typer.Typer(help="Show effective settings and where each came from.")


@app.callback()
def config() -> None:
    """Show effective settings and where each came from."""


@app.command("show")
def show(
    *,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file; else HOMEBRED_CONFIG, else the default.")
    ] = None,
    state_dir: Annotated[str | None, typer.Option(help="As homebredd takes it.")] = None,
    runtime_dir: Annotated[str | None, typer.Option(help="As homebredd takes it.")] = None,
    socket: Annotated[str | None, typer.Option(help="As homebredd takes it.")] = None,
    policy: Annotated[str | None, typer.Option(help="As homebredd takes it.")] = None,
    link: Annotated[str | None, typer.Option(help="As homebredd takes it.")] = None,
    log_level: Annotated[str | None, typer.Option(help="As homebredd takes it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print every setting as TOML, with its origin as a comment."""
    from homebred_daemon.config import load_with_origins  # noqa: PLC0415  # pydantic, only where settings are checked

    given = {
        "--state-dir": state_dir,
        "--runtime-dir": runtime_dir,
        "--socket": socket,
        "--policy": policy,
        "--link": link,
        "--log-level": log_level,
    }
    flags = {name: text for name, text in given.items() if text is not None}
    loaded = load_with_origins(config, flags, os.environ)
    values: dict[str, dict[str, Any]] = loaded.settings.model_dump(mode="json")  # this mode masks secrets
    if json:
        settings = {
            f"{section}.{name}": {"value": value, "origin": origin.kind, "place": origin.place}
            for section, table in values.items()
            for name, value in table.items()
            for origin in [loaded.origins[f"{section}.{name}"]]
        }
        write_json({"file": str(loaded.file) if loaded.file is not None else None, "settings": settings})
        return
    for section, table in values.items():
        typer.echo(f"[{section}]")
        tables = {name: value for name, value in table.items() if isinstance(value, dict)}
        for name, value in table.items():
            origin = loaded.origins[f"{section}.{name}"]
            if name not in tables:
                typer.echo(f"{_assignment(name, value):<48}  # {origin.place or origin.kind}")
        for name, inner in tables.items():
            _echo_tables(f"{section}.{name}", inner)
        typer.echo()


def _echo_tables(name: str, tables: dict[str, dict[str, Any]]) -> None:
    for alias, table in tables.items():
        typer.echo(f"[{name}.{json_text.dumps(alias, ensure_ascii=False)}]")
        for key, value in table.items():
            typer.echo(_assignment(key, value))


def _assignment(name: str, value: object) -> str:
    """The setting as TOML, which writes texts and numbers as JSON does and has no word for nothing."""
    return f"# {name} is not set" if value is None else f"{name} = {json_text.dumps(value, ensure_ascii=False)}"
