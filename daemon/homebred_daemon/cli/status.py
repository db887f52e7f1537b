"""`homebred status`: the state of every part of the running daemon, once or as a live view."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from homebred_daemon.cli.connection import controller
from homebred_daemon.cli.exits import write_json
from homebred_daemon.cli.models_view import worker_json
from homebred_daemon.cli.status_view import rates_between, status_lines
from homebred_protocol.client.errors import DaemonUnreachableError

app = typer.Typer()


@app.command()
def status(
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file that names the socket.")] = None,
    socket: Annotated[Path | None, typer.Option("--socket", help="The daemon's socket.")] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="A live view, until Ctrl-C; outlives a restart.")] = False,
    interval_s: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object; with --watch one a line.")] = False,
) -> None:
    """Show the state of every part."""
    with controller(socket, config) as daemon:
        if watch:
            _watch(daemon.status, interval_s=interval_s, as_json=as_json)
        elif as_json:
            write_json(_as_json(daemon.status()))
        else:
            typer.echo("\n".join(status_lines(daemon.status(), now=datetime.now(UTC))))


def _watch(look: Callable[[], Any], *, interval_s: float, as_json: bool) -> None:
    """Looks again and again; a daemon that does not answer is waited for."""
    with _screen(as_json=as_json) as show:
        before, before_s = None, time.monotonic()
        while True:
            try:
                now, now_s = look(), time.monotonic()
            except DaemonUnreachableError as error:
                show(None, [f"{error.message}; waiting for it", f"next: {error.hint}"])
                before = None
            else:
                rates = rates_between(before, now, now_s - before_s)
                show(now, status_lines(now, now=datetime.now(UTC), rates=rates))
                before, before_s = now, now_s
            time.sleep(interval_s)


Show = Callable[[Any, list[str]], None]
"""Shows a state and its lines; None: the daemon does not answer."""


@contextmanager
def _screen(*, as_json: bool) -> Iterator[Show]:
    """JSON lines, a screen that is drawn anew, or, where there is no terminal, one block after another."""
    if as_json:
        yield lambda status, lines: write_json(_as_json(status) if status is not None else {"unreachable": lines[0]})
        return
    from rich.console import Console  # noqa: PLC0415  # only where a terminal is drawn to
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    if not console.is_terminal:
        yield lambda _, lines: typer.echo("\n".join(lines) + "\n")
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        yield lambda _, lines: live.update(Text("\n".join(lines)), refresh=True)


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
        "draining": response.draining,
        "log_level": response.log_level,
        "policy_origin": response.policy_origin,
        "reviews": _reviews(response.reviews),
        "fleet": _fleet(response.fleet) if response.HasField("fleet") else None,
        "membership": _fields(response.membership) if response.HasField("membership") else None,
        "specialists": [_fields(one) for one in response.specialists],
        "workers": [worker_json(one) for one in response.workers],
    }


def _fields(message: Any) -> dict[str, Any]:
    return {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}


def _fleet(fleet: Any) -> dict[str, Any]:
    return _fields(fleet) | {"parts": [_fields(part) for part in fleet.parts]}


def _reviews(reviews: Any) -> dict[str, Any]:
    oldest = (
        reviews.oldest_filed_at_utc.ToDatetime(UTC).isoformat() if reviews.HasField("oldest_filed_at_utc") else None
    )
    return _fields(reviews) | {"oldest_filed_at_utc": oldest}
