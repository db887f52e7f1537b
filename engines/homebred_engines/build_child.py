"""Builds what an order on standard input says, in a process that gives way to all others: `python -m` this module.

    in      one line of JSON: the fields of `build.BuildOrder`, its `room` an object
    out     one line of JSON: {"built": what build.py says of it}, or why not: {"refused": …}, {"failed": …},
            {"unwritable": …}

It runs on any interpreter from 3.10, from a folder that holds only `homebred_engines` and `homebred_protocol`. It ends,
with the commands that it runs, on SIGTERM and when its standard input ends. The build bears no time: the same inputs
and the same builder give the same bytes (reproducible-builds.org, SOURCE_DATE_EPOCH).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import NoReturn

from homebred_engines import hardening
from homebred_engines.api import AdapterRefusedError, ModelRefusedError
from homebred_engines.build import BuildOrder, build
from homebred_engines.build_errors import BuildFailedError, BuildUnwritableError
from homebred_engines.edgellm_build import EngineRoom

EXIT_CODE_TERMINATED = 143
_NO_TIME = datetime.fromtimestamp(0, timezone.utc)
_PATHS = ("source", "adapter", "out")


def main() -> None:
    """Entry point; exits 0 where it could say what became of the order."""
    hardening.give_way()
    hardening.go_first_when_memory_ends(before_others=True)
    signal.signal(signal.SIGTERM, _end)
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer

    def tell(**said: object) -> None:
        output.write(json.dumps(said) + "\n")
        output.flush()

    order = read_order(_first_line())
    hardening.watch_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        manifest = build(order, now=_NO_TIME, hear=lambda _: None)
    except (ModelRefusedError, AdapterRefusedError) as error:
        tell(refused=f"{error.why} {error.hint}".strip())
    except BuildUnwritableError as error:
        tell(unwritable=error.why)
    except BuildFailedError as error:
        last = error.last_lines.splitlines()[-1:]
        tell(failed=" ".join([error.why, *last]))
    else:
        tell(built=asdict(manifest))


def written_order(order: BuildOrder) -> bytes:
    """An order as one line."""
    said = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(order).items()}
    return json.dumps(said).encode() + b"\n"


def read_order(line: bytes) -> BuildOrder:
    """The order in a line that `written_order` made."""
    said = json.loads(line)
    values = {each.name: said[each.name] for each in fields(BuildOrder)}
    paths = {name: Path(values[name]) if values[name] is not None else None for name in _PATHS}
    return BuildOrder(**{**values, **paths, "room": EngineRoom(**said["room"])})


def _first_line() -> bytes:
    """Read byte by byte: what comes after it is for whoever watches for the end."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit(0)  # nobody wants anything any more
        line += byte
    return line


def _end(number: int, _: object) -> NoReturn:
    """Out of the main thread's frame, so that the command that runs is ended, and its folder removed."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(EXIT_CODE_TERMINATED)


if __name__ == "__main__":
    main()
