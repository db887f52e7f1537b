"""The table of installs: closed, finite, and what the rules around it say."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.install_stage import DEVICE, release

from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import (
    ENDED,
    ON_ITS_WAY,
    PASSING,
    TABLE,
    WATCHED,
    Event,
    Install,
    State,
    Tally,
    after,
    picture,
    plan,
    receipt_word,
    refusal_of_lease,
)
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.core.trust import Lease

NOW_S = 1_790_000_000
LEASE = Lease(
    device=DEVICE, digest=release(1).digest, stop_epoch=3, issued_at_s=NOW_S - 60, expires_at_s=NOW_S + 86_400
)
DOCUMENT = Path(__file__).parents[3] / "docs/installing.md"


def install(number: int, state: State, *, code: str = "", seq: int = 1) -> Install:
    return Install(
        seq=seq, release=release(number), state=state, begun_at_s=NOW_S, changed_at_s=NOW_S, code=code, reason="why"
    )


def test_every_state_has_its_row_and_every_row_leads_to_a_state() -> None:
    assert set(TABLE) == set(State)
    assert {target for phase in TABLE.values() for target in phase.then.values()} | {State.DOWNLOADING} == set(State)
    assert set(State) == ENDED | ON_ITS_WAY | WATCHED
    assert not ENDED & ON_ITS_WAY
    assert not WATCHED & (ENDED | ON_ITS_WAY)
    assert all(bool(phase.act) == bool(phase.then) for phase in TABLE.values())


def test_only_activation_leads_to_probation_and_nothing_serves_without_having_passed_its_gate() -> None:
    ways = {(state, event) for state, phase in TABLE.items() for event, to in phase.then.items() if to in WATCHED}
    assert (State.ACTIVATING, Event.ACTIVATED) in ways
    assert {state for state, _ in ways} == {State.ACTIVATING, State.PROBATION}
    to_activating = {(s, e) for s, phase in TABLE.items() for e, to in phase.then.items() if to is State.ACTIVATING}
    assert to_activating == {(State.GATING, Event.PASSED), (State.SHADOWING, Event.COMPARED)}
    to_shadowing = {(s, e) for s, phase in TABLE.items() for e, to in phase.then.items() if to is State.SHADOWING}
    assert to_shadowing == {(State.GATING, Event.PASSED_TO_SHADOW)}


def test_what_is_built_is_measured_before_it_can_go_on() -> None:
    to_building = {(s, e) for s, phase in TABLE.items() for e, to in phase.then.items() if to is State.BUILDING}
    assert to_building == {(State.CHECKING, Event.FITS_TO_BUILD)}
    assert TABLE[State.BUILDING].then[Event.BUILT] is State.GATING
    assert State.BUILDING in ON_ITS_WAY


def test_every_state_can_come_to_an_end() -> None:
    reach = set(ENDED)
    while more := {s for s, phase in TABLE.items() if s not in reach and reach & set(phase.then.values())}:
        reach |= more
    assert reach == set(State)


@given(st.sampled_from(State), st.sampled_from(Event))
def test_an_event_leads_where_the_table_says_or_cannot_come(state: State, event: Event) -> None:
    if event in TABLE[state].then:
        moved = install(1, state).moved(event, now_s=NOW_S + 5, code="c", reason="r")
        assert moved.state is after(state, event) is TABLE[state].then[event]
        assert (moved.changed_at_s, moved.code, moved.reason, moved.attempts) == (NOW_S + 5, "c", "r", 0)
    else:
        with pytest.raises(ValueError, match="cannot come"):
            after(state, event)


def refused(lease: Lease | None, stopping: Stopping | None = None, *, now_s: int = NOW_S) -> str:
    found = refusal_of_lease(lease, release(1), device=DEVICE, stopping=stopping or Stopping(epoch=3), now_s=now_s)
    return "" if found is None else found.code


@pytest.mark.parametrize(
    ("lease", "code"),
    [
        (LEASE, ""),
        (None, "no_lease"),
        (replace(LEASE, device="another"), "other_device"),
        (replace(LEASE, digest=release(2).digest), "other_digest"),
        (replace(LEASE, stop_epoch=2), "stopped"),
        (replace(LEASE, expires_at_s=NOW_S), "lease_expired"),
    ],
)
def test_a_lease_is_for_this_device_this_release_this_time_and_after_the_newest_stop(
    lease: Lease | None, code: str
) -> None:
    assert refused(lease) == code


@given(st.integers(0, 9), st.integers(0, 9), st.booleans(), st.integers(-100, 100))
def test_a_stop_beats_a_start(epoch: int, known: int, stopped: bool, late_s: int) -> None:  # noqa: FBT001 - drawn
    """I8: while stopped nothing is activated, nor by a lease that does not know of the stop, nor after its end."""
    lease = replace(LEASE, stop_epoch=epoch)
    code = refused(lease, Stopping(epoch=known, stopped=stopped), now_s=lease.expires_at_s + late_s)
    assert (code == "") == (not stopped and epoch >= known and late_s < 0)


def test_a_new_release_begins_and_the_same_one_is_not_begun_twice() -> None:
    assert plan(release(1), (), 0, "").begins
    assert not plan(release(1), (install(1, State.GATING),), 0, "").begins
    assert not plan(release(1), (install(1, State.SETTLED),), 1, release(1).digest).begins


def test_a_newer_one_ends_one_on_its_way_and_leaves_one_in_probation() -> None:
    on_its_way, watched = install(2, State.GATING, seq=2), install(1, State.PROBATION)
    planned = plan(release(3), (on_its_way, watched), 1, release(1).digest)
    assert (planned.begins, planned.ends) == (True, on_its_way)
    assert plan(release(3), (watched,), 1, release(1).digest).ends is None


def test_numbers_never_fall() -> None:
    for known, number in (((), 3), ((install(3, State.GATING),), 0)):
        planned = plan(release(2), known, number, "sha256:other" if number else "")
        assert (planned.begins, planned.code) == (False, "older")


def test_what_was_refused_or_rolled_back_is_not_tried_again_unless_it_was_for_the_moment() -> None:
    for state, code in ((State.REFUSED, "gate_quality"), (State.ROLLED_BACK, "degraded")):
        planned = plan(release(1), (install(1, state, code=code),), 0, "")
        assert (planned.begins, planned.code) == (False, "tried")
        assert "why" in planned.sentence
    for state in (State.REFUSED, State.ROLLED_BACK):
        for code in PASSING:
            assert plan(release(1), (install(1, state, code=code),), 0, "").begins
    for state in (State.WITHDRAWN, State.SUPERSEDED, State.SETTLED):
        assert plan(release(1), (install(1, state),), 0, "").begins


def test_the_fleet_hears_of_the_gate_of_activations_and_of_ends_alone() -> None:
    assert receipt_word(Event.PASSED, State.ACTIVATING) == "gate_passed"
    assert receipt_word(Event.PASSED_TO_SHADOW, State.SHADOWING) == "gate_passed"
    assert receipt_word(Event.COMPARED, State.ACTIVATING) == "shadow_passed"
    assert receipt_word(Event.ACTIVATED, State.PROBATION) == "activated"
    assert receipt_word(Event.REFUSAL, State.REFUSED) == "refused"
    assert receipt_word(None, State.DOWNLOADING) == ""
    assert {receipt_word(Event.FITS, state) for state in ENDED} == {state.value for state in ENDED}


def test_tallies_add_up_and_a_refusal_is_a_value() -> None:
    assert Tally(good=1, seen=2).plus(Tally(good=3, seen=4)) == Tally(good=4, seen=6)
    assert Refusal(code="a", sentence="b") == Refusal(code="a", sentence="b")


def test_the_picture_in_the_documentation_is_the_tables() -> None:
    shown = re.search(r"```mermaid\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert shown is not None
    assert shown[1] == picture()
