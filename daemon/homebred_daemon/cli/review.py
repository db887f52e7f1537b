"""`homebred review`: the queue of tasks that a person must answer, for reviewers, and for whoever waits for an answer.

A route may be named by as many of its first characters as tell it from the others.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homebred_daemon.cli.connection import controller
from homebred_daemon.cli.exits import Exit, show_error, write_json
from homebred_daemon.errors import NotFoundError, RequestError

if TYPE_CHECKING:
    from homebred_protocol.client import Control, ReviewState
    from homebred_protocol.v1.control_pb2 import Review

FULL_ID = 36
STANDARD_INPUT = "-"
STATES = ("waiting", "claimed", "answered", "declined", "expired")

app = typer.Typer(help="Work the queue of tasks that a person must answer.")

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file that names the socket.")]
Socket = Annotated[Path | None, typer.Option("--socket", help="The daemon's socket.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, one object a line.")]
Route = Annotated[str, typer.Argument(metavar="ROUTE", help="Route id, or its first characters.")]
Claim = Annotated[str, typer.Option("--claim", help="The claim id that `homebred review claim` printed.")]


@app.command("list")
def list_(
    *,
    state: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(STATES)}; repeatable. Open ones if left out.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Reviews at most.")] = 100,
    config: Config = None,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """List what waits for a person, oldest first, without its content."""
    from homebred_daemon.cli.review_view import show_reviews  # noqa: PLC0415  # protobuf only where a call is made
    from homebred_daemon.cli.wire_json import review_json  # noqa: PLC0415

    states = _states(STATES if every else state or ())
    with controller(socket, config) as daemon:
        listed = daemon.list_reviews(states, limit=limit)
    if as_json:
        write_json({"reviews": [review_json(one) for one in listed.reviews], "more": listed.more})
    else:
        show_reviews(listed.reviews, more=listed.more)


@app.command()
def claim(
    route: Annotated[str, typer.Argument(metavar="[ROUTE]", help="Route id; the oldest that waits if left out.")] = "",
    *,
    lease_s: Annotated[float, typer.Option("--lease", min=0, help="Seconds to answer it; 0: the device's own.")] = 0.0,
    config: Config = None,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """Take one for yourself, and show it; exit status 1 where nothing waits."""
    from homebred_daemon.cli.review_view import next_steps, show_whole  # noqa: PLC0415
    from homebred_daemon.cli.wire_json import review_json  # noqa: PLC0415
    from homebred_protocol.client.errors import NotFoundError as NothingThereError  # noqa: PLC0415

    with controller(socket, config) as daemon:
        route_id = _whole_id(daemon, route) if route else ""
        try:
            claimed = daemon.claim_review(route_id, lease_s=lease_s)
        except NothingThereError as error:
            if route_id:
                raise
            show_error(error.record(), as_json=as_json)
            raise typer.Exit(Exit.NEGATIVE) from None
        if as_json:
            write_json({"review": review_json(claimed.review), "claim_id": claimed.claim_id})
            return
        show_whole(daemon.show_review(claimed.review.route_id))
        typer.echo("\n" + next_steps(claimed.review.route_id, claimed.claim_id))


@app.command()
def show(
    route: Route,
    *,
    save: Annotated[Path | None, typer.Option("--save", help="Folder that its attachments are written to.")] = None,
    config: Config = None,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """Show one with its content: the conversation, what is attached, and what an answer must fit."""
    from homebred_daemon.cli.review_view import SHORT_ID, content_json, save_attachments, show_whole  # noqa: PLC0415
    from homebred_daemon.cli.wire_json import review_json, review_state  # noqa: PLC0415

    with controller(socket, config) as daemon:
        shown = daemon.show_review(_whole_id(daemon, route))
    if save is not None:
        save_attachments(shown, save)
    if as_json:
        content = content_json(shown)
        write_json({"review": review_json(shown.review), **content, "output": shown.output, "note": shown.note})
        return
    show_whole(shown)
    if review_state(shown.review) == "waiting":
        typer.echo(f"\nnext: homebred review claim {shown.review.route_id[:SHORT_ID]}")


@app.command()
def resolve(
    route: Route,
    source: Annotated[str, typer.Argument(metavar="-", help="The answer is standard input.")] = "",
    *,
    claim_id: Claim,
    output: Annotated[str | None, typer.Option("--output", help="The answer.")] = None,
    output_file: Annotated[Path | None, typer.Option("--output-file", help="File that holds the answer.")] = None,
    decline: Annotated[str | None, typer.Option("--decline", help="Why there is no answer.")] = None,
    config: Config = None,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """End one: with the answer, or by saying why there is none. It may be sent again: it is taken once."""
    resolution = _resolution(source, output, output_file, decline)
    with controller(socket, config) as daemon:
        resolved = daemon.resolve_review(_whole_id(daemon, route), claim_id, **resolution)
        _tell(resolved.review, as_json=as_json)


@app.command()
def release(
    route: Route, *, claim_id: Claim, config: Config = None, socket: Socket = None, as_json: AsJson = False
) -> None:
    """Give one back."""
    with controller(socket, config) as daemon:
        _tell(daemon.release_review(_whole_id(daemon, route), claim_id).review, as_json=as_json)


@app.command()
def watch(*, config: Config = None, socket: Socket = None, as_json: AsJson = False) -> None:
    """Show what waits, and every change of it until interrupted."""
    with controller(socket, config) as daemon:
        for review in daemon.watch_reviews():
            _tell(review, as_json=as_json)
            sys.stdout.flush()


@app.command()
def wait(
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="Route id of a task of your own.")],
    *,
    wait_s: Annotated[float, typer.Option("--seconds", min=0, help="Longest wait; 0: only ask.")] = 3600.0,
    config: Config = None,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """Wait for a person's answer to a task of your own; exit status 1 where there is none."""
    from homebred_daemon.cli.connection import socket_of  # noqa: PLC0415
    from homebred_daemon.cli.review_view import result_exit, show_result, waited_for  # noqa: PLC0415
    from homebred_daemon.cli.wire_json import review_result_json  # noqa: PLC0415

    result = waited_for(socket_of(socket, config), route, wait_s=wait_s)
    if as_json:
        write_json(review_result_json(result))
    else:
        show_result(result)
    raise typer.Exit(result_exit(result))


def _tell(review: Review, *, as_json: bool) -> None:
    from homebred_daemon.cli.review_view import show_change  # noqa: PLC0415
    from homebred_daemon.cli.wire_json import review_json  # noqa: PLC0415

    if as_json:
        write_json(review_json(review))
    else:
        show_change(review)


def _states(names: Sequence[str]) -> list[ReviewState]:
    from homebred_protocol.client import ReviewState  # noqa: PLC0415

    unknown = [name for name in names if name not in STATES]
    if unknown:
        raise RequestError(f"--state {unknown[0]!r} is none", hint=f"name one of: {', '.join(STATES)}")
    return [ReviewState(name) for name in names]


def _whole_id(daemon: Control, route: str) -> str:
    """The route that begins so."""
    if len(route) >= FULL_ID:
        return route
    listed = daemon.list_reviews(_states(STATES))
    found = [review.route_id for review in listed.reviews if review.route_id.startswith(route)]
    if len(found) > 1:
        raise RequestError(f"{len(found)} reviews begin with {route!r}", hint="write more of the route id")
    if not found:
        raise NotFoundError(f"no review begins with {route!r}", hint="`homebred review list --all` names them")
    return found[0]


def _resolution(source: str, output: str | None, output_file: Path | None, decline: str | None) -> dict[str, str]:
    """The answer or the reason, by the name of its argument."""
    if sum(one is not None for one in (source or None, output, output_file, decline)) != 1:
        raise RequestError(
            "a review ends with one answer or one reason",
            hint="give one of: --output TEXT, --output-file FILE, - for standard input, --decline WHY",
        )
    if source and source != STANDARD_INPUT:
        raise RequestError(f"{source!r} is no place to read from", hint="write - for standard input, or --output TEXT")
    if decline is not None:
        return {"declined": decline}
    if source:
        return {"output": sys.stdin.read()}
    return {"output": _text_of(output_file) if output_file is not None else output or ""}


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}", hint="correct the path") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not text in UTF-8", hint="answer in text") from None
