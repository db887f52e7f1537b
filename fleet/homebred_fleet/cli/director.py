"""`homebred-fleet director`: begins the folder with the director's root; all else about it is `repository`'s."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.adapters.tuf_repository.repository import Repository
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.repository import show_status
from homebred_fleet.cli.signing import FolderArgument, ThresholdOption, signing
from homebred_fleet.core.keyholders import Purpose

app = typer.Typer(add_completion=False)


@app.callback()
def director() -> None:
    """Begin the director's root: which key of the controller says what runs now."""


@app.command()
def init(
    folder: FolderArgument,
    *,
    root: Annotated[
        list[Path], typer.Option("--root", help="Public key of a root holder, made `--for director`; once for each.")
    ],
    threshold: ThresholdOption,
    online: Annotated[Path, typer.Option("--online", help="The controller's public key, made `--for online`.")],
    as_json: JsonOption = False,
) -> None:
    """Make the director's first root; then `repository sign` and `repository publish`, as for the image repository."""
    controller = signing([online], Purpose.ONLINE)
    roles = {"root": signing(root, Purpose.DIRECTOR, threshold)}
    made = Repository(folder)
    made.init(Purpose.DIRECTOR, roles | dict.fromkeys(("targets", "snapshot", "timestamp"), controller), unix_s())
    show_status(made, folder, as_json=as_json)
