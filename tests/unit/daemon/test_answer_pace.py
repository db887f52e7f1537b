from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.answer_pace import FIRST, MOST, SLOW_S, AnswerPace


def fetched(pace: AnswerPace, *, blocks: int, block_s: float, latency_s: float = 0.0) -> tuple[float, int]:
    """Seconds for so many blocks over a link that takes a while for each, and the most that were on their way."""
    on_the_way: list[tuple[float, float]] = []
    now_s, link_free_s, most, left = 0.0, 0.0, 0, blocks
    while left or on_the_way:
        while left and not pace.is_full:
            pace.begun()
            link_free_s = max(link_free_s, now_s) + block_s
            on_the_way.append((now_s, link_free_s + latency_s))
            left -= 1
        most = max(most, len(on_the_way))
        asked_at_s, now_s = on_the_way.pop(0)
        pace.came(asked_at_s, now_s)
        pace.ended()
    return now_s, most


def test_it_begins_with_few() -> None:
    pace = AnswerPace()
    for _ in range(FIRST):
        assert not pace.is_full
        pace.begun()
    assert pace.is_full


def test_a_fast_link_is_soon_full() -> None:
    seconds, most = fetched(AnswerPace(), blocks=1600, block_s=0.002, latency_s=0.05)
    assert most == MOST
    assert seconds < 1600 * 0.002 * 1.3


def test_a_far_away_controller_is_no_slow_one() -> None:
    seconds, most = fetched(AnswerPace(), blocks=400, block_s=0.01, latency_s=0.6)
    assert most == MOST
    assert seconds < 400 / MOST * 0.9 + 5


def test_over_a_slow_link_little_is_on_its_way_and_the_link_is_never_idle() -> None:
    pace = AnswerPace()
    fetched(pace, blocks=50, block_s=0.3)
    seconds, most = fetched(pace, blocks=50, block_s=0.3)
    assert most * 0.3 <= SLOW_S + 2 * 0.3
    assert seconds <= 50 * 0.3 + 0.01


def test_over_the_slowest_it_is_one_at_a_time() -> None:
    pace = AnswerPace()
    fetched(pace, blocks=20, block_s=5.0)
    assert pace.window == 1
    assert fetched(pace, blocks=20, block_s=5.0)[1] == 1


def test_slow_answers_that_were_asked_before_it_slowed_do_not_slow_it_again() -> None:
    pace = AnswerPace()
    fetched(pace, blocks=200, block_s=0.001)
    assert pace.window == MOST
    for _ in range(MOST):
        pace.came(10.0, 15.0)
    assert pace.window == MOST // 2


def test_after_one_that_did_not_come_it_begins_with_one() -> None:
    pace = AnswerPace()
    fetched(pace, blocks=200, block_s=0.001)
    pace.failed(20.0)
    assert pace.window == 1


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans())))
def test_there_is_always_room_for_one_and_never_for_more_than_the_most(answers: list[tuple[float, bool]]) -> None:
    pace, at_s = AnswerPace(), 0.0
    for took_s, came in answers:
        at_s += took_s
        if came:
            pace.came(at_s - took_s, at_s)
        else:
            pace.failed(at_s)
        assert 1 <= pace.window <= MOST
