"""Which batches are taken: so that an event is a row once or a counted loss, whatever is lost or doubled."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_fleet.core.ingest import (
    MAX_EVENTS,
    BatchHeader,
    Floor,
    Verdict,
    events_lost,
    events_refused,
    fault_of_floor,
    judge,
)

ROUTE = 4
HEADER = BatchHeader(schema=1, boot_id="a" * 32, boot_number=1, stream=ROUTE, after_seq=10, last_seq=30, count=20)


def verdict(header: BatchHeader, watermark: int, own_schema: int = 1) -> tuple[Verdict, str]:
    found = judge(header, stream_of_topic=ROUTE, watermark=watermark, own_schema=own_schema)
    return found.verdict, found.cause


@pytest.mark.parametrize(
    ("watermark", "expected"),
    [
        (10, (Verdict.TAKE, "")),
        (30, (Verdict.DUPLICATE, "")),
        (31, (Verdict.DUPLICATE, "")),
        (9, (Verdict.HOLE, "hole")),
        (0, (Verdict.HOLE, "hole")),
        (11, (Verdict.REFUSE, "overlap")),
        (29, (Verdict.REFUSE, "overlap")),
    ],
)
def test_a_batch_is_taken_where_it_follows_the_watermark_exactly(watermark: int, expected: tuple[Verdict, str]) -> None:
    assert verdict(HEADER, watermark) == expected


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"boot_id": "A" * 32}, "boot-id"),
        ({"boot_id": ""}, "boot-id"),
        ({"stream": 3}, "stream"),
        ({"boot_number": 0}, "boot-number"),
        ({"boot_number": 2**63}, "boot-number"),
        ({"last_seq": 10}, "numbers"),
        ({"last_seq": 2**40 + 1}, "numbers"),
    ],
)
def test_a_batch_whose_numbers_mean_nothing_cannot_even_be_refused(change: dict[str, object], cause: str) -> None:
    assert verdict(replace(HEADER, **change), 10) == (Verdict.UNNUMBERED, cause)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 21, MAX_EVENTS + 1])
def test_a_count_that_cannot_be_is_refused_by_its_numbers(count: int) -> None:
    assert verdict(replace(HEADER, count=count), 10) == (Verdict.REFUSE, "count")


def test_three_schemas_before_and_one_after_are_taken_a_newer_waits_and_an_older_is_refused() -> None:
    found = {schema: verdict(replace(HEADER, schema=schema), 10, own_schema=5)[0] for schema in range(9)}
    taken = dict.fromkeys((2, 3, 4, 5, 6), Verdict.TAKE)
    assert found == taken | {0: Verdict.REFUSE, 1: Verdict.REFUSE, 7: Verdict.LATER, 8: Verdict.LATER}


def test_a_newer_schema_does_not_keep_a_duplicate_from_being_acknowledged() -> None:
    assert verdict(replace(HEADER, schema=9), 30)[0] is Verdict.DUPLICATE


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 40))
def test_what_is_counted_of_a_refused_batch_fits_between_watermark_and_end(count: int, last: int, mark: int) -> None:
    header = replace(HEADER, count=count, last_seq=max(last, 41))
    lost = events_refused(header, watermark=mark)
    assert 1 <= lost <= header.last_seq - max(header.after_seq, mark)


@pytest.mark.parametrize(
    ("watermark", "known", "expected"),
    [(100, 100, None), (120, 90, None), (60, 60, 40), (60, 70, 30), (0, 0, 100), (99, 0, 1), (60, 200, 0)],
)
def test_what_a_restored_copy_lacks_is_counted_and_never_more_than_there_is_room_for(
    watermark: int, known: int, expected: int | None
) -> None:
    floor = Floor(boot_id="a" * 32, boot_number=1, stream=ROUTE, acknowledged_seq=100, acknowledged_events=100)
    assert events_lost(floor, watermark=watermark, known_events=known) == expected


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({}, ""),
        ({"boot_id": "x"}, "boot-id"),
        ({"boot_number": 0}, "boot-number"),
        ({"acknowledged_seq": 0}, "numbers"),
        ({"acknowledged_events": 101}, "numbers"),
        ({"acknowledged_seq": 2**40}, ""),
        ({"acknowledged_seq": 2**40 + 1}, "numbers"),
    ],
)
def test_a_floor_that_cannot_be_is_told_by_its_fault(change: dict[str, object], cause: str) -> None:
    floor = Floor(boot_id="a" * 32, boot_number=1, stream=ROUTE, acknowledged_seq=100, acknowledged_events=100)
    assert fault_of_floor(replace(floor, **change)) == cause  # type: ignore[arg-type]


class GoBackN:
    """A device that sends a window from what was last acknowledged, and the controller's rows."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.batches: list[BatchHeader] = []
        self.rows: list[int] = []
        self.counted = 0
        self.watermark = 0
        self.acknowledged = 0
        seq = 0
        for _ in range(self.random.randint(1, 12)):
            after, count = seq, self.random.randint(1, 4)
            seq += count + self.random.randint(0, 2)  # other streams take numbers too
            self.batches.append(replace(HEADER, after_seq=after, last_seq=seq, count=count))

    def step(self) -> None:
        """Sends what is in the window, some of it lost, doubled or out of order; hears an answer or not."""
        waiting = [one for one in self.batches if one.last_seq > self.acknowledged][:4]
        arriving = [one for one in waiting * 2 if self.random.random() < 0.5]
        if self.random.random() < 0.5:
            self.random.shuffle(arriving)
        for header in arriving:
            self.take(header)
            if self.random.random() < 0.5:
                self.acknowledged = max(self.acknowledged, self.watermark)

    def take(self, header: BatchHeader) -> None:
        if judge(header, stream_of_topic=ROUTE, watermark=self.watermark).verdict is not Verdict.TAKE:
            return
        if self.random.random() < 0.1:  # what was in it could not be read
            self.counted += events_refused(header, watermark=self.watermark)
        else:
            self.rows += [header.after_seq + 1 + index for index in range(header.count)]
        self.watermark = header.last_seq


@given(st.integers(0, 2**32))
def test_whatever_is_lost_doubled_or_reordered_rows_and_counted_losses_are_the_events(seed: int) -> None:
    link = GoBackN(seed)
    for _ in range(400):
        link.step()
    assert link.acknowledged == link.batches[-1].last_seq
    assert len(link.rows) + link.counted == sum(one.count for one in link.batches)
    assert link.rows == sorted(set(link.rows))
