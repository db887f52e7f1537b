"""`homebred-fleet bundle`: a folder to be carried to devices that no network reaches."""

from __future__ import annotations

import base64
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from homebred_fleet.adapters.admin_client import AdminClient
from homebred_fleet.adapters.bundle_folder import BundleFolder
from homebred_fleet.cli.asking import CohortOption, DeviceOption, FilterOption, ProfileOption, asking, seconds, target
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.progress import byte_progress
from homebred_fleet.cli.showing import show_table, time_text
from homebred_fleet.core.durations import counted
from homebred_fleet.errors import ConflictError
from homebred_protocol.digests import digest_of
from homebred_protocol.trusted_files import image_target

app = typer.Typer(add_completion=False)
MEGABYTE: Final = 1_000_000
_README: Final = """\
A bundle of homebred: what devices may take up that no network reaches.

Devices:
{devices}

On each of them:    homebred models import FOLDER --wait 3600
What became of it:  homebred fleet receipts export FILE
At the controller:  homebred-fleet receipts import FILE

Nothing of it is trusted because it is here: a device takes what is signed for it, and nothing else. It can be taken up
until {until} (UTC) and cannot be called back before: no stop of the fleet reaches it. Destroy it where it is needed no
more. It holds what releases are made of, which may be confidential.
"""


@app.callback()
def bundle() -> None:
    """Make a folder that is carried to devices that no network reaches."""


@app.command()
def make(
    folder: Annotated[Path, typer.Option("-o", "--output", help="Folder to write; an earlier bundle is gone on with.")],
    *,
    device: DeviceOption = "",
    filter_text: FilterOption = "",
    cohort: CohortOption = "",
    leases: Annotated[str, typer.Option("--leases", help="How long devices may take it up, such as 30d.")] = "30d",
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all that devices need to take up what is assigned to them now. It cannot be called back."""
    client = asking(profile)
    order = {"lease_s": seconds(leases), **target(device, filter_text, cohort)}
    place = BundleFolder(folder)
    made = client.send("POST", "bundles", body=order)
    place.begin()
    blobs = {one["digest"]: one["length"] for one in made["blobs"]}
    place.forget_all_but(blobs)
    place.require_room(blobs, sum(map(len, made["signed"].values())))
    with byte_progress(sum(blobs.values())) as progress:
        for digest, length in blobs.items():
            place.keep_blob(digest, length, partial(_fetched, client), progress)
    for one in made["targets"]:
        body = client.fetch("releases", "targets", *one["path"].split("/"))
        if digest_of(body) != f"sha256:{one['sha256']}":
            raise ConflictError(f"{one['path']} was published anew just now", hint="make the bundle once more")
        place.keep_signed(image_target(one["path"], f"sha256:{one['sha256']}"), body)
    for name, text in made["signed"].items():
        place.keep_signed(name, base64.b64decode(text))
    leases_s = max(one["expires_at_s"] for one in made["devices"])
    until_s = min(leases_s, made["expires_at_s"])
    named = "\n".join(f"    {one['device']}, site {one['site']}" for one in made["devices"])
    place.finish(_README.format(devices=named, until=time_text(until_s)))
    _tell(folder, made, blobs, until_s, as_json=as_json)
    if until_s < leases_s and not as_json:
        typer.echo(
            "What people have signed expires before the leases: have it signed anew (repository renew) for more."
        )


def _fetched(client: AdminClient, digest: str, begin: int) -> Any:
    return client.stream("bundles", "blobs", digest.removeprefix("sha256:"), begin=begin)


def _tell(folder: Path, made: dict[str, Any], blobs: dict[str, int], until_s: int, *, as_json: bool) -> None:
    total_bytes = sum(blobs.values())
    if as_json:
        write_json(
            {
                "folder": str(folder),
                "devices": made["devices"],
                "until_s": until_s,
                "targets": [one["path"] for one in made["targets"]],
                "files": len(blobs),
                "bytes": total_bytes,
            }
        )
        return
    rows = [(one["device"], one["site"], time_text(min(one["expires_at_s"], until_s))) for one in made["devices"]]
    show_table(("device", "site", "to be taken up until"), rows, none="")
    typer.echo(f"{folder}: {counted(len(blobs), 'file')} of releases, {total_bytes / MEGABYTE:.1f} MB")
    typer.echo(f"It cannot be called back: until {time_text(until_s)} (UTC) no stop of the fleet reaches who has it.")
    typer.echo(f"next: on each device, homebred models import {folder}")
