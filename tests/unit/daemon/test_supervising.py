from __future__ import annotations

import pytest
from tests.support.manual_clock import ManualClock
from tests.support.worker_pools import model

from homebred_daemon.core.supervision import Event
from homebred_daemon.services.supervising import ModelParkedError, ModelRestingError, Supervisor
from homebred_engines import api

M, OTHER = model("m"), model("other")
DIED = api.EngineFailedError("It died.")


def test_whoever_never_failed_is_admitted_and_has_nothing_said_of_it() -> None:
    supervisor = Supervisor(ManualClock())
    supervisor.admit(M)
    assert (supervisor.condition(M).note, supervisor.out_of_service()) == ("", frozenset())


def test_a_model_that_rests_is_refused_with_why_and_until_when() -> None:
    clock = ManualClock()
    supervisor = Supervisor(clock)
    supervisor.failed(M, Event.FAILURE, DIED)
    with pytest.raises(ModelRestingError, match="not asked for another 1 s: It died") as refused:
        supervisor.admit(M)
    assert (refused.value.code, bool(refused.value.hint)) == ("model_resting", True)
    assert supervisor.out_of_service() == {M}
    supervisor.admit(OTHER)
    clock.pass_s(1)
    supervisor.admit(M)
    assert supervisor.out_of_service() == frozenset()


def test_a_parked_model_is_refused_with_the_command_that_revives_it() -> None:
    supervisor = Supervisor(ManualClock())
    supervisor.failed(M, Event.REFUSAL, api.ModelRefusedError("It is a picture of a cat."))
    with pytest.raises(ModelParkedError, match="picture of a cat") as refused:
        supervisor.admit(M)
    assert (refused.value.code, refused.value.hint) == (
        "model_parked",
        "Remove the cause, then `homebred models load` tries it again.",
    )
    assert supervisor.condition(M).is_parked
    supervisor.revive(M)
    supervisor.admit(M)
    assert not supervisor.condition(M).is_parked


def test_a_success_clears_it() -> None:
    clock = ManualClock()
    supervisor = Supervisor(clock)
    supervisor.failed(M, Event.FAILURE, DIED)
    clock.pass_s(1)
    supervisor.succeeded(M)
    assert supervisor.condition(M).note == ""


def test_the_third_fault_in_a_row_says_that_the_worker_is_broken() -> None:
    supervisor = Supervisor(ManualClock())
    assert [supervisor.faulted(M) for _ in range(2)] == [False, False]
    supervisor.succeeded(M)
    assert [supervisor.faulted(M) for _ in range(3)] == [False, False, True]
    assert supervisor.out_of_service() == frozenset(), "until the worker is ended"


def test_an_error_that_is_no_engines_is_named_by_its_kind_alone() -> None:
    supervisor = Supervisor(ManualClock())
    supervisor.failed(M, Event.NO_START, OSError("words that may say anything"))
    assert "OSError while its worker was started" in supervisor.condition(M).note
    assert "anything" not in supervisor.condition(M).note


def test_the_way_out_is_kept_where_the_error_names_one() -> None:
    supervisor = Supervisor(ManualClock())
    supervisor.failed(M, Event.FAILURE, api.EngineFailedError("It is out of memory.", hint="Choose a smaller one."))
    assert supervisor.condition(M).note.endswith("It is out of memory. Choose a smaller one.")


def test_what_the_store_no_longer_has_is_forgotten() -> None:
    supervisor = Supervisor(ManualClock())
    for one in (M, OTHER):
        supervisor.failed(one, Event.REFUSAL, DIED)
    supervisor.keep_only({OTHER})
    supervisor.admit(M)
    assert supervisor.condition(OTHER).is_parked


def test_every_change_is_told() -> None:
    clock, told = ManualClock(), list[str]()
    supervisor = Supervisor(clock, lambda model, health: told.append(f"{model.path} {health.phase} {health.failures}"))
    supervisor.failed(M, Event.FAILURE, DIED)
    supervisor.failed(M, Event.FAILURE, DIED)
    supervisor.succeeded(M)
    supervisor.succeeded(M)
    assert told == ["m backing_off 1", "m backing_off 2", "m healthy 0"]
