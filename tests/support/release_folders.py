"""Folders of releases for the echo engine, and the releases that sign them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.made_files import described
from tests.support.specialists import GOLDEN_ROWS, write_specialist

from homebred_daemon.core.releases import Release, release_of
from homebred_protocol.digests import digest_of, digest_of_listing
from homebred_protocol.documents.release import digest_of_release
from homebred_protocol.documents.release_values import (
    Constraints,
    Gate,
    GoldenDemand,
    Recipe,
    ReleaseFile,
    ReleaseManifest,
)

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
    folder: Path,
    number: int,
    *,
    minimum_ppm: int = 600_000,
    engine: str = "echo",
    workflow: str = WORKFLOW,
    recipe: Recipe | None = None,
) -> Release:
    """The release that signs what is in a folder now."""
    manifest = manifest_of(folder, number, minimum_ppm=minimum_ppm, engine=engine, workflow=workflow, recipe=recipe)
    return release_of(manifest, manifest.target.path, digest_of_release(manifest))


def recipe_for(folder: Path, *inputs: str, engine: str = "echo", makes: str = "adapter", form: str = "file") -> Recipe:
    """A recipe that builds of what is in a folder now, or of a base by its digest."""
    return Recipe(
        engine=engine, makes=makes, form=form, inputs=tuple(_input(folder, each) for each in inputs), arguments={}
    )


def _input(folder: Path, name: str) -> str:
    path = folder / name
    if name.startswith("sha256:"):
        return name
    if path.is_file():
        return digest_of(path.read_bytes())
    files = [each for each in path.rglob("*") if each.is_file()]
    return digest_of_listing(
        (each.relative_to(path).as_posix(), digest_of(each.read_bytes()), each.stat().st_size) for each in files
    )


def manifest_of(
    folder: Path,
    number: int,
    *,
    minimum_ppm: int = 600_000,
    engine: str = "echo",
    workflow: str = WORKFLOW,
    recipe: Recipe | None = None,
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
        recipe=recipe,
    )
