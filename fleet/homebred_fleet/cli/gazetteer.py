"""`homebred-fleet gazetteer`: what a site knows by name, sent to its devices alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from homebred_fleet.cli.asking import CohortOption, DeviceOption, FilterOption, ProfileOption, target
from homebred_fleet.cli.assigning import assign as assign_document
from homebred_fleet.cli.options import JsonOption

app = typer.Typer(add_completion=False)


@app.callback()
def gazetteer() -> None:
    """Assign a site's gazetteer to its devices."""


@app.command()
def assign(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines of text, class and aliases.")],
    *,
    site: Annotated[str, typer.Option("--site", help="Whose it is: no device of another site ever gets it.")],
    device: DeviceOption = "",
    filter_text: FilterOption = "",
    cohort: CohortOption = "",
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a gazetteer and ask the site's devices to take it; all of them, if none is named."""
    named = device or filter_text or cohort
    whom = target(device, filter_text, cohort) if named else {"filter": f"site=={site}"}
    assign_document("gazetteer", file, whom, site=site, profile=profile, as_json=as_json)


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
    whom = target(device, filter_text, cohort)
    assign_document("gazetteer", None, whom, site="", profile=profile, as_json=as_json)
