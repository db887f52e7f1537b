"""`homebred-fleet gazetteer`: what a site knows by name, sent to its devices alone.

The list holds names of patients: the controller has it, and what is signed is a manifest that names it by its digest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from homebred_fleet.cli import assigning
from homebred_fleet.cli.asking import CohortOption, DeviceOption, FilterOption, ProfileOption, asking, body_of, target
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.showing import show_table, time_text
from homebred_fleet.cli.signing import OutputOption, write_new
from homebred_protocol.documents.gazetteer_manifest import MAX_LIST_BYTES, GazetteerManifest, gazetteer_manifest
from homebred_protocol.targets import Kind

app = typer.Typer(add_completion=False)


@app.callback()
def gazetteer() -> None:
    """Give the controller a site's names, and assign them to the site's devices once they are signed for."""


@app.command()
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines of text, class and aliases.")],
    *,
    site: Annotated[str, typer.Option("--site", help="Whose it is: no device of another site ever gets it.")],
    output: OutputOption,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a list, give it to the controller, and write the manifest that is signed in its place."""
    added = asking(profile).upload("documents", "gazetteer", body=body_of(file, max_bytes=MAX_LIST_BYTES), site=site)
    manifest = gazetteer_manifest(GazetteerManifest(digest=added["digest"], length=added["length"]))
    write_new(output, manifest)
    if as_json:
        write_json({**added, "manifest": str(output)})
        return
    typer.echo(f"{output} names {added['digest']}, {added['length']} bytes, of {site} alone")
    typer.echo(f"next: homebred-fleet repository add FOLDER {output} --path gazetteers/{site}/NAME/NUMBER.toml")


@app.command()
def assign(
    path: Annotated[str, typer.Argument(metavar="PATH", help="As it is signed: gazetteers/clinic-east/names/3.toml.")],
    *,
    device: DeviceOption = "",
    filter_text: FilterOption = "",
    cohort: CohortOption = "",
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the site's devices to take a gazetteer; all of them, if none is named."""
    wanted = assigning.target_of(Kind.GAZETTEER, path)
    named = device or filter_text or cohort
    whom = target(device, filter_text, cohort) if named else {"filter": f"site=={wanted.group}"}
    assigning.assign(wanted.path, whom, profile=profile, as_json=as_json)


@app.command()
def reset(
    *,
    device: DeviceOption = "",
    filter_text: FilterOption = "",
    cohort: CohortOption = "",
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give devices their own configured gazetteer back."""
    assigning.reset(Kind.GAZETTEER, target(device, filter_text, cohort), profile=profile, as_json=as_json)


@app.command("list")
def list_(*, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """List the lists that the controller has, the newest first; not what stands in them."""
    found = asking(profile).get("documents")
    if as_json:
        write_json(found)
        return
    rows = [
        (one["digest"], one["site"], one["length"], one["added_by"], time_text(one["added_at_s"]))
        for one in found["documents"]
    ]
    show_table(("digest", "site", "bytes", "by", "added"), rows, none="there are no lists")
