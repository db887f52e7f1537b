"""Worker processes that are none: they load and generate on command, and fulfil the ports of launcher and worker.

Everything that happens to them is told in one list of lines, in order.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

from homebred_engines import api

STATS = api.WorkerStats(engine=api.EngineStats(engine="echo", engine_version="1", capabilities=()))


@dataclass(slots=True)
class Fleet:
    """Launches workers, and holds what they do."""

    told: list[str] = field(default_factory=list)
    """Lines such as `m1 loads`, by the model's path."""
    loading: asyncio.Event = field(default_factory=asyncio.Event)
    """Loads end only once this is set."""
    speaking: asyncio.Event = field(default_factory=asyncio.Event)
    """Generations go past their first piece only once this is set."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Stops end only once this is set."""
    changing: asyncio.Event = field(default_factory=asyncio.Event)
    """Changes of adapters end only once this is set."""
    refused_adapters: frozenset[str] = frozenset()
    """Adapters that no worker takes, by digest."""
    adapter_failure: Exception | None = None
    """What every change of adapters fails with."""
    refuses: frozenset[str] = frozenset()
    """Models that cannot be loaded."""
    fails_to_load: frozenset[str] = frozenset()
    """Models whose load kills the worker."""
    dies_after: int | None = None
    """Pieces after which the workers that start from now on end of themselves."""
    on_start: Callable[[], None] = lambda: None
    is_broken: bool = False
    """Whether no worker can be started, for a reason that is no engine's."""
    workers: list[FakeWorker] = field(default_factory=list)
    loads: list[api.LoadOptions] = field(default_factory=list)

    @classmethod
    def free(cls) -> Fleet:
        """One whose workers wait for nothing."""
        fleet = cls()
        fleet.loading.set()
        fleet.speaking.set()
        fleet.stopping.set()
        fleet.changing.set()
        return fleet

    async def start(self, engine: str, *, gives_way: bool = False) -> FakeWorker:
        if self.is_broken:
            raise OSError("no space left on device")
        self.told.append(f"{engine} starts{' and gives way' if gives_way else ''}")
        self.on_start()
        self.workers.append(FakeWorker(self, next(_PIDS), dies_after=self.dies_after))
        self.workers[-1].describing.set()
        return self.workers[-1]

    def serving(self) -> list[str]:
        """Models in memory."""
        return [worker.model for worker in self.workers if worker.model and worker.is_alive]


_PIDS = itertools.count(100)


@dataclass(slots=True)
class FakeWorker:
    """One worker."""

    fleet: Fleet
    pid: int
    is_alive: bool = True
    model: str = ""
    is_silent: bool = False
    """Whether it breaks when it is asked how it stands."""
    describing: asyncio.Event = field(default_factory=asyncio.Event)
    """It says how it stands only once this is set, as it is at first."""
    stats: api.WorkerStats = STATS
    """How it says it stands."""
    end: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its process ends."""
    is_unstoppable: bool = False
    """Whether stopping it fails."""
    dies_after: int | None = None
    """Pieces after which it ends."""
    adapters: set[str] = field(default_factory=set)
    """Digests of those it serves."""
    fails_after: int | None = None
    """Pieces after which a generation fails, and the worker lives."""
    fault: api.EngineError = field(default_factory=lambda: api.EngineFailedError("It stumbled."))
    """What it then fails with."""

    def die(self) -> None:
        """Ends of itself."""
        self.is_alive = False
        self.end.set()

    async def load(self, options: api.LoadOptions) -> api.WorkerStats:
        self.fleet.loads.append(options)
        self.model = options.model_path
        self.fleet.told.append(f"{self.model} loads")
        if self.model in self.fleet.refuses:
            raise api.ModelRefusedError("It is a picture of a cat.")
        if self.model in self.fleet.fails_to_load:
            self.die()
            raise api.EngineFailedError("It died while it loaded.")
        self._take(options.adapters)
        await self.fleet.loading.wait()
        return STATS

    async def set_adapters(self, adapters: Sequence[api.Adapter]) -> api.WorkerStats:
        names = [adapter.digest for adapter in adapters]
        self.fleet.told.append(f"{self.model} takes {' '.join(names) or 'none'}")
        await self.fleet.changing.wait()
        self._take(adapters)
        return STATS

    def _take(self, adapters: Sequence[api.Adapter]) -> None:
        for adapter in adapters:
            if adapter.digest in self.fleet.refused_adapters:
                raise api.AdapterRefusedError("It is for another base.", adapter=adapter.digest)
        if self.fleet.adapter_failure is not None:
            raise self.fleet.adapter_failure
        self.adapters = {adapter.digest for adapter in adapters}

    async def generate(
        self,
        messages: Sequence[api.Message],
        options: api.GenerateOptions,
        *,
        request_id: str = "",
        fairness_key: str = "",
    ) -> AsyncGenerator[api.Event, None]:
        self.fleet.told.append(f"{self.model} answers {request_id}")
        if options.adapter and options.adapter not in self.adapters:
            raise api.AdapterNotLoadedError(f"{options.adapter} was asked for.")
        try:
            for number in range(2):
                if self.fails_after == number:
                    raise self.fault
                if self.dies_after == number:
                    self.die()
                    raise api.EngineFailedError("It died.")
                yield api.Delta(text=str(number), tokens=1)
                while not self.fleet.speaking.is_set():
                    if not self.is_alive:
                        raise api.EngineFailedError("During a call it was ended.")
                    await asyncio.sleep(0)
            yield api.Finished(reason=api.FinishReason.STOP, usage=api.Usage())
        finally:
            self.fleet.told.append(f"{self.model} ends {request_id}")

    async def embed(self, texts: Sequence[str], *, fairness_key: str = "") -> api.Embedded:
        self.fleet.told.append(f"{self.model} embeds for {fairness_key}")
        if self.fails_after == 0:
            raise self.fault
        return api.Embedded(vectors=tuple((1.0, 0.0) for _ in texts), prompt_tokens=len(texts))

    async def describe(self) -> api.WorkerStats:
        if self.is_silent:
            raise api.EngineFailedError("It is no more.")
        await self.describing.wait()
        return self.stats

    async def ended(self) -> api.EngineFailedError:
        await self.end.wait()
        return api.EngineFailedError("Unexpectedly it died.")

    async def stop(self) -> None:
        await asyncio.sleep(0)
        await self.fleet.stopping.wait()
        if self.is_unstoppable:
            raise OSError("it is not ours")
        self.die()
        self.fleet.told.append(f"{self.model} stops")
