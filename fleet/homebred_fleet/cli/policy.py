"""`homebred-fleet policy`: assign policies to devices, and see what is assigned."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from homebred_fleet.cli.asking import CohortOption, DeviceOption, FilterOption, ProfileOption, asking, target
from homebred_fleet.cli.assigning import assign as assign_document
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.showing import show_table, time_text
from homebred_fleet.errors import NotFoundError

app = typer.Typer(add_completion=False)
SiteOption = Annotated[str, typer.Option("--site", help="Bind it to a site: no other may ever have it.")]


@app.callback()
def policy() -> None:
    """Assign policies to devices, and see what is assigned."""


@app.command()
def assign(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A policy, as `homebred policy check` takes it.")],
    *,
    device: DeviceOption = "",
    filter_text: FilterOption = "",
    cohort: CohortOption = "",
    site: SiteOption = "",
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a policy and ask devices to take it; a device that refuses it keeps its old one and says why."""
    whom = target(device, filter_text, cohort)
    assign_document("policy", file, whom, site=site, profile=profile, as_json=as_json)


@app.command()
def reset(
    *,
    device: DeviceOption = "",
    filter_text: FilterOption = "",
    cohort: CohortOption = "",
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give devices their own configured policy back."""
    whom = target(device, filter_text, cohort)
    assign_document("policy", None, whom, site="", profile=profile, as_json=as_json)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="DEVICE|DIGEST", help="A device's id, or a whole digest.")],
    *,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the policy that is assigned to a device, or the document of a digest."""
    client = asking(profile)
    digest = (
        name if name.startswith("sha256:") else (client.get("devices", name)["assigned"] or {}).get("policy_digest")
    )
    if not digest:
        raise NotFoundError(f"no policy is assigned to {name}", hint="its own configuration holds there")
    text = client.fetch("documents", digest).decode("utf-8", errors="replace")
    if as_json:
        write_json({"digest": digest, "text": text})
    else:
        sys.stdout.write(text)


@app.command("list")
def list_(*, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """List policies and gazetteers that were ever assigned, the newest first."""
    found = asking(profile).get("documents")
    if as_json:
        write_json(found)
        return
    rows = [
        (
            one["kind"],
            one["digest"],
            one["site"] or "every site",
            one["length"],
            one["added_by"],
            time_text(one["added_at_s"]),
        )
        for one in found["documents"]
    ]
    show_table(("kind", "digest", "site", "bytes", "by", "added"), rows, none="there are no documents")
