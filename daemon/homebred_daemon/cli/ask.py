"""`homebred ask`: sends one task to the daemon and shows decision, answer and outcome as they come.

Where a person must answer it can wait for that, too.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homebred_daemon.cli.exits import Exit, write_json
from homebred_daemon.errors import RequestError

if TYPE_CHECKING:
    from homebred_protocol.client import Constraints, Decision, Event, Outcome, Review, Task, Tool, ToolCall

app = typer.Typer()


@app.command()
def ask(
    text: Annotated[list[str], typer.Argument(help="The task, in words.")],
    workflow: Annotated[str, typer.Option("--workflow", help="The repeated kind of task it belongs to.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="repeat, tool_loop, synthesis, drafting or other.")] = "",
    classes: Annotated[list[str] | None, typer.Option("--class", help="A data class; may be given again.")] = None,
    *,
    allow_escalation: Annotated[bool, typer.Option("--allow-escalation", help="A redacted minimum may leave.")] = False,
    attach: Annotated[list[Path] | None, typer.Option("--attach", help="A file that belongs to it.")] = None,
    schema: Annotated[Path | None, typer.Option("--schema", help="JSON Schema that the answer must fit.")] = None,
    tools: Annotated[
        Path | None, typer.Option("--tools", help="JSON list of tools: name, description, parameters.")
    ] = None,
    constraints: Annotated[
        Path | None, typer.Option("--constraints", help="JSON object: matches, contains, excludes, max_characters.")
    ] = None,
    session: Annotated[str, typer.Option("--session", help="Your name for tasks that belong together.")] = "",
    rejects: Annotated[str, typer.Option("--rejects", help="Route of an answer of that session to do better.")] = "",
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", min=1, help="Tokens of answer at most.")] = None,
    deadline_s: Annotated[float | None, typer.Option("--deadline", min=0.001, help="Seconds to the outcome.")] = None,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait where a person must answer.", metavar="SECONDS")
    ] = 0.0,
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file that names the socket.")] = None,
    socket: Annotated[Path | None, typer.Option("--socket", help="The daemon's socket.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> None:
    """Ask the daemon; the answer is streamed as it is made."""
    from homebred_protocol.client import Attachment, Task  # noqa: PLC0415  # only where a call is made

    task = Task(
        " ".join(text),
        attachments=tuple(Attachment(path.name, _bytes_of(path)) for path in attach or ()),
        workflow=workflow,
        kind=kind,
        data_classes=tuple(classes or ()),
        allows_escalation=allow_escalation,
        deadline_s=deadline_s,
        schema=None if schema is None else _text_of(schema),
        tools=() if tools is None else _tools_of(tools),
        constraints=None if constraints is None else _constraints_of(constraints),
        session_id=session,
        rejects=rejects,
        max_tokens=max_tokens,
    )
    raise typer.Exit(_exchange(task, config=config, socket=socket, as_json=as_json, wait_s=wait_s))


@dataclass(slots=True)
class _Heard:
    """What the daemon has said so far."""

    decisions: list[Decision] = field(default_factory=list)
    answer: list[str] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    outcome: Outcome | None = None
    review: Review | None = None
    """What a person made of it; None: nobody was waited for."""


def _exchange(task: Task, *, config: Path | None, socket: Path | None, as_json: bool, wait_s: float) -> Exit:
    from homebred_daemon.adapters.grpc_client import calling  # noqa: PLC0415  # grpc only where a call is made
    from homebred_daemon.cli.connection import socket_of  # noqa: PLC0415

    heard, called = _Heard(), socket_of(socket, config)
    with calling(called) as daemon, daemon.stream(task) as events:
        for event in events:
            _take(event, heard, aloud=not as_json)
            if as_json and heard.outcome is not None and heard.outcome.status == "error":
                break  # the JSON below tells of it, whole
    if not as_json and heard.outcome is not None:
        _tell_outcome(heard.outcome)
    if heard.outcome is not None and heard.outcome.status == "review" and wait_s:
        return _wait(called, heard, wait_s=wait_s, as_json=as_json)
    if as_json:
        _print_json(heard)
    return _exit_of(heard.outcome)


def _take(event: Event, heard: _Heard, *, aloud: bool) -> None:
    from homebred_protocol.client import Decision, Retracted, ToolCall  # noqa: PLC0415

    if isinstance(event, str):
        heard.answer.append(event)
        if aloud:
            sys.stdout.write(event)
            sys.stdout.flush()
    elif isinstance(event, Decision):
        heard.decisions.append(event)
        if aloud:
            sys.stderr.write(f"[{event.reason_code} -> {event.selected_model_or_stack}] {event.local_reason}\n")
    elif isinstance(event, ToolCall):
        heard.tool_calls.append(event)
        if aloud:
            sys.stdout.write(f"{event.name} {event.arguments}\n")
            sys.stdout.flush()
    elif isinstance(event, Retracted):
        heard.answer.clear()
        heard.tool_calls.clear()
        if aloud:
            sys.stdout.write("\n")
            sys.stdout.flush()
            sys.stderr.write(f"[{event.code}: what came so far does not count]\n")
    else:
        heard.outcome = event


def _wait(socket: Path, heard: _Heard, *, wait_s: float, as_json: bool) -> Exit:
    from homebred_daemon.cli.review_view import result_exit, show_result, waited_for  # noqa: PLC0415

    heard.review = waited_for(socket, heard.decisions[-1].route_id, wait_s=wait_s)
    if as_json:
        _print_json(heard)
    else:
        show_result(heard.review)
    return result_exit(heard.review)


def _print_json(heard: _Heard) -> None:
    from homebred_daemon.cli.wire_json import (  # noqa: PLC0415
        decision_json,
        outcome_json,
        review_result_json,
        timings_json,
    )

    reviewed = {} if heard.review is None else {"review": review_result_json(heard.review)}
    write_json(
        {
            "decision": decision_json(heard.decisions[-1]) if heard.decisions else None,
            "decisions": [decision_json(decision) for decision in heard.decisions],
            "answer": "".join(heard.answer),
            "tool_calls": [asdict(call) for call in heard.tool_calls],
            "outcome": outcome_json(heard.outcome) if heard.outcome is not None else None,
            "timings": timings_json(heard.outcome) if heard.outcome is not None else None,
            **reviewed,
        }
    )


def _tell_outcome(outcome: Outcome) -> None:
    sys.stdout.write("\n" if outcome.completion_tokens else "")
    sys.stdout.flush()
    findings = f", {', '.join(outcome.findings)}" if outcome.findings else ""
    by = f" by {outcome.answered_by}" if outcome.answered_by else ""
    sys.stderr.write(f"[{outcome.status}{by}, {outcome.total_ms / 1000:.2f} s{findings}]\n")
    if outcome.problem is not None and outcome.status == "review":
        sys.stderr.write(f"next:  {outcome.problem.hint}\n")


def _exit_of(outcome: Outcome | None) -> Exit:
    from homebred_daemon.cli.exits import OF_CODE  # noqa: PLC0415

    if outcome is None:
        return Exit.FAILED
    if outcome.status == "error":
        return Exit.FAILED if outcome.problem is None else OF_CODE.get(outcome.problem.code, Exit.FAILED)
    return Exit.NEGATIVE if outcome.status == "review" else Exit.OK


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}", hint="correct the path") from None


def _text_of(path: Path) -> str:
    try:
        return _bytes_of(path).decode("utf-8")
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not text in UTF-8", hint="write a JSON document") from None


def _constraints_of(path: Path) -> Constraints:
    from homebred_daemon.core.task_content import constraints_of  # noqa: PLC0415
    from homebred_protocol.client import Constraints  # noqa: PLC0415
    from homebred_protocol.documents.task import read_task  # noqa: PLC0415

    try:
        document = {"task_id": "-", "text": "-", "constraints": json.loads(_text_of(path))}
        read_task(document)  # a text where a list belongs would be taken for one of letters
        return Constraints(**asdict(constraints_of(document)))
    except (ValueError, RecursionError) as error:
        raise RequestError(
            f"{path} holds no constraints: {error}",
            hint='write such as {"matches": "^[A-Z]", "contains": ["tea"], "excludes": [], "max_characters": 80}',
        ) from None


def _tools_of(path: Path) -> tuple[Tool, ...]:
    from homebred_protocol.client import Tool  # noqa: PLC0415

    try:
        return tuple(Tool(**tool) for tool in json.loads(_text_of(path)))
    except (ValueError, TypeError, RecursionError) as error:
        raise RequestError(
            f"{path} is no list of tools: {error}",
            hint='write such as [{"name": "look_up", "description": "…", "parameters": {"type": "object"}}]',
        ) from None
