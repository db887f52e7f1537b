"""Starts engine workers as this daemon is configured to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from homebred_daemon.adapters.engine_process import Changed, EngineProcess
from homebred_daemon.adapters.worker_child import WorkerSettings

STOP_WITHIN_S = 0.2
"""From SIGTERM to SIGKILL of what is asked to go because somebody else needs the room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLauncher:
    """Each worker a process of its own."""

    interpreter: Path
    """Python that runs workers; it has the engine's library."""
    runtime_dir: Path
    """Where workers keep their private folders."""
    queue_limit: int
    """Requests that may wait for a slot of one worker."""
    changed: Changed = lambda _: ()

    async def start(self, engine: str, *, gives_way: bool = False) -> EngineProcess:
        """A worker of this backend, without a model yet; `gives_way`: it gives way to every other process.

        Raises:
            homebred_engines.api.EngineFailedError: it did not come up.
        """
        settings = WorkerSettings(
            engine=engine, runtime_dir=self.runtime_dir, interpreter=self.interpreter, queue_limit=self.queue_limit
        )
        if gives_way:
            settings = replace(settings, gives_way=True, stop_deadline_s=STOP_WITHIN_S)
        worker = EngineProcess(settings, changed=self.changed)
        try:
            await worker.start()
        except BaseException:
            await worker.stop()
            raise
        return worker
