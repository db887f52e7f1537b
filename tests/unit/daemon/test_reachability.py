"""A loss counts at once, a return takes a trial, and a link that flaps is held down."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.link import Link
from homebred_daemon.core.reachability import (
    GONE_PROBE_S,
    LONGEST_PROBE_S,
    LONGEST_TRIAL_S,
    MEMORY_S,
    NEXT,
    RELAPSE_TRIAL_S,
    TRIAL_PROBE_S,
    TRIAL_S,
    UNTRIED,
    Endpoint,
    Reach,
    Sign,
    after,
    projected,
    trial_s,
)

HALF = 0.5
CALL_EVERY_S = 5.0


def journey(*signs: tuple[float, Sign], endpoint: Endpoint = UNTRIED) -> Endpoint:
    for at_s, sign in signs:
        endpoint = after(endpoint, sign, at_s, HALF)
    return endpoint


def lived(
    is_there: Callable[[float], bool], until_s: float, *, seed: int = 0, sign_of_loss: Sign = Sign.FAILURE
) -> list[tuple[float, Link]]:
    """Every change of the projected link, with calls while it is up and probes when they are due."""
    chance, endpoint, now_s = random.Random(seed), UNTRIED, 0.0  # a simulation
    changes = [(0.0, projected(endpoint, is_metered=False))]
    while now_s < until_s:
        now_s = min(endpoint.probe_at_s, now_s + CALL_EVERY_S) if endpoint.reach is Reach.UP else endpoint.probe_at_s
        endpoint = after(endpoint, Sign.SUCCESS if is_there(now_s) else sign_of_loss, now_s, chance.random())
        link = projected(endpoint, is_metered=False)
        if link is not changes[-1][1]:
            changes.append((now_s, link))
    return changes


@pytest.mark.parametrize(
    ("sign", "link"), [(Sign.FAILURE, Link.DOWN), (Sign.STRANGER, Link.PORTAL), (Sign.GONE, Link.DOWN)]
)
def test_the_first_sign_of_a_loss_counts(sign: Sign, link: Link) -> None:
    lost = journey((1.0, sign))
    assert projected(lost, is_metered=False) is link
    assert 1.0 < lost.probe_at_s <= 1.0 + (GONE_PROBE_S if sign is Sign.GONE else 1.0)


def test_a_second_failure_confirms_the_first() -> None:
    assert journey((1.0, Sign.FAILURE)).reach is Reach.SUSPECT
    assert journey((1.0, Sign.FAILURE), (2.0, Sign.FAILURE)).reach is Reach.DOWN


def test_an_endpoint_that_is_up_is_never_probed_and_a_hint_changes_nothing() -> None:
    assert UNTRIED.probe_at_s == float("inf")
    assert journey((1.0, Sign.HINT), (2.0, Sign.SUCCESS)) == UNTRIED


def test_a_hint_brings_the_next_probe_forward() -> None:
    lost = journey((0.0, Sign.GONE), (0.1, Sign.HINT))
    assert (lost.reach, lost.probe_at_s) == (Reach.DOWN, 0.1)


def test_metered_is_seen_only_of_a_link_that_is_up() -> None:
    assert projected(UNTRIED, is_metered=True) is Link.METERED
    assert projected(journey((0.0, Sign.GONE)), is_metered=True) is Link.DOWN


@pytest.mark.parametrize("sign", [Sign.FAILURE, Sign.STRANGER])
@pytest.mark.parametrize("seed", range(20))
def test_after_one_loss_it_is_back_within_half_a_minute(sign: Sign, seed: int) -> None:
    changes = lived(lambda now_s: now_s > 300, 400, seed=seed, sign_of_loss=sign)
    ups = [at_s for at_s, link in changes[1:] if link is Link.UP]
    assert len(ups) == 1
    assert 300 + TRIAL_S < ups[0] < 330


def test_one_failure_during_the_trial_begins_it_again() -> None:
    lost = journey((0.0, Sign.FAILURE), *((float(at_s), Sign.SUCCESS) for at_s in range(1, 10)), (10.0, Sign.FAILURE))
    assert lost.reach is Reach.DOWN
    back = journey(*((float(at_s), Sign.SUCCESS) for at_s in range(11, 21)), endpoint=lost)
    assert back.reach is Reach.SUSPECT
    assert journey((21.0, Sign.SUCCESS), endpoint=back).reach is Reach.UP


@pytest.mark.parametrize("seed", range(20))
def test_a_link_that_flaps_every_second_changes_at_most_twice_a_minute(seed: int) -> None:
    changes = [at_s for at_s, _ in lived(lambda now_s: now_s % 1 < HALF, 3600, seed=seed)[1:]]
    for at_s in changes:
        assert sum(1 for other_s in changes if at_s <= other_s < at_s + 60) <= 2


def test_an_endpoint_that_stays_lost_is_probed_for_ever_at_the_longest_distance() -> None:
    lost = journey(*((float(number), Sign.FAILURE) for number in range(2000)))
    assert lost.probe_at_s == 1999.0 + LONGEST_PROBE_S * 0.75


def test_the_trial_grows_with_the_losses_and_they_are_forgotten() -> None:
    assert [trial_s(losses) for losses in (1, 2, 3, 4, 99)] == [
        TRIAL_S,
        RELAPSE_TRIAL_S,
        2 * RELAPSE_TRIAL_S,
        4 * RELAPSE_TRIAL_S,
        LONGEST_TRIAL_S,
    ]
    twice = journey((0.0, Sign.FAILURE), endpoint=Endpoint(lost_at_s=(-1.0, -MEMORY_S)))
    assert twice.lost_at_s == (-1.0, 0.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([sign for sign in Sign if sign is not Sign.STEADY]), st.floats(0, MEMORY_S), st.floats(0, 1)
        )
    )
)
def test_whatever_is_seen_a_lost_endpoint_is_probed_soon_and_one_that_is_up_was_heard_of(
    seen: list[tuple[Sign, float, float]],
) -> None:
    endpoint, now_s = UNTRIED, 0.0
    for sign, passing_s, chance in seen:
        before, now_s = endpoint, now_s + passing_s
        endpoint = after(endpoint, sign, now_s, chance)
        if endpoint.reach is Reach.UP:
            assert before.reach is Reach.UP or sign is Sign.SUCCESS
        else:
            longest_s = GONE_PROBE_S if sign is Sign.GONE else max(LONGEST_PROBE_S, TRIAL_PROBE_S)
            assert now_s <= endpoint.probe_at_s <= now_s + longest_s


def test_every_sign_leads_somewhere_from_everywhere() -> None:
    assert {(reach, sign) for reach in NEXT for sign in NEXT[reach]} == {(r, s) for r in Reach for s in Sign}
