"""The table of commands, and the group that imports a command's module only when that command runs."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typing_extensions import override

from homebred_fleet.cli.exits import Exit, discard_output

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module with a typer `app`, its line in `homebred-fleet --help`)
    "init": ("homebred_fleet.cli.init", "Make a controller's folder: authority, keys, first admin, broker."),
    "serve": ("homebred_fleet.cli.serve", "Run the controller."),
    "broker": ("homebred_fleet.cli.broker", "Print or write the broker's configuration."),
    "authority": ("homebred_fleet.cli.authority", "Show the fleet's fingerprint, or make another issuer."),
    "admins": ("homebred_fleet.cli.admins", "Give somebody an admin's certificate, on the controller's machine."),
    "devices": ("homebred_fleet.cli.devices", "See who is in the fleet, how each device is, and why."),
    "tokens": ("homebred_fleet.cli.tokens", "Make, list and withdraw enrolment tokens."),
    "labels": ("homebred_fleet.cli.labels", "Set and remove labels of a device."),
    "cohorts": ("homebred_fleet.cli.cohorts", "Name filters of devices."),
    "policy": ("homebred_fleet.cli.policy", "Assign policies to devices, and see what is assigned."),
    "bundle": ("homebred_fleet.cli.bundle", "Make a folder that is carried to devices that no network reaches."),
    "receipts": ("homebred_fleet.cli.receipts", "See what became of releases on devices, as each has signed it."),
    "gazetteer": ("homebred_fleet.cli.gazetteer", "Assign a site's gazetteer to its devices."),
    "commands": ("homebred_fleet.cli.commands", "Give devices commands, and see what became of them."),
    "release": (
        "homebred_fleet.cli.release",
        "Build what may be signed for devices, and have them run it.",
    ),
    "stop": ("homebred_fleet.cli.stop", "Stop the whole fleet, or let it go on."),
    "telemetry": ("homebred_fleet.cli.telemetry", "Ask what the fleet's telemetry says."),
    "keys": ("homebred_fleet.cli.keys", "Make keys that sign what may run, and sign where no network is."),
    "repository": ("homebred_fleet.cli.repository", "Say what may ever run on devices, sign it, and publish it."),
    "director": ("homebred_fleet.cli.director", "Begin the root of who says what runs now."),
    "audit": ("homebred_fleet.cli.audit", "See who changed what, and check the record."),
}

EPILOG = (
    "Exit status: 0 done; 1 done, and the answer is no (a mismatch, a problem found); 2 command line, configuration "
    "or input file cannot be used; 3 the controller does not answer; 4 refused; 5 failed; 130 interrupted; 141 output "
    "closed."
)

COMPLETION_OPTIONS = frozenset({"install_completion", "show_completion"})


class LazyGroup(TyperGroup):
    """Knows its commands by name and summary; loads one when it is resolved."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, (_, summary) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=summary, rich_markup_mode=None))

    @override
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:  # typer would call it status 1, which here is an answer
            discard_output()
            raise typer.Exit(Exit.OUTPUT_CLOSED) from error

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, loaded(name) if name is not None else None, rest


def loaded(name: str) -> Any:
    """The command itself, made to look like its siblings."""
    module, _ = COMMANDS[name]
    command = get_command(importlib.import_module(module).app)
    command.name = name
    command.params = [one for one in command.params if one.name not in COMPLETION_OPTIONS]
    _plain(command)
    return command


def root() -> Any:
    """The command `homebred-fleet`."""
    app = typer.Typer(cls=LazyGroup, rich_markup_mode=None, epilog=EPILOG)
    app.callback()(homebred_fleet)
    return get_command(app)


def _print_version(asked: bool) -> None:  # noqa: FBT001  # typer calls it so
    if asked:
        from importlib.metadata import version  # noqa: PLC0415  # dear, and needed here alone

        typer.echo(f"homebred-fleet {version('homebred')}")
        raise typer.Exit


def homebred_fleet(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Keep a fleet of homebred devices in step."""


def _plain(command: Any) -> None:
    """Help as plain text, whatever a command's module chose: rich would cost every `--help` a tenth of a second."""
    command.rich_markup_mode = None
    command.no_args_is_help = False
    for nested in getattr(command, "commands", {}).values():
        _plain(nested)
