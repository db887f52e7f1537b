from __future__ import annotations

import pytest

from homebred_protocol.client.errors import (
    CallError,
    ConflictError,
    ConnectionLostError,
    DaemonUnreachableError,
    DeadlineError,
    DrainingError,
    EngineUnavailableError,
    FailedError,
    NeedsReviewError,
    NotFoundError,
    NotPermittedError,
    OverloadedError,
    RequestError,
    UnattestedError,
    UnreadError,
    UnsupportedError,
)
from homebred_protocol.client.retrying import Repeat, Tries, may_repeat, wait_s

# error -> may a call be made again that is harmless twice, and one that is not
RULES: dict[type[CallError], tuple[bool, bool]] = {
    DaemonUnreachableError: (True, True),
    ConnectionLostError: (True, False),
    OverloadedError: (True, True),
    DrainingError: (True, True),
    RequestError: (False, False),
    NotPermittedError: (False, False),
    UnattestedError: (False, False),
    NotFoundError: (False, False),
    ConflictError: (False, False),
    UnreadError: (False, False),
    UnsupportedError: (False, False),
    DeadlineError: (False, False),
    EngineUnavailableError: (False, False),
    NeedsReviewError: (False, False),
    FailedError: (False, False),
}


@pytest.mark.parametrize(("kind", "allowed"), RULES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_call_is_made_again_only_where_that_cannot_do_a_thing_twice(
    kind: type[CallError], allowed: tuple[bool, bool]
) -> None:
    rules = (Repeat.HARMLESS, Repeat.UNTAKEN)
    assert tuple(may_repeat(kind(), repeat, heard=False) for repeat in rules) == allowed
    assert not any(may_repeat(kind(), repeat, heard=True) for repeat in rules)
    for heard in (True, False):
        assert may_repeat(kind(), Repeat.ANEW, heard=heard) == may_repeat(kind(), Repeat.HARMLESS, heard=False)


def test_the_rules_name_every_error() -> None:
    def below(kind: type[CallError]) -> set[type[CallError]]:
        return {kind}.union(*(below(one) for one in kind.__subclasses__()))

    assert below(CallError) - {CallError} == set(RULES)


@pytest.mark.parametrize(
    ("made", "luck", "expected_s"),
    [(1, 0.0, 0.025), (1, 1.0, 0.05), (2, 0.0, 0.05), (3, 0.0, 0.1), (6, 0.0, 0.5), (1000, 1.0, 1.0)],
)
def test_waits_grow_to_a_bound_and_are_spread(made: int, luck: float, expected_s: float) -> None:
    assert wait_s(DaemonUnreachableError(), made=made, luck=luck) == pytest.approx(expected_s)


@pytest.mark.parametrize("luck", [0.0, 0.5, 0.999])
def test_the_daemons_advice_is_never_undercut(luck: float) -> None:
    assert 2.0 <= wait_s(OverloadedError(retry_after_s=2.0), made=1, luck=luck) <= 2.5


def tries(repeat: Repeat = Repeat.UNTAKEN, patience_s: float = 5.0, deadline_s: float | None = None) -> Tries:
    return Tries(repeat, patience_s=patience_s, deadline_s=deadline_s, now_s=100.0)


def test_patience_runs_from_the_first_failure_not_from_the_call() -> None:
    under_way = tries()
    assert under_way.wait_s(DaemonUnreachableError(), heard=False, now_s=150.0, luck=0) is not None
    assert under_way.wait_s(DaemonUnreachableError(), heard=False, now_s=154.0, luck=0) is not None
    assert under_way.wait_s(DaemonUnreachableError(), heard=False, now_s=155.0, luck=0) is None


def test_no_patience_means_one_try() -> None:
    assert tries(patience_s=0).wait_s(DaemonUnreachableError(), heard=False, now_s=100.0, luck=0) is None


def test_the_deadline_bounds_all_tries_together() -> None:
    under_way = tries(deadline_s=2.0)
    assert under_way.left_s(101.5) == 0.5
    assert under_way.left_s(103.0) == 0.0
    assert under_way.wait_s(OverloadedError(retry_after_s=0.4), heard=False, now_s=101.5, luck=0) == 0.4
    assert under_way.wait_s(OverloadedError(retry_after_s=0.4), heard=False, now_s=101.7, luck=0) is None


def test_an_advice_beyond_the_patience_is_the_callers_to_follow() -> None:
    assert tries().wait_s(OverloadedError(retry_after_s=30), heard=False, now_s=100.0, luck=0) is None


def test_without_a_deadline_nothing_is_left_to_say() -> None:
    assert tries().left_s(1000.0) is None


def test_nothing_is_made_again_once_something_was_heard() -> None:
    assert tries().wait_s(OverloadedError(retry_after_s=0.1), heard=True, now_s=100.0, luck=0) is None
