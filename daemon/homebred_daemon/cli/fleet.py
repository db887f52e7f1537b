"""`homebred fleet`: this device's place in its fleet, how to leave it, and what its controller wants to know.

`status`, `leave` and `receipts` need no daemon; bundles of diagnostics wait in the daemon.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homebred_daemon.cli import receipts
from homebred_daemon.cli.connection import controller
from homebred_daemon.cli.exits import Exit, write_json
from homebred_daemon.errors import NotFoundError, RequestError, StateError

if TYPE_CHECKING:
    from homebred_daemon.cli.finding import Finding
    from homebred_daemon.ports.identity import Identity
    from homebred_protocol.client import Control
    from homebred_protocol.v1.control_pb2 import Bundle

FULL_ID = 32
SHORT_ID = 8

app = typer.Typer(help="Show this device's place in its fleet, leave it, and look at what its controller asks for.")
diagnostics = typer.Typer(help="Bundles of diagnostics: nothing leaves before somebody on the site has let it go.")
app.add_typer(diagnostics, name="diagnostics")
app.add_typer(receipts.app, name="receipts")

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file.")]
StateDir = Annotated[str | None, typer.Option("--state-dir", help="The state folder.")]
Socket = Annotated[Path | None, typer.Option("--socket", help="The daemon's socket.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
BundleId = Annotated[str, typer.Argument(metavar="ID", help="The bundle's id, or its first characters.")]


@app.command()
def status(*, config: Config = None, state_dir: StateDir = None, as_json: AsJson = False) -> int:
    """Show who this device is in its fleet, and whether that holds; exit status 1 where it does not, or is in none."""
    from homebred_daemon.cli.finding import ERROR  # noqa: PLC0415
    from homebred_daemon.cli.fleet_checks import fleet_findings  # noqa: PLC0415  # with ssl

    folder = _state_dir(config, state_dir)
    findings = list(fleet_findings(folder, os.environ, datetime.now(UTC)))
    is_member = len(findings) > 1
    if as_json:
        write_json(
            {"enrolled": is_member, **_identity_json(folder, is_member), "findings": [asdict(f) for f in findings]}
        )
    else:
        for finding in findings:
            _show_finding(finding)
    return Exit.OK if is_member and not any(one.status == ERROR for one in findings) else Exit.NEGATIVE


@app.command()
def leave(
    *,
    is_meant: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Forget key and certificate: this device is in no fleet any more. The controller is not told: revoke it there."""
    from homebred_daemon.adapters.identity_files import IdentityFiles  # noqa: PLC0415

    if not is_meant and (as_json or not sys.stdin.isatty()):
        raise RequestError("leaving a fleet cannot be undone", hint="say so with --yes")
    if not is_meant and not typer.confirm("Forget this device's key and certificate?"):
        raise typer.Abort
    was_member = IdentityFiles(_state_dir(config, state_dir), os.environ).forget()
    if as_json:
        write_json({"left": was_member})
        return
    typer.echo("this device has left its fleet" if was_member else "this device was in no fleet")
    if was_member:
        typer.echo(
            "next: systemctl restart homebred, and have the administrator revoke it: homebred-fleet devices revoke"
        )


@diagnostics.command("list")
def list_(*, config: Config = None, socket: Socket = None, as_json: AsJson = False) -> None:
    """List the bundles that wait."""
    with controller(socket, config) as daemon:
        listed = daemon.list_bundles().bundles
    if as_json:
        write_json({"bundles": [_bundle_json(one) for one in listed]})
        return
    for one in listed:
        typer.echo(_line(one))
    typer.echo(f"next: homebred fleet diagnostics show {listed[0].command_id[:SHORT_ID]}" if listed else "none waits")


@diagnostics.command("show")
def show(bundle: BundleId, *, config: Config = None, socket: Socket = None) -> None:
    """Print a bundle, byte for byte as it would leave: JSON."""
    with controller(socket, config) as daemon:
        shown = daemon.show_bundle(_whole_id(daemon, bundle))
    sys.stdout.write(shown.document.decode())


@diagnostics.command("approve")
def approve(bundle: BundleId, *, config: Config = None, socket: Socket = None, as_json: AsJson = False) -> None:
    """Let a bundle leave for the controller."""
    _decide(bundle, config, socket, lets_go=True, as_json=as_json)


@diagnostics.command("refuse")
def refuse(bundle: BundleId, *, config: Config = None, socket: Socket = None, as_json: AsJson = False) -> None:
    """Keep a bundle here: it is deleted, and the controller hears that it was refused."""
    _decide(bundle, config, socket, lets_go=False, as_json=as_json)


def _decide(bundle: str, config: Path | None, socket: Path | None, *, lets_go: bool, as_json: bool) -> None:
    with controller(socket, config) as daemon:
        decided = daemon.decide_bundle(_whole_id(daemon, bundle), lets_go=lets_go).bundle
    if as_json:
        write_json({**_bundle_json(decided), "let_go": lets_go})
    else:
        typer.echo(f"{'let go' if lets_go else 'refused and deleted'}: {_line(decided)}")


def _whole_id(daemon: Control, begin: str) -> str:
    """The bundle that begins so."""
    if len(begin) >= FULL_ID:
        return begin
    found = [one.command_id for one in daemon.list_bundles().bundles if one.command_id.startswith(begin)]
    if len(found) > 1:
        raise RequestError(f"{len(found)} bundles begin with {begin!r}", hint="write more of the id")
    if not found:
        raise NotFoundError(f"no bundle that waits begins with {begin!r}", hint="homebred fleet diagnostics list")
    return found[0]


def _line(bundle: Bundle) -> str:
    made = bundle.made_at_utc.ToDatetime(UTC).isoformat(timespec="minutes")
    return f"{bundle.command_id[:SHORT_ID]}  {made}  {bundle.size_bytes} bytes  asked for by {bundle.issued_by or '?'}"


def _bundle_json(bundle: Bundle) -> dict[str, Any]:
    return {
        "id": bundle.command_id,
        "issued_by": bundle.issued_by,
        "made_at_utc": bundle.made_at_utc.ToDatetime(UTC).isoformat(),
        "size_bytes": bundle.size_bytes,
    }


def _identity_json(folder: Path, is_member: bool) -> dict[str, Any]:  # noqa: FBT001
    from homebred_daemon.adapters.identity_files import IdentityFiles  # noqa: PLC0415

    identity = IdentityFiles(folder, os.environ).current() if is_member else None
    if identity is None:
        return {}
    membership = identity.membership
    return {
        **_roots_json(folder, identity),
        "device_id": membership.device_id,
        "site": membership.site,
        "labels": dict(membership.labels),
        "controller": membership.controller_url,
        "broker": f"{membership.broker_host}:{membership.broker_port}",
        "certificate_ends_s": identity.certificate.ends_s,
    }


def _roots_json(folder: Path, identity: Identity) -> dict[str, Any]:
    """Version and digest of both pinned roots; null: none is pinned. What is damaged stands among the findings."""
    from homebred_daemon.adapters.trust.files import TrustFiles  # noqa: PLC0415
    from homebred_daemon.core.pinning import root_name  # noqa: PLC0415

    try:
        roots = TrustFiles(folder, identity.membership).pinned()
    except StateError:
        return {}
    if roots is None:
        return {"image_root": None, "director_root": None}
    return {"image_root": asdict(root_name(roots.image)), "director_root": asdict(root_name(roots.director))}


def _show_finding(finding: Finding) -> None:
    typer.echo(f"{finding.status:<8} {finding.check:<12} {finding.what}")
    if finding.why:
        typer.echo(f"{'':21} why:  {finding.why}")
    if finding.next:
        typer.echo(f"{'':21} next: {finding.next}")


def _state_dir(config: Path | None, state_dir: str | None) -> Path:
    from homebred_daemon.config import load  # noqa: PLC0415  # pydantic, not for `--help`

    return load(config, {} if state_dir is None else {"--state-dir": state_dir}, os.environ).paths.state_dir
