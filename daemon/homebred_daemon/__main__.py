"""`homebredd`: starts the daemon in the foreground."""

from __future__ import annotations

import sys

from homebred_daemon.python_floor import require_python


def main() -> int:
    """Runs until told to stop; exit status 0 after a clean stop, 2 where it refused to start."""
    require_python("homebredd")
    from homebred_daemon.app import run  # noqa: PLC0415  # an old interpreter must hear the floor, not a syntax error

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
