"""One runtime of TensorRT Edge-LLM at work: its process, who is in its batch, and who waits for the next.

The loop decides who runs (`edgellm_batches.py`); a thread waits for the batch. The adapters are fixed with the runtime.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from homebred_engines.api import EngineError
from homebred_engines.edgellm_batches import BatchQueue, Row
from homebred_engines.edgellm_plan import Plan
from homebred_engines.edgellm_process import RuntimeProcess
from homebred_engines.edgellm_run import Run


class Serving:
    """Made and used on the event loop; `opening` ends when the runtime is in memory, and only then may it be asked."""

    def __init__(self, plan: Plan, count_step: Callable[[], None]) -> None:
        self.plan = plan
        rows = plan.bundle.rows
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._readers = ThreadPoolExecutor(rows, thread_name_prefix="channel")
        self.opening: Future[RuntimeProcess] = self._thread.submit(RuntimeProcess, plan.runtime)
        self._queue = BatchQueue(most_rows=rows, capacity_tokens=plan.bundle.capacity_tokens)
        self._waiting: dict[Row, Run] = {}
        self._batch: list[Run] = []
        self._count_step = count_step
        self._is_released = False

    @property
    def runtime(self) -> RuntimeProcess:
        """Once it has opened."""
        return self.opening.result()

    def submit(self, run: Run) -> None:
        """Has it in a batch, now or when its turn comes."""
        self._waiting[run.row] = run
        self._queue.add(run.row)
        self._begin_batch()

    async def end(self, run: Run) -> None:
        """Cancels it, wherever it is; returns once it is gone."""
        if self._queue.drop(run.row):
            del self._waiting[run.row]
            run.withdraw()
        await run.end()

    def release(self) -> None:
        """Has the runtime freed once it has opened and its batch has ended; waits for nothing."""
        if not self._is_released:
            self._is_released = True
            self._thread.submit(self._forget)
            self._thread.shutdown(wait=False)
            self._readers.shutdown(wait=False)

    async def close(self) -> None:
        """Frees the runtime, and returns when that is done."""
        self.release()
        await asyncio.to_thread(self._thread.shutdown)

    def _forget(self) -> None:
        if not self.opening.cancelled() and self.opening.exception() is None:
            self.opening.result().close()

    def _begin_batch(self) -> None:
        if self._batch:
            return
        rows = self._queue.next_batch()
        if not rows:
            return
        self._batch = [self._waiting.pop(row) for row in rows]
        for run in self._batch:
            run.listen(self._readers)
        batch = [(run.row, run.native) for run in self._batch]
        ended = asyncio.get_running_loop().run_in_executor(self._thread, self.runtime.run, batch)
        ended.add_done_callback(self._end_batch)

    def _end_batch(self, ended: asyncio.Future[None]) -> None:
        error = ended.exception()
        for run in self._batch:
            run.batch_ended(error if isinstance(error, EngineError) else None)
        self._count_step()
        self._batch = []
        self._begin_batch()
