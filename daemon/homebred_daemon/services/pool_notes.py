"""What the worker pool says of itself: a line in the journal and a count, for each thing that happens to a model.

It decides nothing, and hears of no task.
"""

from __future__ import annotations

from dataclasses import dataclass

from homebred_daemon import messages
from homebred_daemon.core import measures as figures
from homebred_daemon.core.supervision import Event
from homebred_daemon.log_events import Value
from homebred_daemon.ports.engines import ServedModel
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.measures import Measures
from homebred_daemon.services.adapting import AdapterChange
from homebred_daemon.services.watching import WorkerHungError
from homebred_engines import api


@dataclass(frozen=True, slots=True)
class PoolNotes:
    """Writes them."""

    journal: Journal
    measures: Measures

    def not_loaded(self, model: ServedModel, event: Event) -> None:
        """A worker could not be started, or its model not loaded."""
        self.measures.count(figures.MODEL_LOADS, event)
        self.journal.note(messages.WORKER_NOT_STARTED, **_named(model), cause=event)

    def loaded(self, model: ServedModel, *, pid: int, took_s: float, had_failed: bool) -> None:
        """A model can answer."""
        self.measures.count(figures.MODEL_LOADS, "loaded")
        self.measures.observer(figures.MODEL_LOAD_SECONDS)(took_s)
        if had_failed:
            self.measures.count(figures.WORKER_RESTARTS)
        self.journal.note(messages.WORKER_STARTED, **_named(model), pid=pid, seconds=took_s)

    def evicted(self, models: int) -> None:
        """So many are unloaded for the sake of others."""
        self.measures.count(figures.MODEL_EVICTIONS, by=models)

    def adapters_changed(self, model: ServedModel, change: AdapterChange) -> None:
        """A loaded model serves other adapters, or would not."""
        self.measures.count(figures.ADAPTER_CHANGES, "failed" if change.failure else "changed")
        if change.failure is None:
            self.measures.observer(figures.ADAPTER_CHANGE_SECONDS)(change.took_s)
            about: dict[str, Value] = {"adapters": change.adapters, "seconds": change.took_s}
            self.journal.note(messages.ADAPTERS_CHANGED, **_named(model), **about)
        elif change.refused:
            self.adapter_refused(model, change.refused)
        else:
            self.journal.note(messages.ADAPTERS_NOT_CHANGED, **_named(model), error_code=change.failure.code)

    def adapter_refused(self, model: ServedModel, adapter: str) -> None:
        """A model is served without one of its adapters."""
        self.journal.note(messages.ADAPTER_REFUSED, **_named(model), adapter=adapter)

    def failed(
        self, model: ServedModel, error: api.EngineFailedError, *, pid: int, served_s: float, verdict: bool
    ) -> None:
        """A worker ended of itself, or by the pool's `verdict`."""
        about = _named(model) | {"pid": pid, "seconds": served_s}
        if isinstance(error, WorkerHungError):
            self.measures.count(figures.WORKER_FAILURES, "hung")
            self.journal.note(messages.WORKER_HUNG, **about)
            return
        self.measures.count(figures.WORKER_FAILURES, "faulty" if verdict else "ended")
        self.journal.note(messages.WORKER_ENDED, **about, exit=error.exit_code)

    def gone(self, pid: int) -> None:
        """A worker's process has ended."""
        self.journal.note(messages.WORKER_GONE, pid=pid)


def _named(model: ServedModel) -> dict[str, Value]:
    return {"engine": model.engine, "model": model.digest}
