"""One transfer through a thousand cuts: connections that break anywhere, and processes that are killed anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from tests.support.cutting_proxy import CuttingProxy
from tests.support.made_files import made
from tests.support.range_server import Script, range_server

from homebred_daemon.core.transfer import FRAME_BYTES

REPOSITORY = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is fetched, and how often it is disturbed."""

    frames: int
    kills: int
    cuts: int
    seed: int


def limits(random: Random) -> int:
    """Mostly within a frame; one in ten before or within the answer's head."""
    return random.randrange(200) if random.random() < 0.1 else random.randrange(600_000)


def prove(plan: Plan, folder: Path) -> str:
    """Runs one transfer to its end; what it has cost, as a sentence."""
    one = made(plan.frames * FRAME_BYTES - 12_345, seed=plan.seed)
    script = Script({f"/{one.file.digest.replace(':', '/')}": one.body})
    with (
        range_server(script) as url,
        CuttingProxy(int(url.rpartition(":")[2]), cuts=plan.cuts, seed=plan.seed, limit=limits) as proxy,
    ):
        arguments = [f"http://127.0.0.1:{proxy.port}", one.file.length, plan.seed, folder, plan.kills]
        command = [sys.executable, "-m", "tests.support.killed_transfers", *map(str, arguments)]
        environ = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    lives = [json.loads(line) for line in done.stdout.splitlines()]
    killed = sum(life["status"] != 0 for life in lives)
    assert (killed, proxy.cuts, lives[-1]["status"]) == (plan.kills, plan.cuts, 0)
    wasted = [0, *(life["read"] - life["held"] for life in lives)]
    lost = [after - before for before, after in pairwise(wasted)]
    assert min(lost) >= 0
    assert max(lost) <= FRAME_BYTES, "a kill costs a frame at most, and a cut nothing"
    assert lost[-1] == 0
    whole = folder / one.file.digest.removeprefix("sha256:")
    assert whole.read_bytes() == one.body
    assert list(folder.iterdir()) == [whole]
    peak_mib = max(life["peak_kib"] for life in lives) / 1024
    assert peak_mib < 256
    return (
        f"{plan.kills} kills and {plan.cuts} cuts in one transfer of {one.file.length / MIB:.0f} MiB: "
        f"{sum(lost) / MIB:.1f} MiB came again, at most {max(lost) / MIB:.2f} MiB after one of them; "
        f"{peak_mib:.0f} MiB of memory at most"
    )


def test_a_hundred_cuts_in_one_transfer_complete_and_none_costs_more_than_a_frame(tmp_path: Path) -> None:
    prove(Plan(frames=10, kills=15, cuts=85, seed=11), tmp_path / "staging")


@pytest.mark.thorough("a hundred and more kills")
@pytest.mark.timeout(600)
def test_a_thousand_cuts_in_one_transfer_complete_and_none_costs_more_than_a_frame(tmp_path: Path) -> None:
    print(prove(Plan(frames=80, kills=200, cuts=800, seed=12), tmp_path / "staging"))  # noqa: T201  # the figures
