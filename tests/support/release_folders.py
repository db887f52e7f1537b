"""Folders of releases for the echo engine, and the releases that sign them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.specialists import GOLDEN_ROWS, write_specialist

from homebred_daemon.core.releases import Release, ReleaseFile
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.release_values import Constraints, GoldenDemand

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
    files = tuple(
        ReleaseFile(path=str(path.relative_to(folder)), digest=digest_of(path.read_bytes()), length=path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )
    demand = GoldenDemand(workflow=workflow, path=f"golden/{workflow}.jsonl", scorer="exact", minimum_ppm=minimum_ppm)
    return Release(
        id=SPECIALIST,
        number=number,
        title=SAID.format(number=number),
        target=f"models/qa/{SPECIALIST}/{number}.json",
        digest=digest_of(f"{number} {[file.digest for file in files]}".encode()),
        files=files,
        constraints=Constraints(engine=engine),
        golden=(demand,),
    )
