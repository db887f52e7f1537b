"""homebred redact: texts in, masked texts out, with the spans found, the classes they raise and the risk left."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from homebred_daemon.adapters.detectors.for_lanes import cloud_detector, local_detector, recognizer
from homebred_daemon.cli.json_lines import BadLineError, answer_lines
from homebred_daemon.core.residual_risk import residual_risk
from homebred_daemon.core.sensitivity import Detector, redaction_record
from homebred_daemon.document_files import policy_document
from homebred_daemon.errors import RequestError
from homebred_protocol.documents.policy import Policy

app = typer.Typer()


@app.command()
def redact(
    *,
    jsonl: Annotated[bool, typer.Option("--jsonl", help='One {"id", "text"} a line on standard input.')] = False,
    policy: Annotated[Path | None, typer.Option(help="Policy file (TOML): risk weights, classes of entities.")] = None,
    lane: Annotated[
        Literal["local", "cloud"], typer.Option(help="Lane the text is meant for; names are masked for cloud alone.")
    ] = "local",
    gazetteer: Annotated[
        Path | None, typer.Option(help="What the site knows (JSON lines); else patterns alone.")
    ] = None,
) -> int:
    """Mask the sensitive spans of each text on standard input."""
    if not jsonl:
        raise RequestError("only --jsonl input is read here", hint='add --jsonl, and write one {"id", "text"} a line')
    rules = policy_document(policy).required()
    detector = local_detector(gazetteer)
    with contextlib.ExitStack() as ending:
        return answer_lines(_answering(detector if lane == "local" else _for_cloud(detector, ending), rules))


def _answering(detector: Detector, rules: Policy) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def answer(document: dict[str, Any]) -> dict[str, Any]:
        name, text = document.get("id"), document.get("text")
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise BadLineError(
                "`id` is missing, or neither a string nor an integer", hint='write {"id": "...", "text": "..."}'
            )
        if not isinstance(text, str):
            raise BadLineError("`text` is missing or not a string", hint='write {"id": "...", "text": "..."}')
        spans = detector.detect(text)
        risk = residual_risk(text, spans, rules.risk_weights)
        return redaction_record(str(name), text, spans, extra=rules.detection_classes, risk=risk) | {"id": name}

    return answer


def _for_cloud(local: Detector, ending: contextlib.ExitStack) -> Detector:
    """With a recognizer of names where it is installed, which ends with the command; said once where it is not."""
    names = recognizer("auto", lambda _: None)  # a failure is told as the error of its line
    if names is not None:
        return cloud_detector(local, ending.enter_context(names))
    sys.stderr.write("no recognizer of names is installed (extra `ner`): the name lists alone are used\n")
    return cloud_detector(local)
