from __future__ import annotations

import pytest

from homebred_protocol.client.reviewing import Polls
from homebred_protocol.client.values import Review, ReviewState


def review(state: ReviewState) -> Review:
    return Review(route_id="r", state=state, output=None, note="", filed_at_utc=None, expires_at_utc=None)


WAITING = review(ReviewState.WAITING)


def test_the_daemon_is_asked_to_wait_in_bounded_pieces() -> None:
    polls = Polls(50.0, 100.0)
    assert [polls.wait_s(now) for now in (100.0, 130.0, 149.0, 160.0)] == [30.0, 20.0, 1.0, 0.0]


@pytest.mark.parametrize("state", [ReviewState.ANSWERED, ReviewState.DECLINED, ReviewState.EXPIRED])
def test_an_ended_review_is_asked_for_no_more(state: ReviewState) -> None:
    polls = Polls(50.0, 100.0)
    polls.wait_s(100.0)
    assert polls.pause_s(review(state), 100.0) is None


def test_after_its_time_the_review_is_as_it_is() -> None:
    polls = Polls(50.0, 100.0)
    polls.wait_s(100.0)
    assert polls.pause_s(WAITING, 150.0) is None


def test_a_daemon_that_waited_is_asked_again_at_once_and_one_that_did_not_after_a_pause() -> None:
    polls = Polls(50.0, 100.0)
    polls.wait_s(100.0)
    assert polls.pause_s(WAITING, 130.0) == 0
    polls.wait_s(130.0)
    assert polls.pause_s(WAITING, 130.25) == 0.75
    polls.wait_s(149.75)
    assert polls.pause_s(WAITING, 149.75) == 0.25
