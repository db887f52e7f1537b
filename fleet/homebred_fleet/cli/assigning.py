"""What `release`, `policy` and `gazetteer` share: a signed target is assigned to devices, or a part is given back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from homebred_fleet.cli.asking import asking
from homebred_fleet.cli.exits import write_json
from homebred_fleet.core.durations import counted
from homebred_fleet.errors import RequestError
from homebred_protocol.targets import Kind, Target, read_target

NEXT = "next: homebred-fleet devices list --filter 'not desired==in_step'"


def target_of(kind: Kind, path: str) -> Target:
    """The target that a path names. Raises RequestError: it is none of this kind."""
    target = read_target(path)
    if target is None or target.kind is not kind:
        raise RequestError(
            f"{path!r} names no {_word(kind)}", hint=f"write such as {kind.value}/clinic-east/main/3.toml"
        )
    return target


def assign(path: str, whom: dict[str, Any], *, profile: Path | None, as_json: bool) -> None:
    """Asks devices to take what is signed under that name."""
    found = asking(profile).send("POST", "releases", "assignments", body={"path": path, **whom})
    if as_json:
        write_json(found)
        return
    typer.echo(f"{found['path']} is assigned to {counted(found['devices'], 'device')}")
    typer.echo(NEXT)


def reset(kind: Kind, whom: dict[str, Any], *, profile: Path | None, as_json: bool) -> None:
    """Gives the part back to the devices' own configuration."""
    found = asking(profile).send("POST", "releases", "resets", body={"kind": _word(kind), **whom})
    if as_json:
        write_json(found)
        return
    typer.echo(f"their own {_word(kind)} is given back to {counted(found['devices'], 'device')}")
    typer.echo(NEXT)


def _word(kind: Kind) -> str:
    return kind.name.lower()
