"""One engine worker behind typed calls: start, load, generate, unload, stop, and how it ended.

It restarts nothing, backs nothing off and chooses no model: that is the policy of a service. What comes out are values
and errors of `homebred_engines.api`; a worker that dies or does not answer is an EngineFailedError with its exit code
and the last lines it wrote.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Self

import grpc

from homebred_daemon.adapters.message_reader import MessageReader
from homebred_daemon.adapters.worker_child import WorkerChild, WorkerExit, WorkerSettings
from homebred_engines import api, wire
from homebred_protocol.v1 import engine_pb2, engine_pb2_grpc

_DEATH_NOTICE_S = 2.0  # a broken connection is seen before the exit is
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", wire.MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", wire.MAX_MESSAGE_BYTES),
    ("grpc.enable_retries", 0),
)


Changed = Callable[[Collection[str]], Collection[str]]
"""Of digests, those whose bytes are not what they were when this device built them. It may read all of them."""


class EngineProcess:
    """`async with EngineProcess(settings) as worker:`, or start() and stop(). One event loop."""

    def __init__(self, settings: WorkerSettings, *, changed: Changed = lambda _: ()) -> None:
        self._settings = settings
        self._changed = changed
        self._child: WorkerChild | None = None
        self._channel: grpc.aio.Channel | None = None
        self._stub: engine_pb2_grpc.EngineAsyncStub | None = None

    async def __aenter__(self) -> Self:
        """Starts."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops."""
        await self.stop()

    @property
    def pid(self) -> int:
        """The worker's process; 0 before the first start."""
        return self._child.pid if self._child else 0

    @property
    def is_alive(self) -> bool:
        """Whether the worker runs."""
        return self._child is not None and self._child.is_alive

    async def start(self) -> None:
        """Spawns the worker and waits until it answers. Raises EngineFailedError."""
        self._child = await WorkerChild.start(self._settings)
        self._channel = grpc.aio.insecure_channel(f"unix:{self._child.socket_path}", options=_CHANNEL_OPTIONS)
        self._stub = engine_pb2_grpc.EngineStub(self._channel)

    async def stop(self) -> None:
        """Ends the worker: SIGTERM, after a bound or when cancelled SIGKILL. Harmless when there is none."""
        channel, self._channel, self._stub = self._channel, None, None
        try:
            if self._child is not None:
                await self._child.end()  # before the channel: its calls then end as the worker did, not as if cancelled
        finally:
            if channel is not None:
                await channel.close()

    async def exited(self) -> WorkerExit:
        """Waits for the worker's end, however it comes."""
        return await self._started_child().exited()

    async def ended(self) -> api.EngineFailedError:
        """Waits for the worker's end, however it comes; what there is to say of it."""
        child = self._started_child()
        exit_ = await child.exited()
        return child.failure(f"Unexpectedly {exit_.describe()}.", hint=exit_.hint)

    async def describe(self) -> api.WorkerStats:
        """How the worker stands. Raises EngineFailedError."""
        async with self._in_the_engines_words():
            return wire.read_stats(await self._running_stub().Describe(engine_pb2.DescribeRequest()))

    async def load(self, options: api.LoadOptions, progress: Callable[[float], None] | None = None) -> api.WorkerStats:
        """Loads a model; `progress` hears 0 … 1. Raises every EngineError that concerns a model or an adapter."""
        await self._refuse_changed(options.adapters, model_digest=options.model_digest)
        async with self._in_the_engines_words():
            return await _ready(self._running_stub().Load(wire.load_request(options)), progress)

    async def set_adapters(
        self, adapters: Sequence[api.Adapter], progress: Callable[[float], None] | None = None
    ) -> api.WorkerStats:
        """Has exactly these served; what runs ends with what it began with. Raises as `load` does."""
        await self._refuse_changed(adapters)
        async with self._in_the_engines_words():
            return await _ready(self._running_stub().SetAdapters(wire.adapters_request(adapters)), progress)

    def generate(
        self,
        messages: Sequence[api.Message],
        options: api.GenerateOptions,
        *,
        request_id: str = "",
        fairness_key: str = "",
    ) -> AsyncGenerator[api.Event, None]:
        """Deltas, then one Finished. Close it (`contextlib.aclosing`) or cancel its task to cancel the generation.

        Raises every EngineError; EngineFailedError also after deltas, the others only before the first.
        """
        request = wire.generate_request(messages, options, request_id=request_id, fairness_key=fairness_key)
        return self._events(request)

    async def embed(self, texts: Sequence[str], *, fairness_key: str = "") -> api.Embedded:
        """One vector a text. Raises every EngineError."""
        async with self._in_the_engines_words():
            request = wire.embed_request(texts, fairness_key=fairness_key)
            return wire.read_embedded(await self._running_stub().Embed(request))

    async def _refuse_changed(self, adapters: Sequence[api.Adapter], *, model_digest: str = "") -> None:
        """Nobody signed what was built here: it is held against its digest each time that it is loaded."""
        digests = {adapter.digest for adapter in adapters} | {model_digest}
        for digest in await asyncio.to_thread(self._changed, digests):
            why = f"What was built on this device as {digest} has been changed."
            hint = "Check the disk; it is built again."
            if digest == model_digest:
                raise api.ModelRefusedError(why, hint=hint)
            raise api.AdapterRefusedError(why, adapter=digest, hint=hint)

    async def unload(self) -> None:
        """Ends every generation and frees the model. Raises EngineFailedError."""
        async with self._in_the_engines_words():
            await self._running_stub().Unload(engine_pb2.UnloadRequest())

    async def _events(self, request: engine_pb2.EngineGenerateRequest) -> AsyncGenerator[api.Event, None]:
        reader = MessageReader(self._running_stub().Generate(request))
        async with self._in_the_engines_words(), aclosing(reader.messages()) as messages:
            async for message in messages:
                yield wire.read_event(message)

    @asynccontextmanager
    async def _in_the_engines_words(self) -> AsyncIterator[None]:
        """Ends what fails with an EngineError.

        A channel that is closed, as by `stop`, says to every call on it that it was cancelled, as if its own task had
        been. Told on like that, it would end tasks that nobody has cancelled, without a word.
        """
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise await self._typed(error) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise await self._ended("The worker was stopped under the call.") from None

    def _running_stub(self) -> engine_pb2_grpc.EngineAsyncStub:
        if self._stub is None:
            raise api.EngineFailedError("The worker is not running.", hint="Start it first.")
        return self._stub

    def _started_child(self) -> WorkerChild:
        if self._child is None:
            raise api.EngineFailedError("The worker was never started.", hint="Start it first.")
        return self._child

    async def _typed(self, error: grpc.aio.AioRpcError) -> api.EngineError:
        """The worker's own error where it sent one; else what became of the worker."""
        for key, value in error.trailing_metadata() or ():
            if key == wire.ERROR_METADATA_KEY and isinstance(value, bytes):
                unpacked = wire.unpack_error(value)
                is_failure = type(unpacked) is api.EngineFailedError  # what it wrote may say why
                return self._started_child().failure(unpacked.why, hint=unpacked.hint) if is_failure else unpacked
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:  # grpc's own word: the worker speaks through metadata
            return api.InvalidRequestError(f"It is larger than {wire.MAX_MESSAGE_BYTES} bytes.")
        return await self._ended(f"The worker runs, but its call ended with {error.code().name}: {error.details()}.")

    async def _ended(self, otherwise: str) -> api.EngineFailedError:
        """How the worker ended; `otherwise` where it has not."""
        child = self._started_child()
        try:
            async with asyncio.timeout(_DEATH_NOTICE_S):
                ended = await child.exited()
        except TimeoutError:
            return child.failure(otherwise)
        return child.failure(f"During a call {ended.describe()}.", hint=ended.hint)


async def _ready(
    events: AsyncIterable[engine_pb2.LoadEvent], progress: Callable[[float], None] | None
) -> api.WorkerStats:
    """How the worker stands when it says that it is ready."""
    async for event in events:
        if event.WhichOneof("event") == "ready":
            return wire.read_stats(event.ready)
        if progress is not None:
            progress(event.progress)
    raise api.EngineFailedError("The worker ended a load without saying that it is ready.")
