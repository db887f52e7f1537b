"""The table of commands, and the group that imports a command's module only when that command runs."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typing_extensions import override

from homebred_daemon.cli.exits import Exit, discard_output

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module with a typer `app`, its line in `homebred --help`)
    "route": ("homebred_daemon.cli.route", "Decide tasks from JSON lines by policy and registry."),
    "redact": ("homebred_daemon.cli.redact", "Find and mask sensitive spans in texts from JSON lines."),
    "replay": ("homebred_daemon.cli.replay", "Decide every decision of a ledger again and compare."),
    "policy": ("homebred_daemon.cli.policy", "Print, check, show or set the policy."),
    "config": ("homebred_daemon.cli.config", "Show effective settings and where each came from."),
    "models": ("homebred_daemon.cli.models", "Add, list, remove and evaluate models."),
    "engines": ("homebred_daemon.cli.engines", "List engines, and build what they serve."),
    "ask": ("homebred_daemon.cli.ask", "Ask the daemon; the answer is streamed."),
    "review": ("homebred_daemon.cli.review", "Work the queue of tasks that a person must answer."),
    "feedback": ("homebred_daemon.cli.feedback", "Say how good an answer was."),
    "status": ("homebred_daemon.cli.status", "Show the state of every part of the daemon."),
    "drain": ("homebred_daemon.cli.drain", "Have the daemon take no more tasks, or take them again."),
    "log-level": ("homebred_daemon.cli.log_level", "Have the daemon write more or less about itself."),
    "enroll": ("homebred_daemon.cli.enroll", "Make this device a member of a fleet."),
    "fleet": ("homebred_daemon.cli.fleet", "Show this device's place in its fleet, and what its controller asks for."),
    "demo": ("homebred_daemon.cli.demo", "Tell the whole story on this machine, on real parts."),
    "doctor": ("homebred_daemon.cli.doctor", "Check what homebred needs on this machine."),
}

EPILOG = (
    "Exit status: 0 done; 1 done, and the answer is no (a mismatch, a problem found); 2 command line, configuration or "
    "input file cannot be used; 3 the daemon does not answer; 4 refused; 5 failed; 130 interrupted; 141 output closed."
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
    """The command `homebred`."""
    app = typer.Typer(cls=LazyGroup, rich_markup_mode=None, epilog=EPILOG)
    app.callback()(homebred)
    return get_command(app)


def _print_version(asked: bool) -> None:  # noqa: FBT001  # typer calls it so
    if asked:
        from importlib.metadata import version  # noqa: PLC0415  # dear, and needed here alone

        typer.echo(f"homebred {version('homebred')}")
        raise typer.Exit


def homebred(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Answer at home first: serve bred specialists on this device, and route by contract."""


def _plain(command: Any) -> None:
    """Help as plain text, whatever a command's module chose: rich would cost every `--help` a tenth of a second."""
    command.rich_markup_mode = None
    command.no_args_is_help = False
    for nested in getattr(command, "commands", {}).values():
        _plain(nested)
