"""`homebred status`: the state of every part of the running daemon."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Annotated, Any

import typer

from homebred_daemon.cli.exits import write_json

app = typer.Typer()
MEGABYTE = 1_000_000


@app.command()
def status(
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file that names the socket.")] = None,
    socket: Annotated[Path | None, typer.Option("--socket", help="The daemon's socket.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show the state of every part."""
    from homebred_daemon.adapters.grpc_client import controlling  # noqa: PLC0415  # grpc only where a call is made
    from homebred_daemon.cli.connection import socket_of  # noqa: PLC0415

    with controlling(socket_of(socket, config)) as daemon:
        response = daemon.status()
    if as_json:
        write_json(_as_json(response))
    else:
        _show(response)


def _as_json(response: Any) -> dict[str, Any]:
    return {
        "version": response.version,
        "started_at_utc": response.started_at_utc.ToDatetime(UTC).isoformat(),
        "policy_digest": response.policy_digest,
        "ceiling_digest": response.ceiling_digest,
        "registry_digest": response.registry_digest,
        "link": response.link,
        "streams": response.streams,
        "outcomes": dict(sorted(response.outcomes.items())),
        "resident_bytes": response.resident_bytes,
        "specialists": [_fields(one) for one in response.specialists],
        "workers": [_fields(one) for one in response.workers],
    }


def _fields(message: Any) -> dict[str, Any]:
    return {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}


def _state(specialist: Any) -> str:
    if not specialist.available:
        return f"cannot be served: {specialist.note}"
    return ("loaded" if specialist.loaded else "loads at first use") + (
        f"; {specialist.note}" if specialist.note else ""
    )


def _show(response: Any) -> None:
    started = response.started_at_utc.ToDatetime(UTC).isoformat(timespec="seconds")
    outcomes = ", ".join(f"{number} {name}" for name, number in sorted(response.outcomes.items())) or "none yet"
    lines = [
        f"homebred {response.version}, up since {started}, {response.resident_bytes / MEGABYTE:.0f} MB",
        f"policy    {response.policy_digest}" + (" under a site ceiling" if response.ceiling_digest else ""),
        f"link      {response.link}",
        f"answering {response.streams} now; recorded: {outcomes}",
        "specialists" + ("" if response.specialists else ": none; add one with `homebred models add`"),
    ]
    lines += [f"  {one.id:<28} {one.engine:<10} {_state(one)}" for one in response.specialists]
    lines += [
        f"worker {one.process_id} {one.engine} {one.engine_version}: {one.running} running, {one.queued} queued, "
        f"{one.slots} slots, {one.threads} threads, {one.resident_bytes / MEGABYTE:.0f} MB"
        for one in response.workers
    ]
    typer.echo("\n".join(lines))
