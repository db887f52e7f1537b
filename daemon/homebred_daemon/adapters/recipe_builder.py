"""Follows recipes of releases: each build in a child process, bounded in time, memory and disk, in a folder of its own.

    building/<digest of the release>/out/       what a finished build made, whole or not there
    building/<digest of the release>/python/    what the child sees of this product; beside it what it does on its way

What is built is what `homebred engines build` builds. A kill leaves such a folder: a finished build in it is taken
without another one, anything else is removed. It takes nothing into the model store.
"""

from __future__ import annotations

import os
import shutil
import time
import tomllib
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from homebred_daemon.adapters.blob_files import digest_of_file
from homebred_daemon.adapters.blob_folders import listing_of_folder
from homebred_daemon.adapters.build_process import BuildBounds, BuildProcess
from homebred_daemon.adapters.durable_files import make_folder
from homebred_daemon.core.builds import Built
from homebred_daemon.core.compatibility import DeviceFacts, Refusal
from homebred_daemon.core.releases import Release
from homebred_daemon.errors import HomebredError, UnwritableError
from homebred_daemon.on_threads import unbroken
from homebred_daemon.ports.building import BuiltForm
from homebred_engines import edgellm_build
from homebred_engines.api import EngineError
from homebred_engines.build import BuildOrder
from homebred_engines.build_files import digests_below
from homebred_engines.build_manifest import FILE_NAME, read_build
from homebred_engines.edgellm_build import EngineRoom
from homebred_protocol.digests import digest_of_listing
from homebred_protocol.documents.release_recipes import Way, arguments_of, problem_of, way_of
from homebred_protocol.documents.release_values import Recipe

ROOM_FACTOR = {"base": 4, "adapter": 2}
"""What a build may need of the disk, in sizes of what it is made of: an engine lies beside what leads to it, and 16-bit
numbers may become 32-bit ones."""
_NO_ROOM = EngineRoom(slots=1, input_tokens=1, context_tokens=1, max_rank=0)
_OUT = "out"

Run = Callable[[BuildOrder, Path], Awaitable[Refusal | None]]
"""Builds an order, in a folder; a refusal: another try would come to the same. Raises BuildError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderMeans:
    """What a builder works with."""

    python: Path
    """The interpreter that runs engines: of its library commands of a build may be."""
    facts: Callable[[str], Awaitable[DeviceFacts]]
    bounds: BuildBounds
    run: Run | None = None
    """None: in a child process."""


class RecipeBuilder:
    """Fulfils `ports.building.Builder`."""

    def __init__(self, folder: Path, means: BuilderMeans) -> None:
        """`folder` is on the file system of the model store."""
        self._folder = folder
        self._means = means
        self._run = means.run or BuildProcess(means.python, means.bounds).run

    async def refusal_of(self, recipe: Recipe) -> Refusal | None:
        """As the port says."""
        way = way_of(recipe)
        if way is None:
            sentence = (
                f"the {recipe.makes} of {recipe.engine} is to be built here, and this version does not build that"
            )
            return Refusal(code="recipe_missing", sentence=sentence)
        problem = problem_of(recipe, way)
        if problem:
            return Refusal(code="recipe_unfit", sentence=f"its recipe cannot be followed: {problem}")
        if recipe.engine == "edgellm":
            facts = await self._means.facts(recipe.engine)
            return await unbroken(partial(self._lacking, facts))
        return None

    async def build(self, release: Release, inputs: Sequence[Path]) -> BuiltForm | Refusal:
        """As the port says."""
        recipe = release.recipe
        way = None if recipe is None else way_of(recipe)
        if recipe is None or way is None:
            return Refusal(code="recipe_missing", sentence="this version does not build that")
        facts = await self._means.facts(recipe.engine)
        builder = f"homebred {version('homebred')}, {recipe.engine} {facts.engine_version or 'of no version'}"
        place = self._place(release)
        order = self._order(release, recipe, way, inputs, facts)
        finished = await unbroken(partial(self._finished, order, recipe, builder))
        if finished is not None:
            return finished
        await unbroken(partial(self._prepare, place, recipe, inputs))
        began_s = time.monotonic()
        refusal = await self._run(order, place)
        if refusal is not None:
            return refusal
        took_ms = max(1, round((time.monotonic() - began_s) * 1000))
        with _in_our_words(place):
            path, digest = await unbroken(partial(_made, order.out, recipe))
        return BuiltForm(path=path, built=Built(digest=digest, builder=builder), took_ms=took_ms)

    async def discard(self, release: Release) -> None:
        """As the port says."""
        with _in_our_words(self._folder):
            await unbroken(partial(_remove, self._place(release)))

    async def keep_only(self, wanted: Collection[Release]) -> None:
        """As the port says."""
        names = {self._place(release).name for release in wanted}

        def remove() -> None:
            for place in self._folder.iterdir() if self._folder.is_dir() else ():
                if place.name not in names:
                    _remove(place)

        with _in_our_words(self._folder):
            await unbroken(remove)

    def _place(self, release: Release) -> Path:
        return self._folder / release.digest.removeprefix("sha256:")

    def _order(
        self, release: Release, recipe: Recipe, way: Way, inputs: Sequence[Path], facts: DeviceFacts
    ) -> BuildOrder:
        said = arguments_of(recipe, way)
        room = _NO_ROOM
        if recipe.engine == "edgellm":
            room = EngineRoom(
                slots=said["slots"],
                input_tokens=said["input_tokens"],
                context_tokens=said["context_tokens"],
                max_rank=said["max_lora_rank"],
            )
        return BuildOrder(
            engine=recipe.engine,
            source=inputs[0],
            adapter=inputs[1] if len(inputs) > 1 else None,
            out=self._place(release) / _OUT,
            specialist_id=release.id,
            engine_version=facts.engine_version,
            gpu_architecture=facts.gpu_architecture,
            tools_path=self._tools_path(),
            room=room,
        )

    def _tools_path(self) -> str:
        return os.pathsep.join([str(self._means.python.parent), os.environ.get("PATH", "")])

    def _lacking(self, facts: DeviceFacts) -> Refusal | None:
        """What of NVIDIA's commands, or of the GPU, is not here."""
        if not facts.gpu_architecture:
            return Refusal(code="recipe_missing", sentence="an engine is to be built here, and there is no known GPU")
        try:
            path = self._tools_path()
            edgellm_build.find_commands(lambda program: shutil.which(program, path=path), with_adapters=False)
        except EngineError as error:
            return Refusal(code="recipe_missing", sentence=error.why)
        return None

    def _finished(self, order: BuildOrder, recipe: Recipe, builder: str) -> BuiltForm | None:
        """What was finished before a kill, every byte of it as its builder wrote it down."""
        try:
            manifest = read_build(order.out)
            if manifest is None or manifest.engine_version != order.engine_version:
                return None
            found = digests_below(order.out)
            found.pop(FILE_NAME, None)
            if found != dict(manifest.files):
                return None
            path, digest = _made(order.out, recipe)
        except (EngineError, OSError, ValueError, KeyError):
            return None
        return BuiltForm(path=path, built=Built(digest=digest, builder=builder), took_ms=0)

    def _prepare(self, place: Path, recipe: Recipe, inputs: Sequence[Path]) -> None:
        """An empty folder, on a disk that has room for the build and the reserve; else it is waited for."""
        with _in_our_words(place):
            make_folder(self._folder)
            _remove(place)
            place.mkdir()
            needed = ROOM_FACTOR[recipe.makes] * _size_of(inputs[-1])
            free = shutil.disk_usage(place).free - self._means.bounds.reserve_bytes
        if needed > free:
            raise UnwritableError(
                f"a build may take {needed} bytes of the disk, and {max(free, 0)} are free beside the reserve",
                hint="free disk space; it is tried again",
            )


def _made(out: Path, recipe: Recipe) -> tuple[Path, str]:
    """What of a build is the recipe's result, and its digest. Raises OSError, ValueError, KeyError."""
    said = tomllib.loads((out / "specialist.toml").read_text(encoding="utf-8"))[recipe.makes]
    if recipe.form == "file":
        path = out / said["file"]
        return path, digest_of_file(path, "reading", lambda *_: None)
    path = out / said["folder"]
    return path, digest_of_listing(listing_of_folder(path, "reading", lambda *_: None))


def _size_of(source: Path) -> int:
    return sum(each.stat().st_size for each in (source, *source.rglob("*")) if each.is_file())


def _remove(place: Path) -> None:
    if place.exists():
        shutil.rmtree(place)


@contextmanager
def _in_our_words(place: Path) -> Iterator[None]:
    try:
        yield
    except HomebredError:
        raise
    except OSError as error:
        raise UnwritableError(
            f"nothing can be built in {place}: {error.strerror or error}",
            hint="free disk space, and check that the state folder belongs to the daemon's user; it is tried again",
        ) from error
