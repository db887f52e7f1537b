"""What every outbox promises: SQLite's, and the one in memory that other tests trust."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from typing import Protocol

import pytest
from tests.support.memory_outbox import AMPLE, Disk, MemoryOutbox
from tests.support.sent_telemetry import batch_of, events_of, receipt

from homebred_daemon.adapters.store.outbox import SqliteOutbox
from homebred_daemon.core.outbox import MOST_GAPS, PATIENCE, RANKS, Quota, cost_bytes
from homebred_daemon.ports.outbox import CutBatch, Floor, Outbox, OutboxDepth
from homebred_protocol.v1 import fleet_pb2 as wire

FIRST, SECOND, THIRD = "1f" * 16, "2f" * 16, "3f" * 16
ROOM = {"max_events": 200, "max_bytes": 65_536}


class Start(Protocol):
    """Begins a start of the daemon on the same disk; the one before is over."""

    def __call__(self, boot_id: str = FIRST, quota: Quota = AMPLE) -> Outbox: ...


@pytest.fixture(params=["sqlite", "memory"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    disk = Disk()
    with ExitStack() as stack:

        def begun(boot_id: str = FIRST, quota: Quota = AMPLE) -> Outbox:
            stack.close()
            if request.param == "memory":
                return MemoryOutbox(boot_id=boot_id, quota=quota, disk=disk)
            path = tmp_path / "outbox.sqlite"
            return stack.enter_context(closing(SqliteOutbox(path, boot_id=boot_id, quota=quota, now_s=lambda: 0)))

        yield begun


def cut(outbox: Outbox, **room: int) -> CutBatch:
    batch = outbox.cut(**(ROOM | room))
    assert batch is not None
    return batch


def all_cut(outbox: Outbox) -> list[CutBatch]:
    return list(iter(lambda: outbox.cut(**ROOM), None))


def subjects(batch: CutBatch) -> list[str]:
    return [event.receipt.subject for event in events_of(batch.payload)]


def seqs(batch: CutBatch) -> list[int]:
    return [event.seq for event in events_of(batch.payload)]


def gaps(outbox: Outbox) -> list[tuple[str, int, int, int, int, int]]:
    """The gaps in the next batch: whose, of which stream, from, to, how many, why."""
    batch = cut(outbox)
    assert batch.stream == "gap"
    told = [event.gap for event in events_of(batch.payload)]
    return [(gap.boot_id, gap.stream, gap.first_seq, gap.last_seq, gap.events, gap.reason) for gap in told]


def test_a_new_outbox_is_empty_and_knows_its_start(start: Start) -> None:
    outbox = start()
    assert (outbox.boot_id, outbox.boot_number, outbox.cursor()) == (FIRST, 1, "")
    assert outbox.depth() == OutboxDepth(events=0, size_bytes=0, lost_events=0)
    assert (outbox.cut_batches(), outbox.cut(**ROOM)) == ([], None)


def test_starts_are_counted(start: Start) -> None:
    assert [start(boot_id).boot_number for boot_id in (FIRST, SECOND, THIRD)] == [1, 2, 3]


def test_events_are_numbered_from_one_over_all_streams(start: Start) -> None:
    outbox = start()
    outbox.append([receipt("a", stream="route"), receipt("b"), receipt("c", stream="route")], cursor="7")
    outbox.append([receipt("d")], cursor="8")
    receipts, routes = cut(outbox), cut(outbox)
    assert (seqs(receipts), subjects(receipts)) == ([2, 4], ["b", "d"])
    assert (seqs(routes), subjects(routes)) == ([1, 3], ["a", "c"])
    assert outbox.cursor() == "8"


def test_the_cursor_moves_without_events_too(start: Start) -> None:
    outbox = start()
    outbox.append([], cursor="12")
    assert (outbox.cursor(), outbox.depth().events) == ("12", 0)


def test_what_could_not_be_read_is_counted_with_the_cursor_that_passes_it(start: Start) -> None:
    outbox = start()
    outbox.append([receipt("a", stream="route")], cursor="9", lost_routes=4)
    assert (outbox.cursor(), outbox.depth().lost_events) == ("9", 4)
    assert gaps(outbox) == [("", wire.STREAM_ROUTE, 0, 0, 4, wire.GAP_REASON_LEDGER)]


def test_a_batch_says_where_it_stands(start: Start) -> None:
    outbox = start()
    outbox.append([receipt(str(number)) for number in range(5)], cursor="")
    batches = [cut(outbox, max_events=2) for _ in range(3)]
    assert [(each.after_seq, each.last_seq, each.count) for each in batches] == [(0, 2, 2), (2, 4, 2), (4, 5, 1)]
    head = batch_of(batches[1].payload)
    assert (head.schema, head.boot_id, head.boot_number) == (1, FIRST, 1)
    assert (head.stream, head.after_seq, head.last_seq, head.count) == (wire.STREAM_RECEIPT, 2, 4, 2)


def test_a_batch_stays_as_it_was_cut_over_restarts(start: Start) -> None:
    outbox = start()
    outbox.append([receipt("a"), receipt("b")], cursor="")
    batch = cut(outbox)
    assert outbox.cut_batches() == [batch]
    outbox = start(SECOND)
    outbox.append([receipt("c")], cursor="")
    assert outbox.cut_batches() == [batch]


def test_a_batch_is_never_larger_than_it_may_be(start: Start) -> None:
    outbox = start()
    letters = Random(7).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000)
    outbox.append([receipt("".join(letters[n : n + 100])) for n in range(0, 20_000, 100)], cursor="")
    sizes = [len(batch.payload) for batch in iter(lambda: outbox.cut(max_events=500, max_bytes=4096), None)]
    assert max(sizes) <= 4096
    assert len(sizes) > 3


def test_an_event_larger_than_a_batch_goes_alone(start: Start) -> None:
    outbox = start()
    outbox.append([receipt("large", filler=5000), receipt("b")], cursor="")
    assert [subjects(cut(outbox, max_bytes=1000)) for _ in range(2)] == [["large"], ["b"]]


def test_more_important_streams_go_first_and_older_starts_before_newer(start: Start) -> None:
    outbox = start()
    for stream in ("health", "route", "evidence", "receipt"):
        outbox.append([receipt(f"1 {stream}", stream=stream)], cursor="")
    outbox = start(SECOND)
    outbox.append([receipt("2 route", stream="route"), receipt("2 receipt")], cursor="")
    outbox.count_lost("route", 3, "ledger")
    batches = all_cut(outbox)
    assert [batch.stream for batch in batches] == ["gap", "receipt", "receipt", "evidence", "route", "route", "health"]
    assert [subjects(batch)[0] for batch in batches[1:3]] == ["1 receipt", "2 receipt"]
    assert {batch.boot_id for batch in batches} == {FIRST, SECOND}


def test_a_less_important_stream_is_not_passed_over_for_ever(start: Start) -> None:
    outbox = start()
    outbox.append([receipt("patient", stream="health")], cursor="")
    outbox.append([receipt(str(number)) for number in range(20)], cursor="")
    streams = [cut(outbox, max_events=1).stream for _ in range(12)]
    assert streams == ["receipt"] * PATIENCE + ["health"] + ["receipt"] * 3


def test_what_is_acknowledged_is_forgotten_and_its_place_is_known(start: Start) -> None:
    outbox = start()
    outbox.append([receipt(str(number)) for number in range(6)], cursor="")
    first, second, third = (cut(outbox, max_events=2) for _ in range(3))
    assert outbox.acknowledge(FIRST, "receipt", second.last_seq) == 4
    assert outbox.cut_batches() == [third]
    assert outbox.floor(FIRST, "receipt") == Floor(boot_id=FIRST, boot_number=1, stream="receipt", seq=4, events=4)
    assert outbox.acknowledge(FIRST, "receipt", first.last_seq) == 0
    assert outbox.acknowledge(FIRST, "receipt", third.last_seq) == 2
    depth = outbox.depth()
    assert (depth.events, depth.size_bytes, depth.cut_events, depth.acknowledged_events) == (0, 0, 6, 6)


def test_only_whole_batches_are_acknowledged(start: Start) -> None:
    outbox = start()
    outbox.append([receipt(str(number)) for number in range(4)], cursor="")
    batch = cut(outbox)
    assert outbox.acknowledge(FIRST, "receipt", 3) == 0
    assert outbox.cut_batches() == [batch]


def test_more_than_was_ever_cut_is_not_taken_for_acknowledged(start: Start) -> None:
    outbox = start()
    outbox.append([receipt("a"), receipt("b")], cursor="")
    batch = cut(outbox, max_events=1)
    for boot_id, stream, seq in ((FIRST, "receipt", 2), (SECOND, "receipt", 1), (FIRST, "route", 1)):
        assert outbox.acknowledge(boot_id, stream, seq) == 0
        assert outbox.refuse(boot_id, stream, seq) == 0
    assert outbox.cut_batches() == [batch]


def test_batches_of_an_earlier_start_are_acknowledged_in_a_later_one(start: Start) -> None:
    outbox = start()
    outbox.append([receipt("a")], cursor="")
    batch = cut(outbox)
    outbox = start(SECOND)
    assert outbox.acknowledge(FIRST, "receipt", batch.last_seq) == 1
    assert outbox.floor(FIRST, "receipt") == Floor(boot_id=FIRST, boot_number=1, stream="receipt", seq=1, events=1)
    assert outbox.floor(SECOND, "receipt") == Floor(boot_id=SECOND, boot_number=2, stream="receipt", seq=0, events=0)
    assert outbox.floor(THIRD, "receipt") is None
    assert [(floor.boot_id, floor.seq) for floor in outbox.floors(10)] == [(FIRST, 1)]


def test_the_batches_of_a_stream_follow_each_other_whatever_was_acknowledged(start: Start) -> None:
    outbox = start()
    for number in range(3):
        outbox.append([receipt(str(number))], cursor="")
        batch = cut(outbox)
        assert batch.after_seq == number
        outbox.acknowledge(FIRST, "receipt", batch.last_seq)


# Losses


def test_at_the_quota_the_oldest_of_the_least_important_stream_goes_and_is_counted(start: Start) -> None:
    outbox = start(quota=Quota(max_events=4, max_bytes=1 << 20))
    outbox.append([receipt("h1", stream="health"), receipt("r1", stream="route")], cursor="")
    outbox.append([receipt("h2", stream="health"), receipt("r2", stream="route")], cursor="")
    outbox.append([receipt("a"), receipt("b"), receipt("c")], cursor="")
    assert outbox.depth().lost_events == 3
    route, health = wire.STREAM_ROUTE, wire.STREAM_HEALTH
    quota = wire.GAP_REASON_QUOTA
    assert sorted(gaps(outbox)) == sorted([(FIRST, health, 1, 3, 2, quota), (FIRST, route, 2, 2, 1, quota)])
    assert [subjects(batch) for batch in all_cut(outbox)] == [["a", "b", "c"], ["r2"]]


def test_the_quota_holds_for_bytes_too(start: Start) -> None:
    size = cost_bytes(receipt("0", filler=1000).body)
    outbox = start(quota=Quota(max_events=1000, max_bytes=10 * size))
    for number in range(30):
        outbox.append([receipt(str(number % 10), filler=1000)], cursor="")
        assert outbox.depth().size_bytes <= 10 * size
    assert outbox.depth().lost_events == 20


def test_what_was_cut_is_never_dropped(start: Start) -> None:
    outbox = start(quota=Quota(max_events=2, max_bytes=1 << 20))
    outbox.append([receipt("a", stream="health"), receipt("b", stream="health")], cursor="")
    batch = cut(outbox)
    outbox.append([receipt("c"), receipt("d")], cursor="")
    assert outbox.cut_batches() == [batch]
    assert gaps(outbox) == [(FIRST, wire.STREAM_RECEIPT, 3, 4, 2, wire.GAP_REASON_QUOTA)]


def test_losses_of_the_same_kind_wait_as_one_gap_until_it_is_cut(start: Start) -> None:
    outbox = start(quota=Quota(max_events=1, max_bytes=1 << 20))
    outbox.append([receipt(str(number), stream="route") for number in range(5)], cursor="")
    outbox.append([receipt("5", stream="route")], cursor="")
    assert gaps(outbox) == [(FIRST, wire.STREAM_ROUTE, 1, 5, 5, wire.GAP_REASON_QUOTA)]


def test_losses_before_and_behind_a_batch_are_two_gaps(start: Start) -> None:
    outbox = start(quota=Quota(max_events=4, max_bytes=1 << 20))
    outbox.append([receipt(str(number), stream="route") for number in range(1, 7)], cursor="")
    outbox.append([receipt("7")], cursor="")
    told = gaps(outbox)
    assert told == [(FIRST, wire.STREAM_ROUTE, 1, 3, 3, wire.GAP_REASON_QUOTA)]
    assert [subjects(cut(outbox)) for _ in range(2)] == [["7"], ["4", "5", "6"]]
    outbox.append([receipt("9", stream="route")], cursor="")
    (later,) = gaps(outbox)
    assert later[2:5] == (9, 9, 1)


def test_events_that_never_had_a_number_are_counted_by_their_number_alone(start: Start) -> None:
    outbox = start()
    outbox.count_lost("receipt", 2, "disk")
    outbox.count_lost("receipt", 3, "disk")
    outbox.count_lost("route", 1, "ledger")
    assert outbox.depth() == OutboxDepth(events=2, size_bytes=0, lost_events=6)
    assert gaps(outbox) == [
        ("", wire.STREAM_RECEIPT, 0, 0, 5, wire.GAP_REASON_DISK),
        ("", wire.STREAM_ROUTE, 0, 0, 1, wire.GAP_REASON_LEDGER),
    ]


def test_gaps_have_numbers_among_the_others_and_are_acknowledged_like_them(start: Start) -> None:
    outbox = start()
    outbox.append([receipt("a")], cursor="")
    outbox.count_lost("route", 1, "ledger")
    batch = cut(outbox)
    assert (batch.stream, seqs(batch), batch.after_seq) == ("gap", [2], 0)
    outbox.append([receipt("b")], cursor="")
    assert seqs(cut(outbox)) == [1, 3]
    assert outbox.acknowledge(FIRST, "gap", 2) == 1
    assert outbox.cut(**ROOM) is None


def test_a_refused_batch_becomes_a_gap(start: Start) -> None:
    outbox = start()
    outbox.append([receipt("a"), receipt("b"), receipt("c")], cursor="")
    batch = cut(outbox, max_events=2)
    assert outbox.refuse(FIRST, "receipt", batch.last_seq) == 2
    assert gaps(outbox) == [(FIRST, wire.STREAM_RECEIPT, 1, 2, 2, wire.GAP_REASON_REFUSED)]
    following = cut(outbox)
    assert (following.after_seq, subjects(following)) == (2, ["c"])
    floor = outbox.floor(FIRST, "receipt")
    assert floor is not None
    assert (floor.seq, floor.events) == (2, 2)
    assert list(outbox.floors(1)) == [floor]
    assert list(outbox.floors(1, skip=1)) == []


def test_a_refused_gap_is_told_again_and_itself_counted(start: Start) -> None:
    outbox = start()
    outbox.count_lost("route", 7, "ledger")
    for _ in range(3):
        batch = cut(outbox)
        assert outbox.refuse(FIRST, "gap", batch.last_seq) == batch.count
    told = gaps(outbox)
    assert ("", wire.STREAM_ROUTE, 0, 0, 7, wire.GAP_REASON_LEDGER) in told
    assert sum(each[4] for each in told if each[1] == wire.STREAM_GAP) == 1 + 2 + 2
    assert len(told) == 2


def test_gaps_of_countless_starts_stay_few_and_keep_their_sum(start: Start) -> None:
    quota = Quota(max_events=1, max_bytes=1 << 20)
    outbox = start(THIRD, quota)
    for number in range(MOST_GAPS + 20):
        outbox = start(f"{number:032x}", quota)
        outbox.append([receipt("a", stream="route"), receipt("b", stream="route")], cursor="")
    lost = outbox.depth().lost_events
    told = [each for _ in range(2) for each in gaps(outbox)]
    assert sum(each[4] for each in told) == lost == 2 * (MOST_GAPS + 20) - 1
    assert len(told) <= MOST_GAPS
    assert any(not each[0] for each in told)


def test_a_gap_cannot_be_appended_from_outside(start: Start) -> None:
    outbox = start()
    with pytest.raises(ValueError, match="own events"):
        outbox.append([receipt(stream="gap")], cursor="x")
    assert (outbox.cursor(), outbox.depth().events) == ("", 0)


# All of it, at random


class Life:
    """An outbox through appends, cuts, acknowledgements, refusals, repeats and restarts, and all that left it."""

    QUOTA = Quota(max_events=12, max_bytes=3000)

    def __init__(self, start: Start, seed: int) -> None:
        self._start, self._seed, self._boots = start, seed, 0
        self._random = Random(seed)
        self.outbox = self._started()
        self.lost_before = self.outbox.depth().lost_events
        self.made = 0
        """Events that there were: appended, counted without a number, and the gaps themselves."""
        self.rows: dict[tuple[str, int], wire.Event] = {}
        """What the controller stored."""

    def _started(self) -> Outbox:
        self._boots += 1
        return self._start(f"{self._seed:016x}{self._boots:016x}", self.QUOTA)

    def step(self) -> None:
        acts = (self.append, self.append, self.cut, self.cut, self.acknowledge, self.refuse, self.lose, self.restart)
        self._random.choice(acts)()

    def append(self) -> None:
        streams = self._random.choices(list(RANKS)[1:], k=3)
        self.outbox.append([receipt(str(self.made), stream=stream) for stream in streams], cursor=str(self.made))
        self.made += 3

    def cut(self) -> None:
        batch = self.outbox.cut(max_events=self._random.randint(1, 5), max_bytes=2000)
        if batch is not None and batch.stream == "gap":
            self.made += batch.count

    def acknowledge(self) -> None:
        if held := self.outbox.cut_batches():
            self._store(self._random.choice(held))

    def refuse(self) -> None:
        if (held := self.outbox.cut_batches()) and self._random.random() < 0.3:
            self.outbox.refuse(held[0].boot_id, held[0].stream, held[0].last_seq)

    def lose(self) -> None:
        self.outbox.count_lost("route", 2, "disk")
        self.made += 2

    def restart(self) -> None:
        if self._random.random() < 0.3:
            self.outbox = self._started()

    def end(self) -> None:
        """The controller takes all that is left."""
        while self.outbox.depth().events:
            self.cut()
            if held := self.outbox.cut_batches():
                self._store(held[0])

    def _store(self, batch: CutBatch) -> None:
        for each in self.outbox.cut_batches():
            if (each.boot_id, each.stream) == (batch.boot_id, batch.stream) and each.last_seq <= batch.last_seq:
                self.rows |= {(each.boot_id, event.seq): event for event in events_of(each.payload)}
        self.outbox.acknowledge(batch.boot_id, batch.stream, batch.last_seq)


@pytest.mark.parametrize("seed", range(25))
def test_rows_and_counted_gaps_are_all_the_events_there_were(start: Start, seed: int) -> None:
    life = Life(start, seed)
    for _ in range(120):
        life.step()
    life.end()
    counted = sum(event.gap.events for event in life.rows.values())
    assert len(life.rows) + counted == life.made
    depth = life.outbox.depth()
    assert (depth.events, depth.size_bytes, depth.lost_events) == (0, 0, life.lost_before + counted)
