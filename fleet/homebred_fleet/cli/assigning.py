"""What `policy` and `gazetteer` share: a file is sent, checked and kept, then devices are asked to take it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from homebred_fleet.cli.asking import asking, body_of
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.showing import short
from homebred_fleet.core.durations import counted
from homebred_fleet.core.site_documents import MAX_BYTES


def assign(
    kind: str, file: Path | None, whom: dict[str, Any], *, site: str, profile: Path | None, as_json: bool
) -> None:
    """Assigns a file; without one the part is given back to the devices' own configuration."""
    client = asking(profile)
    digest = ""
    if file is not None:
        digest = client.upload("documents", kind, body=body_of(file, max_bytes=MAX_BYTES[kind]), site=site)["digest"]
    found = client.send("POST", "assignments", body={"kind": kind, "digest": digest, **whom})
    if as_json:
        write_json(found)
        return
    what = f"{kind} {short(digest)} is assigned to" if digest else f"their own {kind} is given back to"
    typer.echo(f"{what} {counted(len(found['versions']), 'device')}")
    typer.echo("next: homebred-fleet devices list --filter 'not desired==in_step'")
