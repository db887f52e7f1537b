"""Has system calls of a store's scenario fail, one after another, and has what each leaves checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import pytest
from tests.support.power_cuts import REPOSITORY, scratch_folder
from tests.support.store_scenarios import SCENARIOS, Promised, Scenario
from tests.support.traced_writers import Order

Tally = Counter[str]
"""How many runs ended how."""


class FailingDisks:
    """A process that has all stores imported, and forks a child for each run of a scenario."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.traced_writers", "fail"],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()
        self._errors.close()

    def prove(self, scenario: str, error: str, when: Literal["once", "on"], *, sample: int, seed: int) -> Tally:
        """Runs the scenario with each of its calls failing (`sample` of them; 0: all).

        Raises:
            AssertionError: it ended otherwise than with an error for people, or the store is not what it promised.
        """
        tally: Tally = Counter()
        with scratch_folder() as folder:
            template, out = folder / "template", folder / "out"
            template.mkdir()
            out.mkdir()
            SCENARIOS[scenario].prepare(template)
            order = Order(
                scenario=scenario,
                template=str(template),
                out=str(out),
                error=error,
                when=when,
                sample=sample,
                seed=seed,
            )
            for ended in self._runs(order):
                _check(SCENARIOS[scenario], ended, out)
                tally[ended["ended"]] += 1
        return tally

    def _runs(self, order: Order) -> list[dict[str, Any]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        runs = []
        while (line := self._process.stdout.readline()) != "\n":
            assert line, self._said()
            runs.append(json.loads(line))
        return runs

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode()


@pytest.fixture(scope="session")
def failing_disks() -> Iterator[FailingDisks]:
    """One for all proofs: to import the stores takes longer than most of these."""
    disks = FailingDisks()
    yield disks
    disks.close()


def _check(scenario: Scenario, ended: dict[str, object], out: Path) -> None:
    failed = (out / f"{ended['number']}.trace").read_text()
    assert ended["ended"] != "defect", f"{ended}\n{failed}"
    if ended["ended"] == "refused":
        error = ended["error"]
        assert isinstance(error, dict)
        assert error["code"] == "bad_state", ended
        assert error["message"]
        assert error["hint"]
    told = tuple(ended["told"]) if isinstance(ended["told"], list) else ()
    try:  # the power stayed on: whatever was acknowledged is there
        scenario.check(
            out / str(ended["number"]), Promised(told=told, told_at_sync=dict.fromkeys(scenario.logs, len(told)))
        )
    except Exception as error:
        raise AssertionError(f"{ended}: {type(error).__name__}: {error}\n{failed}") from error
