"""`homebred-fleet commands`: have devices answer, drain, log more, or gather diagnostics. There is no remote shell."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from homebred_fleet.adapters.admin_client import AdminClient
from homebred_fleet.cli.asking import (
    CohortOption,
    DeviceOption,
    FilterOption,
    LimitOption,
    ProfileOption,
    asking,
    pairs,
    seconds,
    target,
)
from homebred_fleet.cli.exits import Exit, write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.showing import labels_text, show_fields, show_table, time_text
from homebred_fleet.core.command_orders import PARAMETERS
from homebred_fleet.errors import RequestError
from homebred_protocol.compression import CompressionError, decompressed

app = typer.Typer(add_completion=False)
Command = Annotated[str, typer.Argument(metavar="ID", help="What `commands send` printed.")]
OPEN: Final = frozenset({"queued", "sent", "accepted"})
"""Without a word that a person waits for; `waiting` is for somebody at the device."""
MAX_BUNDLE_BYTES: Final = 16 * 1024 * 1024
_POLL_S: Final = 0.5


@app.callback()
def commands() -> None:
    """Give devices commands, and see what became of them."""


@app.command()
def send(
    op: Annotated[str, typer.Argument(metavar="COMMAND", help=", ".join(PARAMETERS))],
    words: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Such as level=debug.")] = None,
    *,
    device: DeviceOption = "",
    filter_text: FilterOption = "",
    cohort: CohortOption = "",
    within: Annotated[str, typer.Option("--within", help="How long it may wait for a device, such as 10m.")] = "1h",
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give devices a command; one that is not begun in time is not begun."""
    body = {
        "op": op,
        "parameters": pairs(words or []),
        "wait_s": seconds(within),
        **target(device, filter_text, cohort),
    }
    found = asking(profile).send("POST", "commands", body=body)
    if as_json:
        write_json(found)
        return
    show_table(("command", "device"), [(one["id"], one["device"]) for one in found["commands"]], none="nobody")
    typer.echo("next: homebred-fleet commands show ID --wait 30")


@app.command("list")
def list_(
    *, device: DeviceOption = "", limit: LimitOption = 100, profile: ProfileOption = None, as_json: JsonOption = False
) -> None:
    """List commands, the newest first."""
    found = asking(profile).get("commands", device=device, limit=min(limit, 1000))
    if as_json:
        write_json(found)
        return
    rows = [
        (one["id"], one["device"], one["op"], one["state"], time_text(one["issued_at_s"]), one["issued_by"])
        for one in found["commands"]
    ]
    show_table(("command", "device", "what", "state", "given", "by"), rows, none="there are no commands")


@app.command()
def show(
    command: Command,
    *,
    wait_s: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for an answer.")] = 0.0,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how a command stands; exit status 1 where it failed, was refused or ran out."""
    found = _answered(asking(profile), command, wait_s)
    if as_json:
        write_json(found)
    else:
        result = found["result"]
        show_fields(
            {
                "command": found["id"],
                "device": found["device"],
                "what": f"{found['op']} {labels_text(found['parameters'])}".rstrip(),
                "state": found["state"],
                "given": f"{time_text(found['issued_at_s'])} by {found['issued_by']}",
                "deadline": time_text(found["deadline_s"]),
                "answered": time_text(found["answered_at_s"]),
                "answer": labels_text(result.get("answer", {})),
                "problem": result.get("problem", ""),
                "attachment": "yes: `homebred-fleet commands fetch`" if found["has_attachment"] else "",
            }
        )
    if found["state"] in {"failed", "refused", "expired"}:
        raise typer.Exit(Exit.NEGATIVE)


@app.command()
def fetch(
    command: Command,
    *,
    save: Annotated[Path, typer.Option("--save", help="File to make; one that is there stays as it is.")],
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Save a diagnostics bundle that somebody at the device has let go."""
    try:
        bundle = decompressed(asking(profile).fetch("commands", command, "attachment"), max_bytes=MAX_BUNDLE_BYTES)
    except CompressionError as error:
        raise RequestError(
            f"what the device sent cannot be read: {error}", hint="ask the device for it again"
        ) from None
    _write_new(save, bundle)
    if as_json:
        write_json({"id": command, "file": str(save), "bytes": len(bundle)})
    else:
        typer.echo(f"{save}: {len(bundle)} bytes")


def _answered(client: AdminClient, command: str, wait_s: float) -> dict[str, Any]:
    give_up_s = time.monotonic() + wait_s
    while True:
        found = client.get("commands", command)
        if found["state"] not in OPEN or time.monotonic() >= give_up_s:
            return found
        time.sleep(_POLL_S)


def _write_new(path: Path, body: bytes) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(body)
    except OSError as error:
        raise RequestError(
            f"{path} cannot be written: {error.strerror}", hint="name a file that is not there"
        ) from None
