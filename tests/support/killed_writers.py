"""Ends a writer of the model store before each of its steps in turn, the way `kill -9` and the OOM killer do.

`python -m tests.support.killed_writers SCENARIO OFFER TEMPLATE OUT` copies the store TEMPLATE to OUT/1, OUT/2, … and
runs the scenario on copy n in a child that kills itself before its n-th step: a file-system call of Python's below the
store, or a report of progress. It ends with the first child that survives, and prints for each what it was about to do.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.stored_specialists import measured

from homebred_daemon.adapters.model_store import ModelStore

Step = Callable[[str], None]
SPECIALIST = "parrot"


def add(store: ModelStore, offer: Path, step: Step) -> None:
    store.add(offer, progress=lambda what, _done, _total: step(what))


def replace(store: ModelStore, offer: Path, step: Step) -> None:
    store.add(offer, replaces=True, progress=lambda what, _done, _total: step(what))


def remove(store: ModelStore, offer: Path, step: Step) -> None:
    store.remove(SPECIALIST)


def record(store: ModelStore, offer: Path, step: Step) -> None:
    store.record_fitness(SPECIALIST, {"say.again": measured(store.get(SPECIALIST))})


SCENARIOS = {scenario.__name__: scenario for scenario in (add, replace, remove, record)}


def run_killed_before(number: int, scenario: str, offer: Path, root: Path, told: Path) -> bool:
    """Runs the scenario in a child; whether it survived."""
    child = os.fork()
    if not child:
        left = number

        def step(what: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                told.write_text(what)
                os.kill(os.getpid(), signal.SIGKILL)

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            place = arguments[0] if arguments else None
            if left and isinstance(place, str | Path) and str(place).startswith(str(root)):
                step(f"{event} {Path(place).relative_to(root)}")

        sys.addaudithook(hook)
        SCENARIOS[scenario](ModelStore(root), offer, step)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def main() -> None:
    scenario = sys.argv[1]
    offer, template, out = map(Path, sys.argv[2:])
    number, survived = 0, False
    while not survived:
        number += 1
        root, told = out / str(number), out / f"{number}.txt"
        shutil.copytree(template, root)
        survived = run_killed_before(number, scenario, offer, root, told)
        sys.stdout.write(f"{number} {told.read_text() if told.exists() else 'survived'}\n")


if __name__ == "__main__":
    main()
