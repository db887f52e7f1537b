"""homebred route: tasks in, decisions out, by a policy and a registry given as files; no daemon, no model."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from homebred_daemon.adapters.detectors.for_lanes import cloud_detector, local_detector
from homebred_daemon.cli.journal import journal
from homebred_daemon.cli.json_lines import answer_lines
from homebred_daemon.core.attached_content import AttachedContent
from homebred_daemon.core.attachments import attached_content
from homebred_daemon.core.context import MinimumContext, minimum_context
from homebred_daemon.core.decision import RouteDecision, Runtime
from homebred_daemon.core.link import Link
from homebred_daemon.core.masking import masked
from homebred_daemon.core.pseudonyms import KEY_BYTES, Pseudonyms
from homebred_daemon.core.records import decision_record
from homebred_daemon.core.task_content import attachments_of, requiring, schema_of, tools_of, turns_of
from homebred_daemon.document_files import registry_document, site_policy
from homebred_daemon.errors import DetectionError, RequestError
from homebred_daemon.services.deciding import Decider
from homebred_engines.api import InvalidRequestError
from homebred_protocol.documents.policy import PRINCIPALS
from homebred_protocol.documents.task import content_text, read_task

app = typer.Typer(add_completion=False)


@app.command()
def route(
    *,
    policy: Annotated[Path, typer.Option(help="Policy file (TOML).")],
    registry: Annotated[Path, typer.Option(help="Registry file (JSON): specialists and their measured fitness.")],
    link: Annotated[Link, typer.Option(help="State of the link to a cloud model.")],
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One task a line on standard input.")] = False,
    ledger: Annotated[Path | None, typer.Option(help="Ledger file to append the decisions to.")] = None,
    now: Annotated[
        str | None, typer.Option(help="Time the decisions bear, ISO 8601 with zone; else the clock.")
    ] = None,
    caller: Annotated[list[str] | None, typer.Option(help="Who asks: uid:N, gid:N or token:NAME; repeatable.")] = None,
    ceiling: Annotated[Path | None, typer.Option(help="Site ceiling file (TOML) that bounds the policy.")] = None,
    gazetteer: Annotated[
        Path | None, typer.Option(help="What the site knows (JSON lines); else patterns alone.")
    ] = None,
    show_context: Annotated[
        bool, typer.Option("--show-context", help="Add what an escalation would send, masked.")
    ] = False,
) -> int:
    """Decide each task on standard input and print its decision record."""
    if not jsonl:
        raise RequestError("only --jsonl input is read here", hint="add --jsonl, and write one task a line")
    site = site_policy(policy, ceiling)
    registry_read = registry_document(registry)
    looks = local_detector(gazetteer)
    decider = Decider(
        policy=site.policy,
        registry=registry_read.required(),
        detector=looks,
        cloud_detector=cloud_detector(looks),
    )
    fixed_now = _instant(now) if now is not None else None
    principals = tuple(_principal(name) for name in caller or ())
    with journal(ledger, [*site.documents, registry_read]) as record:

        def answer(document: dict[str, Any]) -> dict[str, Any]:
            attached = attached_content(attachments_of(document))
            task = requiring(read_task(document), attached.requires)
            text, context = f"{content_text(document)}\n{attached.text}", _least(document, attached)
            at = fixed_now or datetime.now(UTC)
            considered = decider.consider(task, text, attached=attached.spans, link=link, now=at, caller=principals)
            try:
                inputs, decision = decider.measure(*considered, lambda: context)
            except DetectionError:
                inputs, decision = decider.consider_unsearched(considered[0])
            record(inputs, decision)
            shown = {"context": _shown(context, decision, decider)} if show_context else {}
            return {**decision_record(decision), "task_id": task.task_id, **shown}

        return answer_lines(answer)


def _least(document: dict[str, Any], attached: AttachedContent) -> MinimumContext:
    """What an escalation would need of a checked task document."""
    try:
        return minimum_context(
            turns_of(document),
            schema_of(document),
            tools=tools_of(document),
            documents=attached.documents,
            is_searchable=attached.is_searchable,
        )
    except InvalidRequestError as error:
        raise RequestError(f"the task cannot be read: {error.why}", hint=error.hint) from None


def _shown(context: MinimumContext, decision: RouteDecision, decider: Decider) -> dict[str, Any] | None:
    """What an escalation would send; None: the task would not be escalated."""
    if decision.selected_runtime is not Runtime.CLOUD_ESCALATION:
        return None
    sent = masked(context, decider.leaving_spans, Pseudonyms(secrets.token_bytes(KEY_BYTES)))
    return {
        "system": sent.system,
        "messages": [asdict(turn) for turn in sent.turns],
        "response_schema": sent.json_schema,
        "dropped_messages": sent.dropped_turns,
        "tools": [asdict(tool) for tool in sent.tools],
        "dropped_attachments": sent.dropped_attachments,
    }


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestError(
            f"--now {text!r} is not a time", hint="write ISO 8601, such as 2026-01-31T08:00:00Z"
        ) from error
    if instant.utcoffset() is None:
        raise RequestError(f"--now {text!r} has no time zone", hint=f"write {text}Z if it is UTC")
    return instant.astimezone(UTC)


def _principal(text: str) -> str:
    """A misspelt principal would match no caller profile, and so lift its limits."""
    kind, _, name = text.partition(":")
    if kind not in PRINCIPALS or not name or (kind != "token" and not name.isdecimal()):
        raise RequestError(f"--caller {text!r} is not a principal", hint="write uid:NUMBER, gid:NUMBER or token:NAME")
    return text
