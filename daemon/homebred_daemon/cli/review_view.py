"""How reviews are shown to people, and how a command waits for one."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import typer

from homebred_daemon.cli.exits import Exit
from homebred_daemon.cli.models_view import show_table
from homebred_daemon.cli.wire_json import review_json
from homebred_daemon.errors import RequestError
from homebred_protocol.client import Review
from homebred_protocol.v1 import control_pb2 as wire
from homebred_protocol.v1.inference_pb2 import Message

SHORT_ID = 8
MAX_NAME_CHARACTERS = 60
"""Of a saved file, the last ones, with its ending: file systems take 255 bytes, and a character has up to four."""
_KEPT = frozenset("\n\t")


def show_reviews(reviews: Sequence[wire.Review], *, more: bool) -> None:
    """A line for each."""
    if not reviews:
        typer.echo("nothing waits for a person")
        return
    show_table(("route", "state", "filed", "by", "workflow", "classes", "why"), [_cells(one) for one in reviews])
    if more:
        typer.echo("there are more; see them with --limit")
    typer.echo("next: homebred review claim [ROUTE]")


def show_change(review: wire.Review) -> None:
    """One line as it comes."""
    typer.echo("  ".join(cell for cell in _cells(review) if cell))


def show_whole(shown: wire.ShowReviewResponse) -> None:
    """A review with its content."""
    review = review_json(shown.review)
    for name in ("route_id", "state", "workflow", "reason_code", "filed_by", "filed_at_utc", "expires_at_utc"):
        typer.echo(f"{name:<15} {review[name]}")
    typer.echo(f"{'classes':<15} {', '.join(review['classes'])}")
    if review["claimed_by"]:
        until = f" until {review['claim_ends_at_utc']}" if review["claim_ends_at_utc"] else ""
        typer.echo(f"{'claimed_by':<15} {review['claimed_by']}{until}")
    for message in shown.messages:
        typer.echo(f"\n[{message.role}]\n{printable(message.content)}")
        for call in message.tool_calls:
            typer.echo(printable(f"{call.name} {call.arguments}"))
    for tool in shown.tools:
        typer.echo(f"\n[a tool of the caller's] {tool.name}\n{printable(tool.description)}")
    for one in attachments_json(shown):
        typer.echo(f"\n[attached] {printable(one['name'])}, {one['bytes']} bytes: --save FOLDER writes it there")
    if shown.response_schema:
        typer.echo(f"\n[the answer must fit]\n{printable(shown.response_schema)}")
    if shown.output:
        typer.echo(f"\n[answered]\n{printable(shown.output)}")
    if shown.note:
        typer.echo(f"\n[declined]\n{printable(shown.note)}")


def message_json(message: Message) -> dict[str, Any]:
    """A turn, with the tools that it asks for, or the call that it is the result of."""
    said: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        said["tool_calls"] = [
            {"id": call.id, "name": call.name, "arguments": call.arguments} for call in message.tool_calls
        ]
    return said | ({"tool_call_id": message.tool_call_id} if message.tool_call_id else {})


def content_json(shown: wire.ShowReviewResponse) -> dict[str, Any]:
    """What a person sees of a task, but for the bytes of what is attached."""
    return {
        "messages": list(map(message_json, shown.messages)),
        "response_schema": shown.response_schema,
        "tools": [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters} for tool in shown.tools
        ],
        "attachments": attachments_json(shown),
    }


def attachments_json(shown: wire.ShowReviewResponse) -> list[dict[str, Any]]:
    """What is attached, without its content."""
    return [{"name": one.name, "media_type": one.media_type, "bytes": len(one.data)} for one in shown.attachments]


def save_attachments(shown: wire.ShowReviewResponse, folder: Path) -> None:
    """Writes what is attached for its owner alone; no file that is there is written over.

    Raises:
        RequestError: a file is there, or cannot be written.
    """
    for number, one in enumerate(shown.attachments, start=1):
        name = re.sub(r"[^\w.-]", "_", PurePath(one.name).name).lstrip(".")[-MAX_NAME_CHARACTERS:]
        path = folder / f"{number}-{name or 'attachment'}"
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(one.data)
        except OSError as error:
            raise RequestError(f"{path} cannot be written: {error.strerror}", hint="name an empty folder") from None


def next_steps(route_id: str, claim_id: str) -> str:
    """What to type once a review is claimed."""
    short = route_id[:SHORT_ID]
    return (
        f"next: homebred review resolve {short} --claim {claim_id} --output 'THE ANSWER'\n"
        f"  or: homebred review resolve {short} --claim {claim_id} --decline 'WHY'\n"
        f"  or: homebred review release {short} --claim {claim_id}"
    )


def waited_for(socket: Path, route_id: str, *, wait_s: float) -> Review:
    """How a task stands once it has ended, or when the time is over; a restarting daemon is asked again."""
    from homebred_daemon.adapters.grpc_client import calling  # noqa: PLC0415  # grpc only where a call is made

    with calling(socket, patience_s=wait_s) as daemon:
        return daemon.wait_for_review(route_id, timeout_s=wait_s)


def show_result(result: Review) -> None:
    """What became of a task: the answer on standard output, all else on standard error."""
    if result.output is not None:
        sys.stdout.write(printable(result.output) + ("" if result.output.endswith("\n") else "\n"))
        sys.stdout.flush()
    why = f": {printable(result.note)}" if result.note else ""
    sys.stderr.write(f"[{result.state}{why}]\n")
    if not result.ended:
        sys.stderr.write(f"next:  homebred review wait {result.route_id}\n")


def result_exit(result: Review) -> Exit:
    """The status of a command that asked for a person's answer."""
    return Exit.NEGATIVE if result.output is None else Exit.OK


def printable(text: str) -> str:
    """Text without what could steer a terminal: it comes from whoever sent the task."""
    return "".join(sign if sign in _KEPT or sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _cells(review: wire.Review) -> tuple[str, ...]:
    record = review_json(review)
    filed = record["filed_at_utc"][:19].replace("T", " ") if record["filed_at_utc"] else ""
    classes = ", ".join(record["classes"])
    holder = f" by {record['claimed_by']}" if record["claimed_by"] else ""
    return (
        record["route_id"][:SHORT_ID],
        f"{record['state']}{holder}",
        filed,
        record["filed_by"],
        record["workflow"],
        classes,
        record["reason_code"],
    )
