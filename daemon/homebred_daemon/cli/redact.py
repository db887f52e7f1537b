"""homebred redact: texts in, masked texts out, with the spans found, the classes they raise and the risk left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from homebred_daemon.adapters.detectors.gazetteer_file import site_detector
from homebred_daemon.cli.json_lines import BadLineError, answer_lines
from homebred_daemon.core.residual_risk import residual_risk
from homebred_daemon.core.sensitivity import redaction_record
from homebred_daemon.document_files import policy_document
from homebred_daemon.errors import RequestError

app = typer.Typer()


@app.command()
def redact(
    *,
    jsonl: Annotated[bool, typer.Option("--jsonl", help='One {"id", "text"} a line on standard input.')] = False,
    policy: Annotated[Path | None, typer.Option(help="Policy file (TOML): risk weights, classes of entities.")] = None,
    lane: Annotated[
        Literal["local", "cloud"], typer.Option(help="Lane the text is meant for; both find the same in this version.")
    ] = "local",
    gazetteer: Annotated[
        Path | None, typer.Option(help="What the site knows (JSON lines); else patterns alone.")
    ] = None,
) -> int:
    """Mask the sensitive spans of each text on standard input."""
    del lane  # detection tiers of the cloud lane alone come with a later version
    if not jsonl:
        raise RequestError("only --jsonl input is read here", hint='add --jsonl, and write one {"id", "text"} a line')
    rules = policy_document(policy).required()
    detector = site_detector(gazetteer)

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

    return answer_lines(answer)
