"""Cuts the power at every operation of a recorded scenario, and has what the disk then holds checked.

For each boundary between operations: nothing unsynced kept, all of it kept, and seeded choices of some. What comes out
the same as before with the same promises is checked once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.support.disk import Disk, Held
from tests.support.operation_journal import OperationJournal, Synced, Told
from tests.support.store_scenarios import SCENARIOS, Promised

REPOSITORY = Path(__file__).parents[2]
_MEMORY = Path("/dev/shm")  # noqa: S108 - thousands of small folders: not worth a real disk's syncs


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One power cut: where it came, and what is left."""

    boundary: int
    """Operations that the program had done."""
    what: str
    """What was kept of the unsynced: `nothing`, `all`, `some 3`."""
    held: Held
    promised: Promised


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a proof went through."""

    operations: int = 0
    cuts: int = 0
    different: int = 0
    """Cuts that left something else than an earlier one; each of them was opened and checked."""


def recorded(scenario: str, folder: Path, packages: Path | None = None) -> OperationJournal:
    """The journal of one run of a scenario; `packages` are the product's packages to run, if not the installed ones."""
    root, trace = folder / "root", folder / "trace"
    root.mkdir(parents=True)
    SCENARIOS[scenario].prepare(root)
    journal = OperationJournal(root)
    command = [sys.executable, "-m", "tests.support.traced_writers", "record", scenario, str(root), str(trace)]
    path = f"{packages}:{REPOSITORY}" if packages else str(REPOSITORY)
    environ = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=True)
    ended = json.loads(done.stdout)
    assert ended["ended"] == "whole", ended
    journal.read(trace)
    return journal


def cuts(journal: OperationJournal, *, seed: int, choices: int) -> Iterator[Cut]:
    """Every power cut of a journal; `choices` random ones at each boundary."""
    disk, random = Disk(journal), Random(seed)
    told: list[str] = []
    told_at_sync: dict[str, int] = {}
    for boundary, operation in enumerate((None, *journal.operations)):
        if isinstance(operation, Told):
            told.append(operation.text)
        if isinstance(operation, Synced):
            told_at_sync[operation.path] = len(told)
        if operation is not None:
            disk.put(operation)
        promised = Promised(told=tuple(told), told_at_sync=dict(told_at_sync))
        whats = {"nothing": disk.after_losing_all(), "all": disk.after_losing_nothing()}
        whats |= {f"some {number}": disk.after_losing_some(random) for number in range(choices)}
        for what, held in whats.items():
            yield Cut(boundary=boundary, what=what, held=held, promised=promised)


def prove(scenario: str, journal: OperationJournal, *, seed: int, choices: int, every: int = 1) -> Tally:
    """Has the scenario check what every cut leaves, or those at every so many operations.

    Raises:
        AssertionError: a promise was broken; the message says after which operation.
    """
    tally = Tally(operations=len(journal.operations))
    seen: set[tuple[str, Promised | tuple[object, ...]]] = set()
    with scratch_folder() as scratch:
        for cut in cuts(journal, seed=seed, choices=choices):
            if cut.boundary % every:
                continue
            tally.cuts += 1
            key = (cut.held.digest(), (cut.promised.told, tuple(sorted(cut.promised.told_at_sync.items()))))
            if key in seen:
                continue
            seen.add(key)
            tally.different += 1
            _check(scenario, journal, cut, scratch / str(tally.different))
    return tally


def _check(scenario: str, journal: OperationJournal, cut: Cut, root: Path) -> None:
    cut.held.write(root)
    try:
        SCENARIOS[scenario].check(root, cut.promised)
    except Exception as error:
        last = [_told_of(operation) for operation in journal.operations[max(0, cut.boundary - 5) : cut.boundary]]
        raise AssertionError(
            f"{scenario}: the power went after operation {cut.boundary}, {cut.what} of the unsynced was kept: "
            f"{type(error).__name__}: {error}\nlast operations: " + "\n  ".join(last)
        ) from error
    finally:
        shutil.rmtree(root)


def _told_of(operation: object) -> str:
    text = repr(operation)
    return text if len(text) < 200 else f"{text[:200]}…"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder in memory where there is one."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as name:
        yield Path(name)
