"""Measures how a release's bytes come to a device: verified and written, with what memory and what disk."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.bench.daemons import ROOT
from tests.bench.figures import Aim, Bench, Conditions, Found

MIB = 1024 * 1024
SIDE = (sys.executable, "-m", "tests.bench.transfer_side")

AIMS = (
    Aim(name="transfer.apply_mb_s_core", unit="MB/s", better="higher", target=400),
    Aim(name="transfer.fetch_mb_s_core", unit="MB/s", better="higher"),
    Aim(name="transfer.fetch_s_to_curl", unit="ratio"),
    Aim(name="transfer.peak_rss_mb", unit="MB", target=256),
    Aim(name="transfer.disk_ratio", unit="ratio", target=1.02),
)


def _transfer(conditions: Conditions) -> Mapping[str, Found]:
    length = conditions.rounds(2048, 256) * MIB
    sides: dict[str, list[Mapping[str, float]]] = {"apply": [], "plain": [], "fetch": [], "curl": []}
    with tempfile.TemporaryDirectory(dir=ROOT) as name, _served(length) as url:
        for _ in range(conditions.rounds(3, 1)):
            for mode in ("plain", "apply", "fetch"):
                sides[mode].append(_side(mode, length, Path(name) / mode, url))
            sides["curl"].append(_curl(Path(name) / "curl", url))
    return _found(length, sides)


def _found(length: int, sides: Mapping[str, list[Mapping[str, float]]]) -> Mapping[str, Found]:
    size = f"a bundle of {length / 1e6:.0f} MB, on this machine's own disk; median of {len(sides['apply'])}"
    rates = {mode: median(length / 1e6 / one["cpu_s"] for one in sides[mode]) for mode in ("apply", "plain", "fetch")}
    to_curl = [ours["wall_s"] / curls["wall_s"] for ours, curls in zip(sides["fetch"], sides["curl"], strict=True)]
    both = [*sides["apply"], *sides["fetch"]]
    return {
        "transfer.apply_mb_s_core": Found(
            value=rates["apply"],
            reference=rates["plain"],
            note=f"{size}; bytes by processor seconds of a process that takes frames from memory, verifies each and the"
            " whole, writes, journals and flushes them; reference: the same bytes digested once and written",
        ),
        "transfer.fetch_mb_s_core": Found(
            value=rates["fetch"],
            note=f"{size}; the same from a server on loopback over HTTP, processor seconds of the device's side",
        ),
        "transfer.fetch_s_to_curl": Found(
            value=median(to_curl),
            reference=1.0,
            note=f"{size}; from the first request to the verified file under its name, as a ratio to `curl` into a file"
            f" and one SHA-256 of it ({median(one['wall_s'] for one in sides['curl']):.2f} s), which has no frames and"
            " flushes nothing, in turn",
        ),
        "transfer.peak_rss_mb": Found(
            value=max(one["peak_mb"] for one in both), note=f"{size}; the most that either side's process ever took"
        ),
        "transfer.disk_ratio": Found(
            value=max(one["disk_ratio"] for one in both),
            note=f"{size}; the most blocks below the folder at any frame and while it gets its place, by the bundle",
        ),
    }


def _side(mode: str, length: int, folder: Path, url: str) -> Mapping[str, float]:
    try:
        command = [*SIDE, mode, str(length), str(folder), url]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        measured: Mapping[str, float] = json.loads(done.stdout)
        return measured
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _curl(target: Path, url: str) -> Mapping[str, float]:
    """What a person would do by hand."""
    try:
        begun_s = time.perf_counter()
        subprocess.run(["curl", "--silent", "--fail", "--output", str(target), f"{url}/bundle"], check=True)
        with target.open("rb") as file:
            hashlib.file_digest(file, "sha256")
        return {"wall_s": time.perf_counter() - begun_s}
    finally:
        target.unlink(missing_ok=True)


@contextmanager
def _served(length: int) -> Iterator[str]:
    server = subprocess.Popen([*SIDE, "serve", str(length)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None  # it was asked for
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.communicate()


TRANSFER = Bench(name="transfer", aims=AIMS, run=_transfer)
