"""Which models are in memory, and who says so on behalf of the operators."""

from __future__ import annotations

from typing import Protocol

from homebred_daemon.inbound.caretaking import WorkerState


class ModelKeeper(Protocol):
    """Loads, unloads and pins the models of specialists; specialists on one base model share what is done to it."""

    async def load_model(self, specialist_id: str) -> WorkerState:
        """Loads the model now, parked or not; waits for room like a request. Its worker, once it can answer.

        Raises:
            NotFoundError: there is no such specialist, or its files are not whole.
            EngineUnavailableError: the model cannot be loaded; it says why.
            OverloadedError: too many wait for room.
        """
        ...

    async def unload_model(self, specialist_id: str) -> bool:
        """Frees the model once its running answers have ended, and returns when it is gone; whether it was loaded.

        Tasks that come meanwhile wait, and then have it loaded again.

        Raises:
            NotFoundError: there is no such specialist, or its files are not whole.
        """
        ...

    def pin_model(self, specialist_id: str, *, pinned: bool) -> None:
        """A pinned model is not unloaded to make room for another, until it is unpinned or the daemon ends.

        Raises:
            NotFoundError: there is no such specialist, or its files are not whole.
            RequestError: no room would be left for the others.
        """
        ...
