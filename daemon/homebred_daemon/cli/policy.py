"""homebred policy: prints the default policy, checks one, shows or changes the one that the daemon decides by."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.cli.connection import controller
from homebred_daemon.cli.exits import Exit, write_json
from homebred_daemon.core.sensitivity import ATTACHED_TYPES
from homebred_daemon.document_files import Complaint, built_in_policy, ceiling_document, policy_document
from homebred_daemon.errors import RequestError
from homebred_protocol.documents.policy import advice, bounded

if TYPE_CHECKING:
    from homebred_protocol.v1.control_pb2 import SetPolicyResponse

app = typer.Typer(help="Print, check, show or set the policy.")

ConfigOption = Annotated[Path | None, typer.Option("--config", help="Configuration file that names the socket.")]
SocketOption = Annotated[Path | None, typer.Option("--socket", help="The daemon's socket.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("default")
def default() -> None:
    """Print the policy that holds where a site names none, every key explained."""
    sys.stdout.write(built_in_policy().decode("utf-8"))


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="Policy file (TOML).")],
    *,
    ceiling: Annotated[Path | None, typer.Option(help="Site ceiling file that will bound it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Say what is wrong with a policy, and what a valid one may not have meant; exit status 1 where it is wrong."""
    read = policy_document(file)
    bound = ceiling_document(ceiling) if ceiling is not None else None
    complaints = [*read.complaints, *(bound.complaints if bound is not None else ())]
    holds = read.value
    if holds is not None and bound is not None and bound.value is not None:
        holds = bounded(holds, bound.value)
    warnings = advice(holds, default_detector().entity_types | ATTACHED_TYPES) if holds is not None else ()
    if json:
        problems = [asdict(complaint) for complaint in complaints]
        record = {"file": str(file), "digest": read.digest, "valid": not problems, "problems": problems}
        write_json({**record, "warnings": list(warnings)})
    else:
        _show(file, complaints, warnings)
    return Exit.NEGATIVE if complaints else Exit.OK


@app.command("show")
def show(*, config: ConfigOption = None, socket: SocketOption = None, json: JsonOption = False) -> None:
    """Print the policy that the running daemon decides by, as it was written."""
    with controller(socket, config) as daemon:
        held = daemon.get_policy()
    document = held.document.decode("utf-8")
    if json:
        record = {"digest": held.digest, "origin": held.origin, "ceiling_digest": held.ceiling_digest}
        write_json(record | {"document": document})
        return
    ceiling = f" under the ceiling {held.ceiling_digest}" if held.ceiling_digest else ""
    typer.echo(f"# {held.digest} ({held.origin}){ceiling}", err=True)
    sys.stdout.write(document)


@app.command("set")
def set_policy(
    file: Annotated[Path, typer.Argument(help="Policy file (TOML).")],
    *,
    check_only: Annotated[bool, typer.Option("--check-only", help="Have the daemon look at it, no more.")] = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    json: JsonOption = False,
) -> None:
    """Have the daemon decide by another policy from now on, also after a restart; a wrong one changes nothing."""
    try:
        body = file.read_bytes()
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror}", hint="correct the path") from None
    if not body.strip():
        raise RequestError(f"{file} is empty", hint="to go back to the configured policy, run `homebred policy reset`")
    with controller(socket, config) as daemon:
        change = daemon.set_policy(body, check_only=check_only)
    _show_change(change, in_force=not check_only, json=json)


@app.command("reset")
def reset(*, config: ConfigOption = None, socket: SocketOption = None, json: JsonOption = False) -> None:
    """Go back to the policy that the configuration names, else to the built-in one."""
    with controller(socket, config) as daemon:
        change = daemon.set_policy(b"")
    _show_change(change, in_force=True, json=json)


def _show_change(change: SetPolicyResponse, *, in_force: bool, json: bool) -> None:
    if json:
        record = {"digest": change.digest, "previous_digest": change.previous_digest, "in_force": in_force}
        write_json(record | {"warnings": list(change.warnings)})
        return
    for warning in change.warnings:
        typer.echo(f"warning: {warning}")
    verb = "is" if in_force else "would be"
    typer.echo(f"{change.digest} {verb} in force, in place of {change.previous_digest}")


def _show(file: Path, complaints: list[Complaint], warnings: tuple[str, ...]) -> None:
    for complaint in complaints:
        typer.echo(str(complaint))
    for warning in warnings:
        typer.echo(f"warning: {warning}")
    if not complaints:
        typer.echo(f"{file} is a valid policy")
