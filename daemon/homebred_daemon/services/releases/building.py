"""The act of a release that a device builds: of verified inputs, by its signed recipe, into the release's slot.

A build that was finished is not made again, and one that was not is never taken. It decides about no digest: that it is
the one to be served is kept by whoever called, and measured by the gate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from homebred_daemon.core.builds import Built, build_facts
from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import Install
from homebred_daemon.core.releases import Release
from homebred_daemon.ports.building import Builder, BuiltForm
from homebred_daemon.ports.installs import ReleaseStore
from homebred_daemon.services.releases.install_book import on_thread
from homebred_protocol.documents.release_values import Recipe

INPUTS_GONE = Refusal(code="damaged", sentence="what it is built of is not in the model store any more, or was changed")


class NoBuilder:
    """Fulfils `ports.building.Builder` where nothing is built."""

    async def refusal_of(self, recipe: Recipe) -> Refusal | None:
        """As the port says."""
        sentence = f"its {recipe.makes} is to be built here by {recipe.engine}, and nothing is built on this device"
        return Refusal(code="recipe_missing", sentence=sentence)

    async def build(self, release: Release, inputs: Sequence[Path]) -> BuiltForm | Refusal:
        """Nobody asks, as it refuses every recipe."""
        raise AssertionError(f"{release.id} {release.number} was to be built of {len(inputs)} inputs")

    async def discard(self, release: Release) -> None:
        """There is nothing."""

    async def keep_only(self, wanted: Collection[Release]) -> None:
        """There is nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WasBuilt:
    """What is in the release's slot now."""

    built: Built
    facts: Mapping[str, int]


class Building:
    """The builds of one device, one at a time."""

    def __init__(self, builder: Builder, store: ReleaseStore) -> None:
        self._builder = builder
        self._store = store
        self._turn = asyncio.Lock()

    async def refusal_of(self, release: Release) -> Refusal | None:
        """Why its recipe cannot be followed here; None: nothing speaks against that. Raises HomebredError."""
        return None if release.recipe is None else await self._builder.refusal_of(release.recipe)

    async def has_what_it_takes(self, release: Release) -> bool:
        """Whether what was built, or all that it is built of, is in the store. Raises StateError."""
        if await on_thread(partial(self._store.built, release)) is not None:
            return True
        return await on_thread(partial(self._store.inputs, release)) is not None

    async def built(self, install: Install) -> WasBuilt | Refusal:
        """What its recipe makes, in the release's slot; a refusal with the code `damaged`: its inputs are not there.

        It may be cancelled.

        Raises:
            HomebredError: not now, or the build broke off.
        """
        release, store = install.release, self._store
        async with self._turn:
            found = await on_thread(partial(store.built, release))
            if found is not None:  # a kill came before that was kept
                await self._builder.discard(release)
                return WasBuilt(built=found, facts={})
            inputs = await on_thread(partial(store.inputs, release))
            if inputs is None:
                return INPUTS_GONE
            form = await self._builder.build(release, inputs)
            if isinstance(form, Refusal):
                await self._builder.discard(release)
                return form
            built_bytes = await on_thread(partial(_bytes_of, form.path))
            refusal = await on_thread(partial(store.take_built, release, form))
            await self._builder.discard(release)
        if refusal is not None:
            return refusal
        facts = build_facts(install.built, form.built, built_bytes=built_bytes, took_ms=form.took_ms)
        return WasBuilt(built=form.built, facts=facts)

    async def keep_only(self, wanted: Collection[Release]) -> None:
        """As the builder's port says. Raises StateError."""
        await self._builder.keep_only(wanted)


def _bytes_of(path: Path) -> int:
    return sum(each.stat().st_size for each in (path, *path.rglob("*")) if each.is_file())
