"""homebred doctor: checks what the daemon needs on this machine; says what, why, what next. It repairs nothing."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from homebred_daemon.cli.exits import Exit, write_json
from homebred_daemon.cli.finding import ERROR, OK, Finding

app = typer.Typer()


@app.command()
def doctor(
    *,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file; else HOMEBRED_CONFIG, else the default.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Check this machine; exit status 1 where the daemon could not do its work on it."""
    findings = list(_findings(config))
    failed = any(finding.status == ERROR for finding in findings)
    if json:
        write_json({"healthy": not failed, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            _show(finding)
    return Exit.NEGATIVE if failed else Exit.OK


def _findings(config: Path | None) -> Iterator[Finding]:
    """Every check, the machine's first; those of the settings only where there are settings."""
    from homebred_daemon.cli import engine_checks, fleet_checks, machine_checks, site_checks  # noqa: PLC0415  # dear, needed only here
    from homebred_daemon.config import load_with_origins  # noqa: PLC0415
    from homebred_daemon.errors import ConfigurationError  # noqa: PLC0415

    yield machine_checks.python_finding(sys.version_info[:3])
    yield machine_checks.clock_finding(datetime.now(UTC))
    yield machine_checks.open_files_finding(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield machine_checks.gpu_finding(machine_checks.gpu_devices())
    try:
        loaded = load_with_origins(config, {}, os.environ)
    except ConfigurationError as error:
        why = "the daemon does not start with it; state, policy, engine and socket were not checked"
        yield Finding(check="configuration", status=ERROR, what=error.message, why=why, next=error.hint)
        return
    source = str(loaded.file) if loaded.file is not None else "no file: defaults and variables"
    yield Finding(check="configuration", status=OK, what=source)
    settings = loaded.settings
    yield site_checks.state_folder_finding(settings.paths.state_dir)
    yield site_checks.policy_finding(
        settings.paths.state_dir,
        policy_file=settings.policy.file,
        ceiling_file=settings.policy.site_ceiling_file,
    )
    yield site_checks.gazetteer_finding(settings.detection.gazetteer_file)
    yield site_checks.recognizer_finding(settings.detection.recognizer, has_cloud=bool(settings.cloud.endpoints))
    yield from engine_checks.engine_findings(settings.engine.python)
    yield site_checks.metrics_finding(settings.metrics)
    yield site_checks.socket_finding(settings.paths.socket)
    yield from fleet_checks.fleet_findings(settings.paths.state_dir, os.environ, datetime.now(UTC))


def _show(finding: Finding) -> None:
    typer.echo(f"{finding.status:<8} {finding.check:<16} {finding.what}")
    if finding.why:
        typer.echo(f"{'':25} why:  {finding.why}")
    if finding.next:
        typer.echo(f"{'':25} next: {finding.next}")
