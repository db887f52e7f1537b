"""`homebred ask`: sends one task to the daemon and shows decision, answer and outcome as they come.

Where a person must answer it can wait for that, too.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from homebred_daemon.cli.exits import Exit, write_json
from homebred_daemon.errors import RequestError

app = typer.Typer()


@app.command()
def ask(
    text: Annotated[list[str], typer.Argument(help="The task, in words.")],
    workflow: Annotated[str, typer.Option("--workflow", help="The repeated kind of task it belongs to.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="repeat, tool_loop, synthesis, drafting or other.")] = "",
    classes: Annotated[list[str] | None, typer.Option("--class", help="A data class; may be given again.")] = None,
    *,
    allow_escalation: Annotated[bool, typer.Option("--allow-escalation", help="A redacted minimum may leave.")] = False,
    attach: Annotated[list[Path] | None, typer.Option("--attach", help="A text file that belongs to it.")] = None,
    schema: Annotated[Path | None, typer.Option("--schema", help="JSON Schema that the answer must fit.")] = None,
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
    from homebred_protocol.v1 import inference_pb2 as wire  # noqa: PLC0415  # protobuf only where a call is made

    task = wire.Task(
        workflow=workflow,
        kind=kind,
        data_classes=classes or [],
        allows_escalation=allow_escalation,
        deadline_s=deadline_s,
        text="\n\n".join([" ".join(text), *(_text_of(path) for path in attach or ())]),
        response_schema="" if schema is None else _text_of(schema),
    )
    request = wire.GenerateRequest(task=task, max_tokens=max_tokens)
    raise typer.Exit(_exchange(request, config=config, socket=socket, as_json=as_json, wait_s=wait_s))


@dataclass(slots=True)
class _Heard:
    """What the daemon has said so far."""

    decisions: list[Any] = field(default_factory=list)
    answer: list[str] = field(default_factory=list)
    outcome: Any = None
    review: Any = None
    """What a person made of it; None: nobody was waited for."""


def _exchange(request: Any, *, config: Path | None, socket: Path | None, as_json: bool, wait_s: float) -> Exit:
    from homebred_daemon.adapters.grpc_client import DaemonClient  # noqa: PLC0415  # grpc only where a call is made
    from homebred_daemon.cli.connection import socket_of  # noqa: PLC0415
    from homebred_protocol.v1 import inference_pb2 as wire  # noqa: PLC0415

    heard = _Heard()
    with DaemonClient(socket_of(socket, config)) as daemon:
        for event in daemon.generate(request):
            _take(event, heard, aloud=not as_json)
            if event.HasField("outcome") and event.outcome.status == wire.OUTCOME_STATUS_ERROR and as_json:
                break  # the JSON below tells of it, whole
        if not as_json and heard.outcome is not None:
            _tell_outcome(heard.outcome)
        if heard.outcome is not None and heard.outcome.status == wire.OUTCOME_STATUS_REVIEW and wait_s:
            return _wait(daemon, heard, wait_s=wait_s, as_json=as_json)
    if as_json:
        _print_json(heard)
    return _exit_of(heard.outcome)


def _wait(daemon: Any, heard: _Heard, *, wait_s: float, as_json: bool) -> Exit:
    from homebred_daemon.cli.review_view import result_exit, show_result, wait_for  # noqa: PLC0415

    heard.review = wait_for(daemon, heard.decisions[-1].route_id, wait_s=wait_s)
    if as_json:
        _print_json(heard)
    else:
        show_result(heard.review)
    return result_exit(heard.review)


def _take(event: Any, heard: _Heard, *, aloud: bool) -> None:
    match event.WhichOneof("event"):
        case "decision":
            heard.decisions.append(event.decision)
            if aloud:
                decision = event.decision
                sys.stderr.write(f"[{decision.reason_code} -> {decision.selected_model_or_stack}] ")
                sys.stderr.write(f"{decision.local_reason}\n")
        case "delta":
            heard.answer.append(event.delta)
            if aloud:
                sys.stdout.write(event.delta)
                sys.stdout.flush()
        case "outcome":
            heard.outcome = event.outcome


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
            "outcome": outcome_json(heard.outcome) if heard.outcome is not None else None,
            "timings": timings_json(heard.outcome) if heard.outcome is not None else None,
            **reviewed,
        }
    )


def _tell_outcome(outcome: Any) -> None:
    from homebred_daemon.cli.wire_json import outcome_json  # noqa: PLC0415

    told = outcome_json(outcome)
    sys.stdout.write("\n" if outcome.usage.completion_tokens else "")
    sys.stdout.flush()
    findings = f", {', '.join(told['findings'])}" if told["findings"] else ""
    by = f" by {outcome.answered_by}" if outcome.answered_by else ""
    sys.stderr.write(f"[{told['status']}{by}, {outcome.total_ms / 1000:.2f} s{findings}]\n")
    if outcome.HasField("problem") and told["status"] == "review":
        sys.stderr.write(f"next:  {outcome.problem.hint}\n")


def _exit_of(outcome: Any) -> Exit:
    from homebred_daemon.cli.exits import OF_CODE  # noqa: PLC0415
    from homebred_protocol.v1 import inference_pb2 as wire  # noqa: PLC0415

    if outcome is None:
        return Exit.FAILED
    if outcome.status == wire.OUTCOME_STATUS_ERROR:
        return OF_CODE.get(outcome.problem.code, Exit.FAILED)
    return Exit.NEGATIVE if outcome.status == wire.OUTCOME_STATUS_REVIEW else Exit.OK


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}", hint="correct the path") from None
    except UnicodeDecodeError:
        raise RequestError(
            f"{path} is not text in UTF-8", hint="attach text only: this version takes no sound or pictures"
        ) from None
