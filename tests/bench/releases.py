"""Measures how fast a release is built, beside a plain copy with one digest, and how dear a manifest is to read.

Both write to the disk that holds the temporary folder, and wait for it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from tests.bench.figures import Aim, Bench, Conditions, Found
from tests.support.release_manifests import SMALL, file_document, written
from tests.support.release_sources import write_source

from homebred_fleet.adapters.release_building import build_release
from homebred_protocol.documents.release import read_release
from homebred_protocol.documents.release_values import FRAME_BYTES

SPEED, MEMORY, MANIFEST = "release.build_mb_s", "release.build_peak_mb", "release.read_manifest_ms"
_BUILDING = (
    "import sys; from pathlib import Path; from homebred_fleet.adapters.release_building import build_release;"
    "build_release(Path(sys.argv[1]), Path(sys.argv[2])); print(Path('/proc/self/status').read_text())"
)


def _measured(conditions: Conditions) -> Mapping[str, Found]:
    frames = conditions.rounds(256, 16)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        source = write_source(scratch / "source")
        with (source / "base.gguf").open("wb") as file:
            for _ in range(frames):
                file.write(os.urandom(FRAME_BYTES))
        megabytes = frames * FRAME_BYTES / 1e6
        built, copied = [], []
        for number in conditions.paced(5, at_most_s=60):
            begun_s = time.perf_counter()
            build_release(source, scratch / f"built-{number}")
            built.append(megabytes / (time.perf_counter() - begun_s))
            copied.append(megabytes / _copied_s(source / "base.gguf", scratch / "copy"))
        peak_mb = _peak_mb(source, scratch / "apart")
    note = f"a model of {megabytes:.0f} MB, median of {len(built)}; reference: a copy with one SHA-256 and one fsync"
    return {
        SPEED: Found(value=median(built), reference=median(copied), note=note),
        MEMORY: Found(value=peak_mb, note="resident at most, the interpreter included"),
        MANIFEST: _manifest(conditions),
    }


def _copied_s(origin: Path, target: Path) -> float:
    begun_s, digest = time.perf_counter(), hashlib.sha256()
    with origin.open("rb") as read, target.open("wb") as write:
        while piece := read.read(FRAME_BYTES):
            digest.update(piece)
            write.write(piece)
        write.flush()
        os.fsync(write.fileno())
    took_s = time.perf_counter() - begun_s
    target.unlink()
    return took_s


def _peak_mb(source: Path, target: Path) -> float:
    command = [sys.executable, "-c", _BUILDING, str(source), str(target)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (peak_kb,) = (int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM:"))
    return peak_kb / 1e3


def _manifest(conditions: Conditions) -> Found:
    body = written(SMALL | {"files": [*SMALL["files"], file_document("x.gguf", 60 * 10**9)]})
    taken_ms = []
    for _ in range(conditions.rounds(20, 3)):
        begun_s = time.perf_counter()
        read_release(body)
        taken_ms.append((time.perf_counter() - begun_s) * 1e3)
    return Found(value=median(taken_ms), note=f"of a model of 60 GB: {len(body) / 1e3:.0f} kB")


RELEASE = Bench(
    name="release",
    aims=(
        Aim(name=SPEED, unit="MB/s", better="higher"),
        Aim(name=MEMORY, unit="MB"),
        Aim(name=MANIFEST, unit="ms"),
    ),
    run=_measured,
)
