"""What can go wrong in a build, besides a source that is refused."""

from __future__ import annotations

from homebred_engines.api import EngineFailedError, ModelRefusedError


class BuildRefusedError(ModelRefusedError):
    """The build was refused before it began."""

    default_hint = "See homebred engines build --help."


class BuildFailedError(EngineFailedError):
    """A step of the build failed."""

    default_hint = "Correct what its last lines name, and build again; nothing was left behind."


class BuildUnwritableError(BuildFailedError):
    """The disk did not take what was built, or does not give what it is built of."""

    default_hint = "Free space, or check path and rights."
