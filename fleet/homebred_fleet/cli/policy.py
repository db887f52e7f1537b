"""`homebred-fleet policy`: assign signed policies to devices, and see what is assigned."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from homebred_fleet.adapters.admin_client import AdminClient
from homebred_fleet.cli import assigning
from homebred_fleet.cli.asking import CohortOption, DeviceOption, FilterOption, ProfileOption, asking, target
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.showing import show_table, time_text
from homebred_fleet.errors import NotFoundError
from homebred_protocol.targets import Kind

app = typer.Typer(add_completion=False)


@app.callback()
def policy() -> None:
    """Assign signed policies to devices, and see what is assigned."""


@app.command()
def assign(
    path: Annotated[str, typer.Argument(metavar="PATH", help="As it is signed: policies/clinic-east/main/3.toml.")],
    *,
    device: DeviceOption = "",
    filter_text: FilterOption = "",
    cohort: CohortOption = "",
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask devices of its site to take a policy; one that refuses it keeps its old one and says why."""
    wanted = assigning.target_of(Kind.POLICY, path)
    assigning.assign(wanted.path, target(device, filter_text, cohort), profile=profile, as_json=as_json)


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
    assigning.reset(Kind.POLICY, target(device, filter_text, cohort), profile=profile, as_json=as_json)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="DEVICE|PATH", help="A device's id, or a signed policy's name.")],
    *,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the policy that is assigned to a device, or one by its name."""
    client = asking(profile)
    path = name if "/" in name else _assigned_to(client, name)
    wanted = assigning.target_of(Kind.POLICY, path)
    text = client.fetch("releases", "targets", *wanted.path.split("/")).decode("utf-8", errors="replace")
    if as_json:
        write_json({"path": wanted.path, "text": text})
    else:
        sys.stdout.write(text)


@app.command("list")
def list_(*, filter_text: FilterOption = "", profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """List the policies that are assigned, with how many devices should have each."""
    found = _policies(asking(profile), filter_text)
    if as_json:
        write_json({"policies": found})
        return
    rows = [(one["path"], one["devices"], time_text(one["set_at_s"])) for one in found]
    show_table(("policy", "devices", "last assigned"), rows, none="no policy is assigned")


def _policies(client: AdminClient, filter_text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("releases", filter=filter_text)["releases"]
    return [one for one in found if one["path"].startswith(f"{Kind.POLICY.value}/")]


def _assigned_to(client: AdminClient, device: str) -> str:
    client.get("devices", device)  # says so where there is none
    for one in _policies(client, f"id=={device}"):
        return str(one["path"])
    raise NotFoundError(f"no policy is assigned to {device}", hint="its own configuration holds there")
