"""Has a specialist of this device turn texts into vectors. It decides no route, records nothing, and nothing leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from homebred_daemon.core.embedders import embedder
from homebred_daemon.core.measures import EMBEDDINGS, TOKENS
from homebred_daemon.errors import (
    DeadlineError,
    EngineUnavailableError,
    OverloadedError,
    RequestError,
)
from homebred_daemon.inbound.embedding import Embeddings, EmbeddingTask
from homebred_daemon.ports.engines import EnginePool
from homebred_daemon.ports.measures import UNMEASURED, Measures
from homebred_daemon.services.admission import Admission
from homebred_daemon.services.standing import Standing
from homebred_engines import api


class Embedding:
    """Fulfils `inbound.embedding.Embedder`, under the standing that holds when each is asked."""

    def __init__(
        self,
        standing: Callable[[], Standing],
        pool: EnginePool,
        admission: Admission,
        measures: Measures = UNMEASURED,
    ) -> None:
        self._standing = standing
        self._measures = measures
        self._pool = pool
        self._admission = admission

    async def embed(self, task: EmbeddingTask) -> Embeddings:
        """As `Embedder.embed`."""
        standing = self._standing()
        with self._admission.admitted():
            made_by = _embedder(standing, task)
            model, fairness_key = standing.specialists[made_by].model, task.caller[0] if task.caller else ""
            try:
                async with asyncio.timeout(task.deadline_s):
                    embedded = await self._pool.embed(model, task.texts, fairness_key=fairness_key)
            except TimeoutError:
                raise DeadlineError(f"the texts were not embedded within {task.deadline_s:g} s") from None
            except api.EngineError as error:
                raise _meaning(error) from error
            self._measures.count(EMBEDDINGS, made_by, by=len(task.texts))
            self._measures.count(TOKENS, made_by, "in", by=embedded.prompt_tokens)
            return Embeddings(vectors=embedded.vectors, made_by=made_by, prompt_tokens=embedded.prompt_tokens)


def _embedder(standing: Standing, task: EmbeddingTask) -> str:
    standing.require_workflow(task.caller, task.workflow)
    chosen = embedder(standing.decider.registry, task.workflow, standing.specialists)
    if chosen is None:
        raise RequestError(
            "no specialist of this device makes embeddings for this workflow",
            hint='add one whose manifest says capabilities = ["embeddings"] and names the workflow, or "*"',
        )
    return chosen


def _meaning(error: api.EngineError) -> Exception:
    said = f"{error.what} {error.why}"
    if isinstance(error, api.QueueFullError):
        return OverloadedError(said, hint=error.hint, retry_after_s=error.retry_after_s)
    if isinstance(error, api.InvalidRequestError | api.ContextExceededError):
        return RequestError(said, hint=error.hint)
    return EngineUnavailableError(said, hint=error.hint)
