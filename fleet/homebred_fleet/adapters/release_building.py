"""Builds a release of a specialist's folder: checks all that a device would, then copies it into a folder of its own.

The same folder gives the same release, byte for byte, whenever and wherever it is built: nothing of clocks, users, file
times or orders is in it. It signs nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from homebred_fleet.adapters.release_source import SourceFolder
from homebred_fleet.adapters.release_stage import Progress, Stage, changed_meanwhile, staged, unheard
from homebred_fleet.core import release_plan, releases
from homebred_fleet.core.release_plan import ReleasePlan, read_plan
from homebred_fleet.core.releases import SPECIALIST, manifest_of, problems_between, wanted
from homebred_fleet.errors import RequestError
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.canonical import NotCanonicalError
from homebred_protocol.documents.fields import DocumentError, Problem
from homebred_protocol.documents.golden import read_golden
from homebred_protocol.documents.release import canonical_bytes, read_release
from homebred_protocol.documents.release_values import ReleaseFile, ReleaseManifest
from homebred_protocol.documents.specialist import SpecialistManifest, read_specialist

MAX_TOML_BYTES: Final = 1024 * 1024
MAX_GOLDEN_BYTES: Final = 64 * 1024 * 1024
"""What a device reads of one at most."""
_WRITE_ONE: Final = "write one: docs/releases.md has an example"
T = TypeVar("T")
Watching = Callable[[int], AbstractContextManager[Progress]]


def unwatched(_total_bytes: int) -> AbstractContextManager[Progress]:
    """Nobody looks on."""
    return nullcontext(unheard)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A release that was built."""

    manifest: ReleaseManifest
    body: bytes
    """What is to be signed."""
    left_out: tuple[str, ...]
    """What stands beside `specialist.toml`, and nothing names."""


def build_release(source: Path, target: Path, watching: Watching = unwatched) -> Built:
    """Builds the release that `release.toml` in the source describes.

    Args:
        source: a specialist's folder.
        target: a folder that is not there, or empty.
        watching: given the bytes in all once they are known, it gives what hears of them as they are copied.

    Raises:
        RequestError: a device would refuse it, or the source cannot be read; with every problem found.
        StateError: the target cannot be written. Half a release is never left.
    """
    if target.resolve().is_relative_to(source.resolve()):
        raise RequestError(f"{target} is in the folder that is built of", hint="name a folder elsewhere")
    folder = SourceFolder(source)
    plan, specialist, seen = _documents(folder)
    named = wanted(plan, specialist)
    lengths = folder.lengths(named)
    if not releases.has_room_for(lengths):  # before hours go by
        raise RequestError(
            f"{source} brings {sum(lengths.values()):,} bytes, more than one release can name",
            hint="leave the base model on the devices, and name it by its digest",
        )
    _check_golden(folder, specialist, seen)
    total_bytes = sum(lengths.values())
    with watching(total_bytes) as progress, staged(target, total_bytes, progress) as stage:
        files = [_taken(folder, path, stage) for path in sorted(lengths)]
        _refuse_changed(source, files, seen)
        manifest = manifest_of(plan, specialist, files)
        body = _body(source, manifest)
        stage.finish(body)
    left_out = folder.strangers(named, (release_plan.NAME,))
    return Built(manifest=manifest, body=body, left_out=left_out)


def _documents(folder: SourceFolder) -> tuple[ReleasePlan, SpecialistManifest, dict[str, str]]:
    """What the two documents say, and the digests of what was read."""
    for name in (SPECIALIST, release_plan.NAME):
        if not folder.has(name):
            raise RequestError(f"{folder.path / name} is not there", hint=_WRITE_ONE)
    body = folder.read(SPECIALIST, MAX_TOML_BYTES)
    problems: list[str] = []
    digest = digest_of(body)
    specialist = _read(folder.path / SPECIALIST, body, lambda document: read_specialist(document, digest), problems)
    place = folder.path / release_plan.NAME
    plan = _read(place, folder.read(release_plan.NAME, MAX_TOML_BYTES), read_plan, problems)
    if specialist is not None and plan is not None:
        problems += (f"{place}: {problem.sentence()}" for problem in problems_between(plan, specialist))
    if specialist is None or plan is None or problems:
        raise _cannot(folder.path, problems)
    return plan, specialist, {SPECIALIST: digest}


def _read(path: Path, body: bytes, reader: Callable[[object], T], problems: list[str]) -> T | None:
    """One TOML document; None: what is wrong was added to the problems."""
    try:
        return reader(tomllib.loads(body.decode("utf-8")))
    except DocumentError as error:
        problems += (f"{path}: {problem.sentence()}" for problem in error.problems)
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, or an integer of thousands of digits
        problems.append(f"{path} is not TOML: {error}")
    return None


def _check_golden(folder: SourceFolder, specialist: SpecialistManifest, seen: dict[str, str]) -> None:
    problems = []
    for _, served in sorted(specialist.workflows.items()):
        if not served.golden:
            continue
        body = folder.read(served.golden, MAX_GOLDEN_BYTES)
        seen[served.golden] = digest_of(body)
        try:
            read_golden(body, seen[served.golden], scorer=served.scorer, examples=specialist.prompt.examples)
        except DocumentError as error:
            problems += [f"{folder.path / served.golden}: {problem.sentence()}" for problem in error.problems]
    if problems:
        raise _cannot(folder.path, problems)


def _taken(folder: SourceFolder, path: str, stage: Stage) -> ReleaseFile:
    with folder.opened(path) as file:
        copied = stage.take(file, folder.path / path)
    return ReleaseFile(path=path, length=copied.length, digest=copied.digest, frames=copied.frames)


def _refuse_changed(source: Path, files: Sequence[ReleaseFile], seen: Mapping[str, str]) -> None:
    """What was checked must be what was copied."""
    for file in files:
        if seen.get(file.path, file.digest) != file.digest:
            raise changed_meanwhile(source / file.path)


def _body(source: Path, manifest: ReleaseManifest) -> bytes:
    """The manifest's bytes, as a device will read them."""
    try:
        body = canonical_bytes(manifest)
        read_release(body)
    except NotCanonicalError as error:
        raise _cannot(source, [str(error)]) from None
    except DocumentError as error:
        raise _cannot(source, _sentences(error.problems)) from None
    return body


def _sentences(problems: Sequence[Problem]) -> list[str]:
    return [f"its manifest: {problem.sentence()}" for problem in problems]


def _cannot(source: Path, problems: Sequence[str]) -> RequestError:
    listed = problems[0] if len(problems) == 1 else "\n  ".join(["", *problems])
    return RequestError(f"{source} cannot be released: {listed}", hint="correct this and build again")
