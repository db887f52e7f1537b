"""homebred: the command line. Commands that need the daemon ask it; the others run in their own process."""

from __future__ import annotations

from homebred_daemon.python_floor import require_python


def main() -> int:
    """Runs one command and returns the process's exit status."""
    require_python("homebred")
    from homebred_daemon.cli.running import run  # noqa: PLC0415  # newer syntax: only after the check above

    return run()
