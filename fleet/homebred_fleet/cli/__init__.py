"""homebred-fleet: the controller's command line, and its admins'."""

from __future__ import annotations

from homebred_fleet.python_floor import require_python


def main() -> int:
    """Runs one command and returns the process's exit status."""
    require_python("homebred-fleet")
    from homebred_fleet.cli.running import run  # noqa: PLC0415  # newer syntax: only after the check above

    return run()
