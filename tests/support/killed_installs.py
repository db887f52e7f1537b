"""Ends a device that installs releases before its steps in turn, the way `kill -9` and the OOM killer do.

`python -m tests.support.killed_installs SCENARIO OUT EVERY` prepares a device, copies it to OUT/1, OUT/2, … and runs
the scenario on copy n in a child that kills itself before its n-th step, or every so many: a file-system call of
Python's below the device's folder, or a statement of SQLite's. It ends with the first child that survives, prints for
each what it was about to do, and leaves in OUT/n.told what the child had told.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.store_scenarios import SCENARIOS


def run_killed_before(number: int, scenario: str, root: Path, told: Path) -> str:
    """Runs the scenario in a child; what it was about to do, or `survived`."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        left = number

        def step(what: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                os.write(writer, what.encode())
                os.kill(os.getpid(), signal.SIGKILL)

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            place = arguments[0] if arguments else None
            if left and isinstance(place, str | Path) and str(place).startswith(f"{root}/"):
                step(f"{event} {Path(place).relative_to(root)}")

        def tell(text: str) -> None:
            with told.open("a") as file:
                file.write(text + "\n")

        _before_statements(step)
        sys.addaudithook(hook)
        SCENARIOS[scenario].act(root, tell)
        os.write(writer, b"survived")
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        what = file.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in {0, -signal.SIGKILL}:
        raise SystemExit(f"step {number}: the device ended with {status}")
    return what


def _before_statements(step: Callable[[str], None]) -> None:
    """A kill between two statements of a transaction, and before its commit; in this child alone."""
    connect = sqlite3.connect

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(lambda sql: step(sql.split("\n")[0][:40]) if _writes(sql) else None)
        return connection

    sqlite3.connect = traced  # type: ignore[assignment]  # of its overloads the product uses one


def _writes(sql: str) -> bool:
    return not sql.lstrip().upper().startswith(("SELECT", "PRAGMA", "--"))


def main() -> None:
    scenario, out, every = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    template = out / "template"
    template.mkdir()
    SCENARIOS[scenario].prepare(template)
    number, what = 0, ""
    while what != "survived":
        number += every
        root, told = out / str(number), out / f"{number}.told"
        shutil.copytree(template, root)
        told.touch()
        what = run_killed_before(number, scenario, root, told)
        sys.stdout.write(f"{number} {what}\n")


if __name__ == "__main__":
    main()
