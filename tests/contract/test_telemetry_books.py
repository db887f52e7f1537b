"""The controller's books about a device: rows and counted losses are all the events that the device ever made (I3)."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random

from sqlalchemy import insert
from tests.support.ledger_entries import NOW
from tests.support.sent_telemetry import batch_of
from tests.support.telemetry_device import HOURS, ROOM, WINDOW, Device

from homebred_daemon.ports.outbox import CutBatch
from homebred_fleet.adapters.store.accounts import Account, accounts
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.intake import StoreIntake
from homebred_fleet.adapters.store.tables import devices
from homebred_fleet.ports.intake import Arrival, Fate, Outcome
from homebred_protocol.topics import DeviceTopic, Up


class Books:
    """The controller's own store, as the hub uses it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._intake = StoreIntake(database)
        with database.writing() as connection:
            row = {"id": "kiosk-3", "site": "a", "labels": {}, "state": "enrolled", "enrolled_at_s": 1}
            connection.execute(insert(devices), [row])

    def hears(self, batch: CutBatch, *, is_spoilt: bool) -> Outcome:
        """Takes a batch; spoilt, its numbers can be read and its events cannot."""
        message = batch_of(batch.payload)
        if is_spoilt:
            message.events = b"spoilt"
        topic = DeviceTopic("kiosk-3", Up.TELEMETRY, batch.stream).text
        arrival = Arrival(topic=topic, payload=message.SerializeToString(), is_retained=False)
        (outcome,) = self._intake.take([arrival], now_s=int(NOW.timestamp()))
        return outcome

    def account(self) -> Account:
        with self._database.reading() as connection:
            (account,) = accounts(connection)
        return account


def settle(device: Device, books: Books, random: Random) -> Counter[Fate]:
    """As `talk`, with the controller's own verdicts; some batches are lost, some refused, some acknowledged late."""
    fates: Counter[Fate] = Counter()
    spoilt: set[tuple[str, str, int]] = set()
    while True:
        while len(device.outbox.cut_batches()) < WINDOW and (cut := device.outbox.cut(**ROOM)):
            device.made["gap"] += cut.count if cut.stream == "gap" else 0
        flying = list(device.outbox.cut_batches())[:WINDOW]
        if not flying:
            return fates
        for batch in flying:
            key = (batch.boot_id, batch.stream, batch.last_seq)
            if random.random() < 0.1:
                spoilt.add(key)
            outcome = books.hears(batch, is_spoilt=key in spoilt)
            fates[outcome.fate] += 1
            assert outcome.ack is not None
            if random.random() < 0.8:
                for held in list(device.outbox.cut_batches()):
                    if (held.boot_id, held.stream, held.last_seq) == (*key[:2], outcome.ack.refused_up_to_seq):
                        device.outbox.acknowledge(batch.boot_id, batch.stream, held.after_seq)
                        device.outbox.refuse(batch.boot_id, batch.stream, held.last_seq)
                device.outbox.acknowledge(batch.boot_id, batch.stream, outcome.ack.up_to_seq)


def test_the_controllers_books_balance_with_all_that_the_device_made(database: Database, tmp_path: Path) -> None:
    with closing(Device(tmp_path)) as device:
        _balance(device, database)


def _balance(device: Device, database: Database) -> None:
    random, books = Random(20261130), Books(database)
    fates: Counter[Fate] = Counter()
    for day in range(14):
        for _ in range(HOURS):
            device.live_an_hour(random)
        if day == 2:
            fates += settle(device, books, random)
        device.start()
    fates += settle(device, books, random)
    account = books.account()
    assert {Fate.STORED, Fate.DUPLICATE, Fate.REFUSED} <= set(fates)
    assert account.lost_on_device > 0
    assert account.lost_here > 0
    assert account.rows + account.lost_on_device + account.lost_here == device.made.total()
