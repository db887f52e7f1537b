"""Folders of releases for the echo engine, and the releases that sign them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.made_files import described
from tests.support.specialists import GOLDEN_ROWS, write_specialist

from homebred_daemon.core.releases import Release, release_of
from homebred_protocol.documents.release import digest_of_release
from homebred_protocol.documents.release_values import Constraints, Gate, GoldenDemand, ReleaseFile, ReleaseManifest

SPECIALIST, WORKFLOW = "parrot", "say.again"
SAID = "Says it, as release {number} does"


def write_release(
    folder: Path,
    number: int,
    *,
    model: Mapping[str, Any] | None = None,
    minimum_ppm: int = 600_000,
    rows: tuple[Mapping[str, Any], ...] = GOLDEN_ROWS,
    **further: Any,
) -> Release:
    """A release of the parrot in a folder; each number has another title and, unless told, another base."""
    shutil.rmtree(folder, ignore_errors=True)
    body = model if model is not None else {"format": "homebred-echo", "logprob": -float(number)}
    write_specialist(folder, SPECIALIST, title=SAID.format(number=number), model=body, rows=rows, **further)
    return signed(folder, number, minimum_ppm=minimum_ppm)


def signed(
    folder: Path, number: int, *, minimum_ppm: int = 600_000, engine: str = "echo", workflow: str = WORKFLOW
) -> Release:
    """The release that signs what is in a folder now."""
    manifest = manifest_of(folder, number, minimum_ppm=minimum_ppm, engine=engine, workflow=workflow)
    return release_of(manifest, manifest.target.path, digest_of_release(manifest))


def manifest_of(
    folder: Path, number: int, *, minimum_ppm: int = 600_000, engine: str = "echo", workflow: str = WORKFLOW
) -> ReleaseManifest:
    """The manifest of that release."""
    found = [
        described(path.read_bytes(), str(path.relative_to(folder))) for path in folder.rglob("*") if path.is_file()
    ]
    demand = GoldenDemand(workflow=workflow, path=f"golden/{workflow}.jsonl", scorer="exact", minimum_ppm=minimum_ppm)
    return ReleaseManifest(
        family="qa",
        id=SPECIALIST,
        number=number,
        title=SAID.format(number=number),
        files=tuple(
            ReleaseFile(path=each.path, length=each.length, digest=each.digest, frames=each.frames)
            for each in sorted(found, key=lambda each: each.path.encode())
        ),
        specialist="specialist.toml",
        base=None,
        parents=(),
        generation=0,
        constraints=Constraints(engine=engine),
        gate=Gate(golden=(demand,)),
        workflows=(workflow,),
        licence="Apache-2.0",
        provenance=(),
        classes=("public",),
        sites=(),
        recipe=None,
    )
