"""Engine workers, and the pool that keeps them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from homebred_engines import api


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """The file behind a specialist: what an engine worker loads."""

    engine: str
    """Backend that serves it."""
    path: str
    digest: str
    """`sha256:` of the file; workers are shared by specialists on the same one."""
    context_tokens: int
    """Context of one slot, in tokens."""
    embeds: bool = False
    """Whether it is loaded to make embeddings, and nothing else."""
    weights_bytes: int = 0
    """Of its file; 0: not known, or not in this machine's memory."""
    kv_bytes_per_token: int = 0
    """What one token of context costs in the cache; 0: not known."""
    title: str = field(default="", compare=False)
    """For people: the specialists that run on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedAdapter:
    """The adapter of a specialist, for one base model."""

    digest: str
    """`sha256:` as the model store holds it."""
    path: str
    """In the form that the engine takes."""
    size_bytes: int
    """On disk, which is about what it takes in memory."""

    def for_engine(self) -> api.Adapter:
        """As a worker is told of it."""
        return api.Adapter(digest=self.digest, path=self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One generation, ready for an engine."""

    request_id: str
    """The route id."""
    fairness_key: str
    """Requests of different keys take turns in the worker's queue."""
    messages: tuple[api.Message, ...]
    options: api.GenerateOptions
    adapter: ServedAdapter | None = None
    """What answers on top of the base model; None: nothing. The pool writes it into the options."""


class EngineWorker(Protocol):
    """One running worker process."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        ...

    async def load(self, options: api.LoadOptions) -> api.WorkerStats:
        """Loads its model; returns when it can generate."""
        ...

    async def set_adapters(self, adapters: Sequence[api.Adapter]) -> api.WorkerStats:
        """Has exactly these served; what runs ends with what it began with.

        Raises:
            homebred_engines.api.EngineError: the old ones are served.
        """
        ...

    def generate(
        self,
        messages: Sequence[api.Message],
        options: api.GenerateOptions,
        *,
        request_id: str = "",
        fairness_key: str = "",
    ) -> AsyncGenerator[api.Event, None]:
        """Streams one generation; closing the stream cancels it.

        Raises:
            homebred_engines.api.EngineError: before or between events.
        """
        ...

    async def embed(self, texts: Sequence[str], *, fairness_key: str = "") -> api.Embedded:
        """One vector a text.

        Raises:
            homebred_engines.api.EngineError: there are none.
        """
        ...

    async def describe(self) -> api.WorkerStats:
        """How it stands."""
        ...

    async def ended(self) -> api.EngineFailedError:
        """Waits until the process has ended, however that came; what there is to say of it."""
        ...

    async def stop(self) -> None:
        """Ends the process."""
        ...


class EngineLauncher(Protocol):
    """Starts worker processes."""

    async def start(self, engine: str, *, gives_way: bool = False) -> EngineWorker:
        """A worker of this backend, without a model yet; `gives_way`: it gives way to every other process."""
        ...


class EnginePool(Protocol):
    """Models that can be asked; loading and placing them is the pool's own affair."""

    def generate(self, model: ServedModel, prompt: Prompt) -> AsyncGenerator[api.Event, None]:
        """Streams one generation, loading the model first where needed; closing the stream cancels it.

        Raises:
            homebred_engines.api.EngineError: before or between events.
        """
        ...

    async def embed(self, model: ServedModel, texts: Sequence[str], *, fairness_key: str) -> api.Embedded:
        """One vector a text, loading the model first where needed.

        Raises:
            homebred_engines.api.EngineError: there are none.
        """
        ...

    def out_of_service(self) -> Collection[ServedModel]:
        """Models that failed and would refuse a request now; usually none."""
        ...
