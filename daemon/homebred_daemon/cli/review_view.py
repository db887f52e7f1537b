"""How reviews are shown to people, and how a command waits for one."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import typer

from homebred_daemon.cli.exits import Exit
from homebred_daemon.cli.models_view import show_table
from homebred_daemon.cli.wire_json import review_json, review_state
from homebred_daemon.errors import DaemonUnreachableError

SHORT_ID = 8
ASKED_AT_ONCE_S = 60.0
"""One call waits so long at most."""
RESTARTS_WITHIN_S = 0.5
_KEPT = frozenset("\n\t")


def show_reviews(reviews: Sequence[Any], *, more: bool) -> None:
    """A line for each."""
    if not reviews:
        typer.echo("nothing waits for a person")
        return
    show_table(("route", "state", "filed", "by", "workflow", "classes", "why"), [_cells(one) for one in reviews])
    if more:
        typer.echo("there are more; see them with --limit")
    typer.echo("next: homebred review claim [ROUTE]")


def show_change(review: Any) -> None:
    """One line as it comes."""
    typer.echo("  ".join(cell for cell in _cells(review) if cell))


def show_whole(shown: Any) -> None:
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
    if shown.response_schema:
        typer.echo(f"\n[the answer must fit]\n{printable(shown.response_schema)}")
    if shown.output:
        typer.echo(f"\n[answered]\n{printable(shown.output)}")
    if shown.note:
        typer.echo(f"\n[declined]\n{printable(shown.note)}")


def next_steps(route_id: str, claim_id: str) -> str:
    """What to type once a review is claimed."""
    short = route_id[:SHORT_ID]
    return (
        f"next: homebred review resolve {short} --claim {claim_id} --output 'THE ANSWER'\n"
        f"  or: homebred review resolve {short} --claim {claim_id} --decline 'WHY'\n"
        f"  or: homebred review release {short} --claim {claim_id}"
    )


def wait_for(daemon: Any, route_id: str, *, wait_s: float) -> Any:
    """How a task stands once it has ended, or when the time is over; a restarting daemon is asked again."""
    until_s = time.monotonic() + wait_s
    while True:
        left_s = max(until_s - time.monotonic(), 0.0)
        try:
            result = daemon.get_review(route_id, wait_s=min(left_s, ASKED_AT_ONCE_S))
        except DaemonUnreachableError:
            if left_s <= 0:
                raise
            time.sleep(RESTARTS_WITHIN_S)
        else:
            if left_s <= 0 or review_state(result) not in {"waiting", "claimed"}:
                return result


def show_result(result: Any) -> None:
    """What became of a task: the answer on standard output, all else on standard error."""
    state = review_state(result)
    if state == "answered":
        sys.stdout.write(printable(result.output) + ("" if result.output.endswith("\n") else "\n"))
        sys.stdout.flush()
    why = f": {printable(result.note)}" if result.note else ""
    sys.stderr.write(f"[{state}{why}]\n")
    if state in {"waiting", "claimed"}:
        sys.stderr.write(f"next:  homebred review wait {result.route_id}\n")


def result_exit(result: Any) -> Exit:
    """The status of a command that asked for a person's answer."""
    return Exit.OK if review_state(result) == "answered" else Exit.NEGATIVE


def printable(text: str) -> str:
    """Text without what could steer a terminal: it comes from whoever sent the task."""
    return "".join(sign if sign in _KEPT or sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _cells(review: Any) -> tuple[str, ...]:
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
