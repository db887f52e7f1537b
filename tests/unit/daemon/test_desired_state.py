from __future__ import annotations

import pytest

from homebred_daemon.core.desired_state import (
    AGAIN_AFTER_S,
    Apply,
    DesiredState,
    DesiredStep,
    KeepDesired,
    KeepPart,
    KeptDesired,
    Obtain,
    Outcome,
    Verdict,
)
from homebred_daemon.core.fleet_messages import OWN, Desired, Document, PartReport, PartState

A = Document(digest="sha256:" + "a" * 64, length=3)
B = Document(digest="sha256:" + "b" * 64, length=3)


def desired(version: int, policy: Document = A, gazetteer: Document = OWN, device_id: str = "dev-1") -> Desired:
    return Desired(device_id=device_id, version=version, policy=policy, gazetteer=gazetteer)


def state(kept: KeptDesired | None = None) -> DesiredState:
    return DesiredState("dev-1", kept or KeptDesired())


def steps(one: DesiredState, at_s: float = 0.0, *, stopped: bool = False) -> list[DesiredStep]:
    return one.steps(at_s, stopped=stopped)


def taken(wanted: Desired, kept: KeptDesired | None = None) -> DesiredState:
    """One that has this on its disk."""
    made = state(kept)
    assert made.hear(wanted) is Verdict.TAKEN
    assert steps(made) == [KeepDesired(wanted)]
    made.was_kept(wanted)
    return made


def done(one: DesiredState, step: DesiredStep, problem_code: str = "", *, again: bool = False) -> list[DesiredStep]:
    assert isinstance(step, Obtain | Apply)
    digest = step.document.digest if isinstance(step, Obtain) else step.digest
    return one.was_done(Outcome(name=step.name, digest=digest, problem_code=problem_code, again=again), 0.0)


def run(one: DesiredState) -> list[DesiredStep]:
    """Everything goes well."""
    seen: list[DesiredStep] = []
    while found := steps(one):
        seen += found
        for step in found:
            if isinstance(step, Obtain | Apply):
                seen += done(one, step)
    return seen


def test_a_new_version_is_kept_then_obtained_then_applied_then_noted() -> None:
    one = taken(desired(1))
    applied = PartReport(name="policy", digest=A.digest, state=PartState.APPLIED)
    assert run(one) == [Obtain("policy", A), Apply("policy", A.digest), KeepPart(applied, A.digest)]
    assert one.reports(stopped=False) == (applied,)
    assert (one.version, one.highest_version) == (1, 1)


def test_nothing_is_done_before_it_is_on_the_disk() -> None:
    one = state()
    one.hear(desired(1))
    steps(one)
    assert steps(one) == []
    one.was_not_kept(10.0)
    assert one.highest_version == 0
    assert steps(one, 10.0) == []
    assert steps(one, 10.0 + AGAIN_AFTER_S) == [KeepDesired(desired(1))]


@pytest.mark.parametrize("version", [0, 1, 6])
def test_what_is_at_or_under_the_floor_is_not_taken(version: int) -> None:
    one = state(KeptDesired(highest_version=7, desired=desired(7)))
    assert one.hear(desired(version, B)) is Verdict.STALE


def test_the_retained_message_that_holds_is_known_and_what_was_not_done_yet_goes_on() -> None:
    one = state(KeptDesired(highest_version=7, desired=desired(7)))
    assert one.hear(desired(7)) is Verdict.KNOWN
    assert steps(one) == [Obtain("policy", A)]


def test_another_message_of_the_same_version_is_a_replay() -> None:
    assert state(KeptDesired(highest_version=7, desired=desired(7))).hear(desired(7, B)) is Verdict.REPLAYED
    assert state(KeptDesired(highest_version=7)).hear(desired(7)) is Verdict.REPLAYED


def test_what_is_for_another_device_raises_no_floor() -> None:
    one = state()
    assert one.hear(desired(99, device_id="dev-2")) is Verdict.OTHER_DEVICE
    assert steps(one) == []
    assert one.hear(desired(1)) is Verdict.TAKEN


def test_a_newer_one_that_comes_while_one_is_written_is_kept_next() -> None:
    one = state()
    one.hear(desired(1))
    steps(one)
    assert one.hear(desired(2, B)) is Verdict.TAKEN
    one.was_kept(desired(1))
    assert steps(one) == [KeepDesired(desired(2, B))]


def test_a_stop_lets_nothing_begin_and_says_so() -> None:
    one = taken(desired(1))
    assert steps(one, stopped=True) == []
    assert [report.state for report in one.reports(stopped=True)] == [PartState.STOPPED]
    assert steps(one, stopped=False) == [Obtain("policy", A)]


def test_a_stop_between_obtaining_and_applying_holds() -> None:
    one = taken(desired(1))
    [obtain] = steps(one)
    done(one, obtain)
    assert steps(one, stopped=True) == []


def test_an_invalid_document_is_refused_once_and_the_old_one_stays() -> None:
    one = taken(desired(1))
    run(one)
    one.hear(desired(2, B))
    steps(one)
    one.was_kept(desired(2, B))
    [obtain] = steps(one)
    done(one, obtain)
    [apply] = steps(one)
    [kept] = done(one, apply, "bad_request")
    assert isinstance(kept, KeepPart)
    assert (kept.report.state, kept.report.digest, kept.applied) == (PartState.REFUSED, B.digest, A.digest)
    assert steps(one) == []


def test_after_a_refusal_the_one_that_still_holds_need_not_be_applied_again() -> None:
    kept = KeptDesired(
        highest_version=2,
        desired=desired(2, B),
        parts={"policy": PartReport(name="policy", digest=B.digest, state=PartState.REFUSED, problem_code="x")},
        applied={"policy": A.digest},
    )
    one = taken(desired(3), kept)
    assert steps(one) == []
    assert [report.state for report in one.reports(stopped=False)] == [PartState.APPLIED]


def test_what_was_refused_is_tried_once_more_where_a_newer_version_wants_it_again() -> None:
    refused = PartReport(name="policy", digest=B.digest, state=PartState.REFUSED, problem_code="bad_request")
    kept = KeptDesired(highest_version=1, desired=desired(1, B), parts={"policy": refused})
    assert steps(state(kept)) == []
    assert steps(taken(desired(2, B), kept)) == [Obtain("policy", B)]


def test_what_may_work_later_is_tried_again_ever_more_seldom() -> None:
    one = taken(desired(1))
    [obtain] = steps(one)
    done(one, obtain, "unreachable", again=True)
    assert [report.state for report in one.reports(stopped=False)] == [PartState.FETCHING]
    assert steps(one, AGAIN_AFTER_S - 1) == []
    assert one.due_s(stopped=False) == AGAIN_AFTER_S
    [obtain] = steps(one, AGAIN_AFTER_S)
    one.was_done(Outcome(name="policy", digest=A.digest, problem_code="unreachable", again=True), AGAIN_AFTER_S)
    assert one.due_s(stopped=False) == 3 * AGAIN_AFTER_S


def test_without_a_document_the_devices_own_configuration_holds_again() -> None:
    one = taken(desired(2, OWN), KeptDesired(highest_version=1, desired=desired(1), applied={"policy": A.digest}))
    [apply, kept] = run(one)
    assert apply == Apply("policy", "")
    assert isinstance(kept, KeepPart)
    assert not kept.applied
    assert one.reports(stopped=False) == ()


def test_what_the_fleet_never_set_is_left_alone() -> None:
    one = taken(desired(1, OWN))
    assert steps(one) == []
    assert one.reports(stopped=False) == ()


def test_both_parts_go_on_one_after_the_other() -> None:
    one = taken(desired(1, A, B))
    assert [step for step in run(one) if isinstance(step, Apply)] == [
        Apply("policy", A.digest),
        Apply("gazetteer", B.digest),
    ]


def test_the_end_of_something_that_is_not_under_way_is_ignored() -> None:
    one = taken(desired(1))
    steps(one)
    assert one.was_done(Outcome(name="policy", digest=B.digest), 0.0) == []
    assert steps(one) == []
