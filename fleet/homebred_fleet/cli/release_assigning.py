"""The commands of `homebred-fleet release` that say which devices should run what was signed: they ask a controller."""

from __future__ import annotations

from typing import Annotated

import typer

from homebred_fleet.cli import assigning
from homebred_fleet.cli.asking import CohortOption, DeviceOption, FilterOption, ProfileOption, asking, target
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.showing import show_table, time_text
from homebred_fleet.core.durations import counted


def assign(
    path: Annotated[str, typer.Argument(metavar="PATH", help="As it is signed, such as models/qa/intake/7.json.")],
    *,
    elsewhere: Annotated[
        bool, typer.Option("--elsewhere", help="Its files lie where devices look besides: a site's mirror, a store.")
    ] = False,
    device: DeviceOption = "",
    filter_text: FilterOption = "",
    cohort: CohortOption = "",
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have devices take it up in place of an older one; each proves it on itself before it serves it."""
    whom = {"elsewhere": elsewhere, **target(device, filter_text, cohort)}
    assigning.assign(path, whom, profile=profile, as_json=as_json)


def withdraw(
    line: Annotated[str, typer.Argument(metavar="LINE", help="A path without its number, such as models/qa/intake.")],
    *,
    device: DeviceOption = "",
    filter_text: FilterOption = "",
    cohort: CohortOption = "",
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask devices for it no longer; they keep what they serve. To have them stop serving, see `homebred-fleet stop`."""
    body = {"line": line, **target(device, filter_text, cohort)}
    found = asking(profile).send("POST", "releases", "withdrawals", body=body)
    if as_json:
        write_json(found)
    else:
        typer.echo(f"{found['line']} is asked of {counted(found['devices'], 'device')} no longer")


def assigned(*, filter_text: FilterOption = "", profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """List what is assigned, with how many devices should run it."""
    found = asking(profile).get("releases", filter=filter_text)
    if as_json:
        write_json(found)
        return
    rows = [(one["path"], one["devices"], time_text(one["set_at_s"])) for one in found["releases"]]
    show_table(("target", "devices", "last assigned"), rows, none="nothing is assigned")


COMMANDS = (assign, withdraw, assigned)
