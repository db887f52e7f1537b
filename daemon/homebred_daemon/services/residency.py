"""Loads, unloads and pins models on behalf of operators. It decides no room: the worker pool does."""

from __future__ import annotations

from homebred_daemon.errors import (
    EngineUnavailableError,
    NotFoundError,
    OverloadedError,
    RequestError,
)
from homebred_daemon.inbound.caretaking import WorkerState
from homebred_daemon.ports.engines import ServedModel
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.standing import Served, Standing
from homebred_engines import api


class Residency:
    """The models of one daemon's specialists; fulfils `inbound.residency.ModelKeeper`."""

    def __init__(self, answering: Answering, pool: WorkerPool) -> None:
        self._answering = answering
        self._pool = pool
        self._pinned: list[str] = []
        """Specialists, in the order in which they were pinned; their models change when their files do."""

    def take_up(self, standing: Standing) -> None:
        """Serves by another standing from now on; models that it does not name leave, and adapters."""
        self._answering.standing = standing
        self._pool.keep_only(standing.adapters())
        self._pinned = [name for name in self._pinned if name in standing.specialists]
        while len(self._models(self._pinned)) >= self._pool.max_models:  # two that shared a model no longer do
            self._pinned.pop()
        self._pool.pin(self._models(self._pinned))

    async def load_model(self, specialist_id: str) -> WorkerState:
        """Loads the model now, parked or not; waits for room like a request. Its worker, once it can answer.

        Raises:
            NotFoundError: there is no such specialist, or its files are not whole.
            EngineUnavailableError: the model cannot be loaded; it says why.
            OverloadedError: too many wait for room.
        """
        try:
            served = self._served(specialist_id)
            return await self._pool.load(served.model, served.adapter)
        except api.QueueFullError as error:
            raise OverloadedError(f"{error.what} {error.why}", retry_after_s=error.retry_after_s) from error
        except api.EngineError as error:
            raise EngineUnavailableError(
                f"{specialist_id} cannot be loaded. {error.what} {error.why}", hint=error.hint
            ) from error

    async def unload_model(self, specialist_id: str) -> bool:
        """Frees the model once its running answers have ended, and returns when it is gone; whether it was loaded.

        Raises:
            NotFoundError: there is no such specialist, or its files are not whole.
        """
        return await self._pool.unload(self._model(specialist_id))

    def pin_model(self, specialist_id: str, *, pinned: bool) -> None:
        """A pinned model is not unloaded to make room for another, until it is unpinned or the daemon ends.

        Raises:
            NotFoundError: there is no such specialist, or its files are not whole.
            RequestError: no room would be left for the others.
        """
        model = self._model(specialist_id)
        if pinned:
            wanted = [*self._pinned, *([] if specialist_id in self._pinned else [specialist_id])]
            self._refuse_crowding(specialist_id, wanted)
        else:  # also where a sibling on the same model was named when it was pinned
            wanted = [name for name in self._pinned if self._model(name) != model]
        self._pinned = wanted
        self._pool.pin(self._models(wanted))

    def _refuse_crowding(self, specialist_id: str, wanted: list[str]) -> None:
        if len(self._models(wanted)) < self._pool.max_models:
            return
        others = ", ".join(name for name in wanted if name != specialist_id)
        raise RequestError(
            f"{specialist_id} cannot be pinned: of {self._pool.max_models} models that may be loaded at once, one must"
            f" be free for all the others" + (f", and pinned are {others}" if others else ""),
            hint="raise engine.max_models" + (", or unpin another" if others else ""),
        )

    def _models(self, names: list[str]) -> frozenset[ServedModel]:
        return frozenset(self._model(name) for name in names)

    def _model(self, specialist_id: str) -> ServedModel:
        return self._served(specialist_id).model

    def _served(self, specialist_id: str) -> Served:
        served = self._answering.standing.specialists.get(specialist_id)
        if served is None:
            raise NotFoundError(
                f"this daemon serves no specialist {specialist_id!r}",
                hint="`homebred models list` names them, and says what is missing of one that cannot be served",
            )
        return served
