"""A month offline with a full outbox, then back: order kept, what was lost counted, caught up. On the real files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from tests.support.ledger_entries import NOW
from tests.support.memory_controller import MemoryController
from tests.support.telemetry_device import HOURS, QUOTA, ROOM, WINDOW, Device

from homebred_fleet.core.ingest import Verdict

DAYS = 30


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path)
    yield made
    made.close()


def talk(device: Device, controller: MemoryController, random: Random, *, loses: float = 0.0) -> int:
    """Sends until all is acknowledged, as the link does: a few at once, again from where the controller stands.

    Args:
        device: whose outbox.
        controller: who hears it.
        random: what is lost.
        loses: share of batches and of acknowledgements that never arrive, or arrive twice.

    Returns:
        Batches that were sent, those sent again among them.
    """
    sent, outbox = 0, device.outbox
    while True:
        while len(outbox.cut_batches()) < WINDOW and outbox.cut(**ROOM):
            pass
        flying = list(outbox.cut_batches())[:WINDOW]
        if not flying:
            return sent
        for batch in flying:
            sent += 1
            if random.random() < loses:
                continue
            up_to = controller.hears(batch)
            if random.random() < loses:
                up_to = controller.hears(batch)
            if random.random() >= loses:
                outbox.acknowledge(batch.boot_id, batch.stream, up_to)


def test_after_a_month_offline_all_that_was_kept_arrives_in_order_and_the_rest_is_counted(device: Device) -> None:
    random, controller = Random(20261123), MemoryController()
    for _ in range(5):
        device.live_an_hour(random)
    talk(device, controller, random)
    online = len(controller.rows)
    for _ in range(DAYS):
        for _ in range(HOURS):
            device.live_an_hour(random)
            depth = device.outbox.depth()
            assert depth.size_bytes <= QUOTA.max_bytes
        device.start()
    talk(device, controller, random, loses=0.3)

    assert device.outbox.depth().events == 0, "caught up"
    gaps = sum(event.WhichOneof("body") == "gap" for event in controller.rows.values())
    assert len(controller.rows) + controller.counted() == device.made.total() + gaps
    assert device.outbox.depth().lost_events == controller.counted()
    arrived_later = Counter(stream for _, stream, _ in controller.arrived[online:])
    assert arrived_later["route"] < QUOTA.max_events < device.made["route"], "the outbox was full"
    assert set(controller.verdicts) == {Verdict.TAKE, Verdict.DUPLICATE, Verdict.HOLE}, "the network was bad"
    _assert_in_order(controller, device)


def _assert_in_order(controller: MemoryController, device: Device) -> None:
    """Each stream of a start came as it was made; the important is whole, of the rest the newest is there."""
    for boot, stream in controller.watermarks:
        seqs = [seq for of, among, seq in controller.arrived if (of, among) == (boot, stream)]
        assert seqs == sorted(seqs)
    made = Counter(event.WhichOneof("body") for event in controller.rows.values())
    assert made["receipt"] == device.made["receipt"], "nothing important was dropped"
    assert made["evidence"] == device.made["evidence"]
    assert made["health"] < device.made["health"], "what is least important went first"
    ended = [event.recorded_at_s for event in controller.rows.values() if event.WhichOneof("body") == "route"]
    newest = (NOW + device.passed).timestamp() - 3600
    assert max(ended) == newest


def test_numbers_and_gaps_of_each_start_make_up_all_that_it_ever_numbered(device: Device) -> None:
    random, controller = Random(7), MemoryController()
    for _ in range(10):
        for _ in range(HOURS):
            device.live_an_hour(random)
        device.start()
    talk(device, controller, random)
    highest: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for boot, seq in controller.rows:
        highest[boot] = max(highest[boot], seq)
        rows[boot] += 1
    lost: Counter[str] = Counter()
    for event in controller.rows.values():
        if event.WhichOneof("body") == "gap":
            lost[event.gap.boot_id] += event.gap.events
            highest[event.gap.boot_id] = max(highest[event.gap.boot_id], event.gap.last_seq)
    assert {boot: rows[boot] + lost[boot] for boot in highest} == dict(highest)
