"""homebred policy: prints the annotated default policy, or says line by line what is wrong with one."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.cli.exits import Exit, write_json
from homebred_daemon.document_files import Complaint, built_in_policy, ceiling_document, policy_document
from homebred_protocol.documents.policy import advice, bounded

app = typer.Typer(help="Print the default policy, or check one.")


@app.command("default")
def default() -> None:
    """Print the policy that holds where a site names none, every key explained."""
    sys.stdout.write(built_in_policy().decode("utf-8"))


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="Policy file (TOML).")],
    *,
    ceiling: Annotated[Path | None, typer.Option(help="Site ceiling file that will bound it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Say what is wrong with a policy, and what a valid one may not have meant; exit status 1 where it is wrong."""
    read = policy_document(file)
    bound = ceiling_document(ceiling) if ceiling is not None else None
    complaints = [*read.complaints, *(bound.complaints if bound is not None else ())]
    holds = read.value
    if holds is not None and bound is not None and bound.value is not None:
        holds = bounded(holds, bound.value)
    warnings = advice(holds, default_detector().entity_types) if holds is not None else ()
    if json:
        problems = [asdict(complaint) for complaint in complaints]
        record = {"file": str(file), "digest": read.digest, "valid": not problems, "problems": problems}
        write_json({**record, "warnings": list(warnings)})
    else:
        _show(file, complaints, warnings)
    return Exit.NEGATIVE if complaints else Exit.OK


def _show(file: Path, complaints: list[Complaint], warnings: tuple[str, ...]) -> None:
    for complaint in complaints:
        typer.echo(str(complaint))
    for warning in warnings:
        typer.echo(f"warning: {warning}")
    if not complaints:
        typer.echo(f"{file} is a valid policy")
