from __future__ import annotations

import pytest

from homebred_daemon.errors import OverloadedError
from homebred_daemon.inbound.stream_room import RETRY_AFTER_S, StreamRoom


def test_as_many_answers_as_there_are_places_and_the_next_is_told_when_to_come_again() -> None:
    room = StreamRoom(2)
    with room.held(), room.held(), pytest.raises(OverloadedError, match="2 answers") as refused, room.held():
        pass
    assert refused.value.retry_after_s == RETRY_AFTER_S


def test_a_place_is_free_again_however_its_answer_ended() -> None:
    room = StreamRoom(1)
    with pytest.raises(ValueError, match="broken"), room.held():
        raise ValueError("broken")
    with room.held():
        pass
