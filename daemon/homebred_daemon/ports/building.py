"""What following a release's recipe needs of the world: somebody who builds, in a process of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from homebred_daemon.core.builds import Built
from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.releases import Release
from homebred_protocol.documents.release_values import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltForm:
    """What came out of a build, whole, aside until the store has it."""

    path: Path
    """The file or the folder."""
    built: Built
    took_ms: int
    """0: it had been finished before."""


class Builder(Protocol):
    """Builds what engines serve, each build in a process that gives way to all others."""

    async def refusal_of(self, recipe: Recipe) -> Refusal | None:
        """Why a recipe cannot be followed here; None: nothing is known that speaks against it.

        Raises:
            HomebredError: nobody can say now.
        """
        ...

    async def build(self, release: Release, inputs: Sequence[Path]) -> BuiltForm | Refusal:
        """What its recipe makes of the inputs: one that was finished and not yet taken is not made again.

        It may be cancelled, which ends the build. A refusal says that another try would come to the same, `no_room`
        that it has used up what room there was.

        Raises:
            BuildError: it failed, and may be tried again a few times.
            HomebredError: not now, such as where there is no room for it: it is tried again.
        """
        ...

    async def discard(self, release: Release) -> None:
        """What was built aside is needed no more; harmless where there is nothing. Raises StateError."""
        ...

    async def keep_only(self, wanted: Collection[Release]) -> None:
        """What was built, or half built, of all others is needed no more. Raises StateError."""
        ...
