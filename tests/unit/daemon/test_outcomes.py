from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.told_routes import AT, ENDED, ROUTE

from homebred_daemon.core.decision import Runtime
from homebred_daemon.core.deployment import Tally
from homebred_daemon.core.outcomes import told_of
from homebred_daemon.core.telemetry import Route, Said

GOOD = replace(ENDED, status="answer", answered_by="intake", findings=(), error_code="")
LOCAL = replace(ROUTE, runtime=Runtime.LOCAL, stack="intake", ended=GOOD)


def said(verdict: str, route: Route = LOCAL) -> Route:
    return replace(route, said=Said(at_utc=AT, verdict=verdict, has_correction=False))


def test_an_answer_counts_for_whoever_gave_it() -> None:
    assert told_of(LOCAL) == ("intake", Tally(good=1, seen=1))
    assert told_of(replace(LOCAL, stack="cascade:small+intake")) == ("intake", Tally(good=1, seen=1))


@pytest.mark.parametrize("finding", ["slow", "empty", "schema_invalid", "rejected_by_caller"])
def test_a_weak_or_slow_answer_counts_as_bad(finding: str) -> None:
    assert told_of(replace(LOCAL, ended=replace(GOOD, findings=(finding,)))) == ("intake", Tally(good=0, seen=1))


def test_a_task_that_failed_on_one_specialist_counts_for_it_and_for_nobody_where_that_is_not_known() -> None:
    failed = replace(GOOD, status="error", answered_by="", error_code="engine_unavailable")
    assert told_of(replace(LOCAL, ended=failed)) == ("intake", Tally(good=0, seen=1))
    assert told_of(replace(LOCAL, ended=failed, stack="cascade:small+intake")) is None
    assert told_of(replace(LOCAL, ended=failed, runtime=Runtime.NO_OP, stack="none")) is None
    for code in ("cancelled", "overloaded", "bad_request"):
        assert told_of(replace(LOCAL, ended=replace(failed, error_code=code))) is None
    assert told_of(replace(LOCAL, ended=None)) is None


def test_what_a_caller_takes_back_counts_as_good_no_longer_and_as_no_further_outcome() -> None:
    assert told_of(said("bad")) == ("intake", Tally(good=-1, seen=0))
    assert told_of(said("corrected")) == ("intake", Tally(good=-1, seen=0))
    assert told_of(said("good")) is None
    weak = replace(LOCAL, ended=replace(GOOD, findings=("slow",)))
    assert told_of(said("bad", weak)) is None
