"""`homebred-fleet telemetry`: what devices told, counted or one by one; what was lost; what could not be taken."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from homebred_fleet.cli.asking import FilterOption, HoursOption, LimitOption, ProfileOption, asking
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.showing import show_table, time_text

app = typer.Typer(add_completion=False)
Workflow = Annotated[str, typer.Option("--workflow", help="Of one workflow alone.")]
_UNSHOWN = frozenset({"boot_id", "route_id", "policy_digest", "lost_boot_id", "local_reason"})
"""Of an event's fields in a table; --json has them all."""


@app.callback()
def telemetry() -> None:
    """Ask what the fleet's telemetry says."""


@app.command()
def routes(
    *,
    filter_text: FilterOption = "",
    hours: HoursOption = 24,
    by: Annotated[
        str, typer.Option("--by", help="Some of workflow,reason,status,device,site,hour.")
    ] = "workflow,reason,status",
    workflow: Workflow = "",
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count routes, by hours of the devices' clocks."""
    found = asking(profile).get("telemetry", "routes", filter=filter_text, hours=hours, by=by, workflow=workflow)
    _tell(found, found["routes"], as_json=as_json, none="no routes in that time")


@app.command()
def events(
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="route, evidence, receipt, health or gap.")] = "route",
    *,
    filter_text: FilterOption = "",
    hours: HoursOption = 24,
    workflow: Workflow = "",
    limit: LimitOption = 100,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List events that came in the last hours, from the newest start of each device backwards."""
    asked = asking(profile).pages(
        "events",
        "before",
        "telemetry",
        "events",
        stream,
        limit=limit,
        filter=filter_text,
        hours=hours,
        workflow=workflow,
    )
    found = list(asked)
    _tell({"events": found}, found, as_json=as_json, none="no events in that time")


@app.command()
def gaps(*, filter_text: FilterOption = "", profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """List what was lost and counted, by device or controller."""
    found = asking(profile).get("telemetry", "gaps", filter=filter_text)
    _tell(found, found["gaps"], as_json=as_json, none="nothing was lost")


@app.command()
def accounts(*, filter_text: FilterOption = "", profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Show each device's books: what it recorded is its rows, and what is counted as lost on it or here."""
    found = asking(profile).get("telemetry", "accounts", filter=filter_text)
    _tell(found, found["accounts"], as_json=as_json, none="no device was heard of yet")


@app.command()
def quarantine(*, filter_text: FilterOption = "", profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """List what could not be taken, the newest first; --json has the first bytes of each."""
    found = asking(profile).get("telemetry", "quarantine", filter=filter_text)
    rows = [{name: value for name, value in one.items() if name != "sample_base64"} for one in found["quarantine"]]
    _tell(found, rows, as_json=as_json, none="everything could be taken")


def _tell(found: dict[str, Any], rows: list[dict[str, Any]], *, as_json: bool, none: str) -> None:
    if as_json:
        write_json(found)
        return
    names = [name for name in (rows[0] if rows else {}) if name not in _UNSHOWN and _is_said(name, rows)]
    show_table(
        [name.removesuffix("_s").replace("_", " ") for name in names], [_cells(one, names) for one in rows], none=none
    )


def _is_said(name: str, rows: list[dict[str, Any]]) -> bool:
    """Whether a column has anything in it."""
    return any(row[name] not in (None, "", []) for row in rows)


def _cells(row: dict[str, Any], names: list[str]) -> list[str]:
    return [_cell(name, row[name]) for name in names]


def _cell(name: str, value: Any) -> str:
    if (value is not None and name.endswith("at_s")) or name == "hour_s":
        return time_text(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(value) if isinstance(value, list) else ("" if value is None else str(value))
