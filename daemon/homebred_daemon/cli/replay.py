"""homebred replay: decides every decision of a ledger file again. It writes nothing, not even into the ledger."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.cli.exits import Exit, write_json
from homebred_daemon.services.replaying import ReplayReport
from homebred_daemon.services.replaying import replay as replay_ledger

FIRST = 10

app = typer.Typer()


@app.command()
def replay(
    *,
    ledger: Annotated[Path, typer.Option(help="Ledger file, as `homebred route --ledger` or the daemon writes it.")],
    json: Annotated[bool, typer.Option("--json", help="Errors as JSON too; the result always is.")] = False,
) -> int:
    """Decide every recorded decision again; exit status 1 where one differs, or a row is altered or gone."""
    del json
    with closing(SqliteLedger(ledger, read_only=True)) as opened:
        report = replay_ledger(opened)
    write_json(_record(report))
    return Exit.OK if report.is_sound else Exit.NEGATIVE


def _record(report: ReplayReport) -> dict[str, Any]:
    """The two counts, and whatever else there is to tell."""
    record: dict[str, Any] = {"decisions": report.decisions, "mismatches": len(report.mismatches)}
    record |= {name: number for name, number in asdict(report.check).items() if number}
    if report.check.unfinished == report.decisions:
        record.pop("unfinished", None)  # `homebred route` answers nothing: no decision of its ledgers has an outcome
    if report.mismatches:
        first = report.mismatches[:FIRST]
        record["first"] = [{"route_id": one.route_id, "fields": list(one.fields)} for one in first]
    return record
