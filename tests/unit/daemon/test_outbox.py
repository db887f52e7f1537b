"""The outbox's decisions: what goes first, what is dropped, what is counted together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.outbox import (
    GAP,
    PATIENCE,
    RANKS,
    Gap,
    Held,
    Loss,
    Pile,
    Quota,
    belongs_to,
    drop_key,
    dropped,
    fitting,
    losses,
    merged,
    next_pile,
    passes_over,
    room_bytes,
    without_place,
)
from homebred_protocol.topics import STREAMS
from homebred_protocol.v1 import fleet_pb2 as wire

A, B = "a" * 32, "b" * 32
HELD = st.builds(
    Held,
    stream=st.sampled_from(STREAMS[1:]),
    boot_number=st.integers(1, 3),
    seq=st.integers(1, 1000),
    size_bytes=st.integers(1, 500),
)


def gap(first: int = 1, last: int = 1, *, boot_id: str = A, stream: str = "route", reason: Loss = Loss.QUOTA) -> Gap:
    return Gap(boot_id=boot_id, stream=stream, first_seq=first, last_seq=last, events=last - first + 1, reason=reason)


def pile(stream: str, boot_number: int = 1) -> Pile:
    return Pile(stream=stream, boot_number=boot_number)


def test_ranks_and_reasons_are_those_of_the_wire() -> None:
    assert {f"STREAM_{stream.upper()}": rank for stream, rank in RANKS.items()} == dict(wire.Stream.items()[1:])
    words = {f"GAP_REASON_{loss.value.upper()}" for loss in Loss}
    assert words == set(wire.GapReason.keys()) - {"GAP_REASON_UNSPECIFIED", "GAP_REASON_CONTROLLER"}


@given(st.lists(HELD, max_size=30), st.integers(1, 20), st.integers(1, 5000))
def test_only_as_much_is_dropped_as_the_quota_asks_for_and_the_least_important_first(
    held: list[Held], max_events: int, max_bytes: int
) -> None:
    in_order = sorted(held, key=drop_key)
    quota = Quota(max_events=max_events, max_bytes=max_bytes)
    gone = dropped(in_order, quota, events=len(held), size_bytes=sum(one.size_bytes for one in held))
    assert gone == in_order[: len(gone)]
    left = in_order[len(gone) :]
    assert len(left) <= max_events
    assert sum(one.size_bytes for one in left) <= max_bytes
    if gone:
        one_more = [gone[-1], *left]
        assert len(one_more) > max_events or sum(one.size_bytes for one in one_more) > max_bytes


def test_nothing_is_dropped_that_may_not_be() -> None:
    assert dropped([], Quota(max_events=1, max_bytes=1), events=9, size_bytes=999) == []


@given(st.lists(HELD, max_size=30))
def test_every_dropped_event_is_counted_in_the_gap_of_its_boot_and_stream(held: list[Held]) -> None:
    found = losses(sorted(held, key=drop_key), {1: "1", 2: "2", 3: "3"})
    assert sum(one.events for one in found) == len(held)
    assert len({(one.boot_id, one.stream) for one in found}) == len(found)
    for one in held:
        (of_it,) = (each for each in found if (each.boot_id, each.stream) == (str(one.boot_number), one.stream))
        assert of_it.first_seq <= one.seq <= of_it.last_seq


@pytest.mark.parametrize(
    ("newer", "cut_seq", "together"),
    [
        (gap(6, 7), 0, True),
        (gap(6, 7), 5, False),  # a batch lies between
        (gap(6, 7), 4, True),
        (gap(6, 7, boot_id=B), 0, False),
        (gap(6, 7, stream="evidence"), 0, False),
        (gap(6, 7, reason=Loss.REFUSED), 0, False),
    ],
)
def test_losses_belong_together_where_nothing_that_was_sent_lies_between(
    newer: Gap, cut_seq: int, *, together: bool
) -> None:
    assert belongs_to(gap(1, 5), newer, cut_seq=cut_seq) is together


def test_losses_without_a_place_and_of_gaps_always_belong_together() -> None:
    placeless = without_place(gap(1, 5))
    assert (placeless.boot_id, placeless.first_seq, placeless.last_seq, placeless.events) == ("", 0, 0, 5)
    assert belongs_to(placeless, without_place(gap(9, 9)), cut_seq=8)
    refused = gap(2, 2, stream=GAP, reason=Loss.REFUSED)
    assert belongs_to(refused, gap(4, 4, stream=GAP, reason=Loss.REFUSED), cut_seq=4)


def test_merged_losses_reach_from_the_first_to_the_last_and_add_up() -> None:
    both = merged(gap(4, 6), gap(1, 2))
    assert (both.first_seq, both.last_seq, both.events) == (1, 6, 5)


def test_nothing_waits_nothing_is_next() -> None:
    assert next_pile([], 0) is None


@given(st.lists(st.builds(Pile, stream=st.sampled_from(STREAMS), boot_number=st.integers(1, 4)), min_size=1))
def test_the_most_important_stream_is_next_and_of_it_the_oldest_boot(waiting: list[Pile]) -> None:
    chosen = next_pile(waiting, 0)
    assert chosen == min(waiting, key=lambda one: (RANKS[one.stream], one.boot_number))


def test_after_so_many_batches_the_stream_that_waited_has_its_turn() -> None:
    waiting = [pile("evidence"), pile("route", 2), pile("health", 3), pile("health", 1)]
    assert next_pile(waiting, PATIENCE - 1) == pile("evidence")
    assert next_pile(waiting, PATIENCE) == pile("health", 1)
    assert passes_over(waiting, pile("evidence"))
    assert not passes_over(waiting, pile("health", 1))


def test_a_batch_takes_what_fits_and_one_event_at_least() -> None:
    assert fitting([100] * 9, max_events=5, max_bytes=10_000) == 5
    assert fitting([100] * 9, max_events=9, max_bytes=350) == 3
    assert fitting([1000, 1], max_events=9, max_bytes=10) == 1
    assert fitting([], max_events=9, max_bytes=10) == 0
    assert room_bytes(65_536) < 65_536
