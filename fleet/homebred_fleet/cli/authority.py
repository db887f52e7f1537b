"""`homebred-fleet authority`: the fleet's certificate authority, on the controller's machine."""

from __future__ import annotations

import typer

from homebred_fleet.adapters.certificate_authority import CertificateAuthority
from homebred_fleet.adapters.fleet_folder import FleetFolder
from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.app.rollover import new_issuer
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import ConfigOption, JsonOption, loaded

app = typer.Typer(add_completion=False)


@app.callback()
def authority() -> None:
    """Show the fleet's fingerprint, or make another issuer."""


@app.command()
def show(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the fingerprint that devices pin, and when each authority runs out."""
    opened = CertificateAuthority.opened(FleetFolder(loaded(config).paths.folder))
    ends = {one.subject.rfc4514_string(): one.not_valid_after_utc.date().isoformat() for one in opened.trusted}
    if as_json:
        write_json({"fingerprint": opened.root_fingerprint, "ends": ends})
    else:
        lines = (f"{name}: until {day}" for name, day in ends.items())
        typer.echo("\n".join((f"fingerprint: {opened.root_fingerprint}", *lines)))


@app.command()
def renew(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make another issuer, which issues from now on; needs the root's key. Both are trusted until the old one ends."""
    folder = FleetFolder(loaded(config).paths.folder)
    number = new_issuer(folder, unix_s())
    if as_json:
        write_json({"issuer": number})
    else:
        typer.echo(
            f"issuer {number} issues from the next start on\n"
            "now restart broker and controller: a broker reads whom it trusts at its start alone\n"
            f"then take {folder.root(folder.root_numbers()[-1]).key} offline again"
        )
