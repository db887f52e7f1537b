"""`homebred models import`: has the daemon take up what somebody carried here, and says what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homebred_daemon.cli.connection import controller
from homebred_daemon.cli.exits import Exit, write_json

if TYPE_CHECKING:
    from homebred_protocol.v1.control_pb2 import ImportedRelease, ImportReleasesResponse

MEGABYTE = 1_000_000


def import_(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `homebred-fleet bundle make` wrote.")],
    *,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait until each release serves, or is refused.")
    ] = 0.0,
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file.")] = None,
    socket: Annotated[Path | None, typer.Option("--socket", help="The daemon's socket.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> int:
    """Take up a folder that was carried here: the same trust and the same gate as over the network.

    Exit status 1 where something of it is not taken or, with --wait, does not serve.
    """
    shown: dict[str, str] = {}
    state: ImportReleasesResponse | None = None
    with controller(socket, config) as daemon:
        for state in daemon.import_releases(str(folder.absolute()), wait_s=wait_s):
            if not as_json:
                _show(state, shown)
    if state is None:
        raise AssertionError("the daemon always answers once")
    if as_json:
        write_json(_json(state))
    elif not state.releases and not state.not_taken:
        typer.echo("there is nothing in it for this device")
    elif any(not one.ended for one in state.releases):
        typer.echo("next: leave the folder where it is until the bytes are here; homebred models history")
    is_done = all(one.good for one in state.releases) or not wait_s
    return Exit.OK if is_done and not state.not_taken else Exit.NEGATIVE


def _show(state: ImportReleasesResponse, shown: dict[str, str]) -> None:
    """A line for each that has changed, by what it is about."""
    for about, line in _lines(state):
        if shown.get(about) != line:
            shown[about] = line
            typer.echo(line)


def _lines(state: ImportReleasesResponse) -> Iterator[tuple[str, str]]:
    for refused in state.not_taken:
        about = refused.about or "the folder"
        yield about, f"not taken: {about}: {refused.code}: {refused.problem}; {refused.hint}"
    for one in state.releases:
        yield one.target, f"{one.target}: {_state_text(one)}"


def _state_text(one: ImportedRelease) -> str:
    said = one.state
    if one.total_bytes:
        said += f", {one.held_bytes / MEGABYTE:.1f} of {one.total_bytes / MEGABYTE:.1f} MB"
    if one.waits_for:
        said += f", waits: {one.waits_for}"
    elif one.code:
        said += f", {one.code}: {one.reason}"
    if one.ended and one.facts:
        said += "\n  measured  " + " ".join(f"{name}={value}" for name, value in sorted(one.facts.items()))
    return said


def _json(state: ImportReleasesResponse) -> dict[str, Any]:
    return {
        "releases": [
            {
                "target": one.target,
                "state": one.state,
                "code": one.code,
                "reason": one.reason,
                "facts": dict(one.facts),
                "held_bytes": one.held_bytes,
                "total_bytes": one.total_bytes,
                "waits_for": one.waits_for,
                "ended": one.ended,
                "serves": one.good,
            }
            for one in state.releases
        ],
        "not_taken": [
            {"about": one.about, "code": one.code, "problem": one.problem, "hint": one.hint} for one in state.not_taken
        ],
    }
