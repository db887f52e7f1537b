"""Runs one command line: an error becomes what and what next, a signal or a closed pipe ends it quietly."""

from __future__ import annotations

import signal
import sys
import traceback

import typer

from homebred_fleet.cli.exits import Exit, discard_output, exit_of, show_error
from homebred_fleet.cli.mounting import root
from homebred_fleet.errors import FleetError


def run() -> int:
    """Runs the command that the process was started with, and returns its exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: with what is open put in order
    status = _status(sys.argv[1:] or ["--help"])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return Exit.OUTPUT_CLOSED
    return status


def _status(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        return int(root().main(arguments, prog_name="homebred-fleet", standalone_mode=False) or Exit.OK)
    except FleetError as error:
        show_error(error.record(), as_json=as_json)
        return exit_of(error)
    except typer.TyperException as error:
        show_error(_usage(error), as_json=as_json)
        return Exit.USAGE
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the outermost frame: a defect is shown whole, in the form of any error
        traceback.print_exc()
        hint = "please report it, with what is printed above"
        message = f"homebred-fleet has a defect: {type(error).__name__}"
        show_error({"code": "internal", "message": message, "hint": hint}, as_json=as_json)
        return Exit.FAILED


def _usage(error: typer.TyperException) -> dict[str, str]:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "homebred-fleet"
    return {"code": "bad_usage", "message": error.format_message(), "hint": f"see `{command} --help`"}
