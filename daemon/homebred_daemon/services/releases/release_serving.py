"""How installing reaches the daemon that serves: it takes up what the store now names, and says what is still in use.

Streams that run end on the model that they began with: the worker pool lets a model that is named no more leave only
once nobody uses it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from homebred_daemon.services.engines import WorkerPool


class ReleaseServing:
    """Fulfils `ports.installs.Serving`."""

    def __init__(self, reload_models: Callable[[], Awaitable[object]], pool: WorkerPool) -> None:
        """`reload_models` is the caretaker's."""
        self._reload_models = reload_models
        self._pool = pool

    async def take_up(self) -> None:
        """As the port says."""
        await self._reload_models()

    def in_use(self) -> Collection[str]:
        """As the port says."""
        return self._pool.in_use()
