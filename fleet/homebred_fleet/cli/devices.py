"""`homebred-fleet devices`: who is in the fleet, how each one is, why, and out with it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.cli.asking import FilterOption, LimitOption, ProfileOption, asking
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.receipts import show_receipts
from homebred_fleet.cli.showing import ago, labels_text, printable, short, show_fields, show_table, time_text

app = typer.Typer(add_completion=False)
Device = Annotated[str, typer.Argument(metavar="DEVICE", help="A device's id.")]
_SIGNS = {"ok": "  ", "note": "- ", "problem": "! "}


@app.callback()
def devices() -> None:
    """See who is in the fleet, how each device is, and why."""


@app.command("list")
def list_(
    *,
    filter_text: FilterOption = "",
    limit: LimitOption = 1000,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List devices, by id."""
    found = list(asking(profile).pages("devices", "after", "devices", limit=limit, filter=filter_text))
    if as_json:
        write_json({"devices": found})
        return
    now_s = unix_s()
    head = ("device", "site", "state", "online", "heard", "desired", "version", "policy", "labels")
    show_table(head, [_cells(one, now_s) for one in found], none="no device fits")


def _cells(one: dict[str, Any], now_s: int) -> tuple[str, ...]:
    return (
        one["id"],
        one["site"],
        one["state"],
        "yes" if one["online"] else "no",
        ago(one["heard_at_s"], now_s),
        one["desired"],
        one["software_version"],
        short(one["policy_digest"]),
        labels_text(one["labels"]),
    )


@app.command()
def show(device: Device, *, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Show all that is known of one device."""
    found = asking(profile).get("devices", device)
    if as_json:
        write_json(found)
        return
    now_s = unix_s()
    assigned, reported = found["assigned"] or {}, found["reported"] or {}
    show_fields(
        {
            "device": found["id"],
            "site": found["site"],
            "labels": labels_text(found["labels"]),
            "state": f"{found['state']} {found['revoke_reason']} {found['replaced_by']}".strip(),
            "enrolled": time_text(found["enrolled_at_s"]),
            "heard": ago(found["heard_at_s"], now_s),
            "online": "yes" if found["online"] else "no",
            "software": found["software_version"],
            "certificate": f"ends {ago(found['certificate_ends_at_s'], now_s)}",
            "desired": _desired_text(found),
            "policy": f"assigned {_digest(assigned, 'policy')}, in force {short(found['policy_digest']) or 'unknown'}",
            "gazetteer": f"assigned {_digest(assigned, 'gazetteer')}",
            "lost events": ", ".join(f"{count} {reason}" for reason, count in found["lost_events"].items()) or "none",
            "quarantined": ", ".join(f"{count} {cause}" for cause, count in found["quarantined"].items()) or "nothing",
        }
    )
    for part in reported.get("parts", []):
        typer.echo(printable(f"  {part.get('name')}: {part.get('state')} {part.get('problem', '')}".rstrip()))
    rows = [(one["boot_number"], one["stream"], one["up_to_seq"], one["events"]) for one in found["watermarks"]]
    typer.echo()
    show_table(("start", "stream", "up to", "events"), rows, none="no telemetry is stored")
    if found["receipts"]:
        typer.echo()
        show_receipts(found["receipts"])
    typer.echo(f"next: homebred-fleet devices why {found['id']}")


def _desired_text(found: dict[str, Any]) -> str:
    if found["assigned"] is None:
        return f"{found['desired']}: nothing was assigned"
    reported = "nothing yet" if found["reported_version"] is None else f"version {found['reported_version']}"
    return f"{found['desired']}: version {found['assigned']['version']}, reported {reported}"


def _digest(assigned: dict[str, Any], kind: str) -> str:
    return short(str(assigned.get(f"{kind}_digest", ""))) or "none"


@app.command()
def why(device: Device, *, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Explain why a device is as it is: what each rule finds, and what to do next."""
    found = asking(profile).get("devices", device, "why")
    if as_json:
        write_json(found)
        return
    for one in found["findings"]:
        typer.echo(printable(f"{_SIGNS[one['verdict']]}{one['rule']:<12}{one['what']}"))
        if one["hint"]:
            typer.echo(printable(f"  {'':<12}next: {one['hint']}"))


@app.command()
def revoke(
    device: Device,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever asks later.")],
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a device out of the fleet at once: HTTPS, broker and living session."""
    found = asking(profile).send("POST", "devices", device, "revoke", body={"reason": reason})
    if as_json:
        write_json(found)
    else:
        typer.echo(f"{device} is revoked" if found["revoked"] else f"{device} was out already")
