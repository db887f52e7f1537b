"""What a command's exit status means, and how an error is shown: to a person on stderr, to a program on stdout."""

from __future__ import annotations

import json
import os
import sys
from enum import IntEnum

from homebred_fleet.errors import FleetError


class Exit(IntEnum):
    """Every status that `homebred-fleet` ends with; the same as of `homebred`."""

    OK = 0
    NEGATIVE = 1
    """The command did its work and the answer is no: a mismatch, a problem found, a failed check."""
    USAGE = 2
    """The command line, the configuration or a file it names cannot be used; nothing was done."""
    UNREACHABLE = 3
    """The controller does not answer."""
    REFUSED = 4
    """Not permitted, too many requests, or somebody else was faster."""
    FAILED = 5
    """The controller's own files, its database or homebred itself failed."""
    INTERRUPTED = 130
    """Ctrl-C or a termination signal."""
    OUTPUT_CLOSED = 141
    """The reader of standard output went away, as `head` does."""


OF_CODE = {
    "bad_configuration": Exit.USAGE,
    "bad_request": Exit.USAGE,
    "bad_filter": Exit.USAGE,
    "not_found": Exit.USAGE,
    "controller_unreachable": Exit.UNREACHABLE,
    "not_permitted": Exit.REFUSED,
    "certificate_needed": Exit.REFUSED,
    "conflict": Exit.REFUSED,
    "other_bytes": Exit.REFUSED,
    "rate_limited": Exit.REFUSED,
}
"""Exit status by error code; every other code is FAILED."""


def exit_of(error: FleetError) -> Exit:
    """The status that an error ends the process with."""
    return OF_CODE.get(error.code, Exit.FAILED)


def show_error(error: dict[str, str], *, as_json: bool) -> None:
    """Shows an error's `code`, `message` and `hint`."""
    if as_json:
        write_json({"error": error})
    else:
        sys.stderr.write(f"error: {error['message']}\nnext:  {error['hint']}\n")


def write_json(value: object) -> None:
    """One line of JSON on standard output, in ASCII so that no locale can spoil it."""
    sys.stdout.write(json.dumps(value) + "\n")


def discard_output() -> None:
    """Sends what is still buffered for a closed standard output nowhere, or Python would complain of it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
