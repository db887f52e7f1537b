"""Has system calls of a store's scenario fail, one after another, and has what each leaves checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Literal

from tests.support.power_cuts import REPOSITORY, scratch_folder
from tests.support.store_scenarios import SCENARIOS, Promised, Scenario

Tally = Counter[str]
"""How many runs ended how."""


def prove(scenario: str, error: str, when: Literal["once", "on"], *, sample: int, seed: int) -> Tally:
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
        options = [scenario, str(template), str(out), error, when, str(sample), str(seed)]
        command = [sys.executable, "-m", "tests.support.traced_writers", "fail", *options]
        environ = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        for ended in map(json.loads, done.stdout.splitlines()):
            _check(SCENARIOS[scenario], ended, out)
            tally[ended["ended"]] += 1
    return tally


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
