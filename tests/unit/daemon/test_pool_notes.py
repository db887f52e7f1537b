from __future__ import annotations

import pytest
from tests.support.metrics_reader import counted
from tests.support.recorded_journal import RecordedJournal
from tests.support.worker_pools import model

from homebred_daemon.core.supervision import Event
from homebred_daemon.services.adapting import AdapterChange
from homebred_daemon.services.pool_notes import PoolNotes
from homebred_daemon.services.tallying import Tally
from homebred_daemon.services.watching import WorkerHungError
from homebred_engines import api

M = model("m")


@pytest.fixture
def notes() -> PoolNotes:
    return PoolNotes(RecordedJournal(), Tally())


def told(notes: PoolNotes) -> list[str]:
    assert isinstance(notes.journal, RecordedJournal)
    return notes.journal.names


def count(notes: PoolNotes, name: str, **labels: str) -> float:
    assert isinstance(notes.measures, Tally)
    return counted(notes.measures, name, **labels)


def test_loads_are_noted_and_counted_by_how_they_ended(notes: PoolNotes) -> None:
    notes.not_loaded(M, Event.REFUSAL)
    notes.loaded(M, pid=7, took_s=0.5, had_failed=True)
    assert told(notes) == ["worker_not_started", "worker_started"]
    assert count(notes, "homebred_model_loads_total", result="refusal") == 1
    assert count(notes, "homebred_model_loads_total", result="loaded") == 1
    assert count(notes, "homebred_worker_restarts_total") == 1


@pytest.mark.parametrize(
    ("failure", "event", "result"),
    [
        (None, "adapters_changed", "changed"),
        (api.AdapterRefusedError("no", adapter="sha256:a"), "adapter_refused", "failed"),
        (api.ModelRefusedError("too large"), "adapters_not_changed", "failed"),
    ],
)
def test_changes_of_adapters_are_noted_and_counted(
    notes: PoolNotes, failure: api.EngineError | None, event: str, result: str
) -> None:
    notes.adapters_changed(
        M, AdapterChange(adapters=2, took_s=0.5, failure=failure, refused=getattr(failure, "adapter", ""))
    )
    assert told(notes) == [event]
    assert count(notes, "homebred_adapter_changes_total", result=result) == 1


def test_a_worker_that_ended_hung_or_stumbled_is_told_apart(notes: PoolNotes) -> None:
    ended, hung = api.EngineFailedError("It died.", exit_code=-11), WorkerHungError("It stands still.")
    for error, verdict in ((ended, False), (hung, True), (ended, True)):
        notes.failed(M, error, pid=7, served_s=1.0, verdict=verdict)
    assert told(notes) == ["worker_ended", "worker_hung", "worker_ended"]
    counts = [count(notes, "homebred_worker_failures_total", cause=cause) for cause in ("ended", "hung", "faulty")]
    assert counts == [1, 1, 1]


def test_evictions_and_the_end_of_processes(notes: PoolNotes) -> None:
    notes.evicted(2)
    notes.gone(7)
    assert count(notes, "homebred_model_evictions_total") == 2
    assert told(notes) == ["worker_gone"]
