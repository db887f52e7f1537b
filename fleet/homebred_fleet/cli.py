"""homebred-fleet: the controller's command line. This version has no controller commands, and says so."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version

FLOOR = (3, 11)
EXIT_USAGE = 2
HAS_NO_COMMANDS = "This version has no controller commands: a device answers on its own, see `homebred --help`."


def main() -> int:
    """Prints version or help; anything else is refused with status 2."""
    if not _is_new_enough("homebred-fleet"):
        return EXIT_USAGE
    parser = argparse.ArgumentParser(prog="homebred-fleet", description=HAS_NO_COMMANDS)
    parser.add_argument("--version", action="version", version=f"homebred-fleet {version('homebred')}")
    _, commands = parser.parse_known_args()
    if commands:
        sys.stderr.write(f"error: {commands[0]!r} is not a command. {HAS_NO_COMMANDS}\n")
        sys.stderr.write("next:  use a later version for a fleet\n")
        return EXIT_USAGE
    parser.print_help()
    return 0


def _is_new_enough(program: str, running: tuple[int, ...] = sys.version_info[:3]) -> bool:
    """The package installs on 3.10 for the engine worker alone."""
    if running[:2] >= FLOOR:
        return True
    needed, found = ".".join(map(str, FLOOR)), ".".join(map(str, running))
    sys.stderr.write(f"error: {program} needs Python {needed} or newer; {sys.executable} is Python {found}\n")
    sys.stderr.write(f"next:  install it under Python {needed} or newer\n")
    return False
