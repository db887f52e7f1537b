"""What a device signs of its installs, and what a fleet's database makes of it: over the broker, by file, forged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.support.fleet_authority import Authority
from tests.support.signed_receipts import FACTS, NOW_S, SigningDevice, know
from tests.support.telemetry_messages import batch, sent

from homebred_daemon.core.deployment import Event
from homebred_daemon.errors import StateError
from homebred_fleet.adapters.receipt_signatures import ReceiptRefusedError, verified
from homebred_fleet.adapters.store import receipts
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.intake import StoreIntake
from homebred_fleet.adapters.store.tables import audit, install_receipts, quarantine, receipt_events
from homebred_fleet.ports.intake import Fate
from homebred_protocol.receipts import Receipt, read_body
from homebred_protocol.v1 import fleet_pb2 as wire

AUTHORITY = Authority()


@pytest.fixture
def device(tmp_path: Path) -> SigningDevice:
    return SigningDevice(tmp_path / "device", AUTHORITY)


def bring(database: Database, *lines: bytes) -> receipts.Brought:
    with database.writing() as connection:
        return receipts.bring(connection, lines, by="ada", now_s=NOW_S)


def kept(database: Database) -> list[tuple[str, int, str, str]]:
    with database.reading() as connection:
        found = receipts.newest(connection)
    return [(one["device"], one["seq"], one["result"], one["came_by"]) for one in found]


def told(line: bytes, seq: int = 1) -> wire.Event:
    body = wire.ReceiptEvent(kind=wire.RECEIPT_KIND_INSTALL, subject="sha256:1", version=7, result="x", signed=line)
    return wire.Event(seq=seq, recorded_at_s=NOW_S, receipt=body)


def test_the_same_step_gives_the_same_receipt_under_each_of_a_devices_keys(device: SigningDevice) -> None:
    with pytest.raises(StateError, match="in no fleet"):
        device.receipt()
    device.enrol()
    first = verified(device.receipt())
    device.enrol()
    second = verified(device.receipt())
    assert first.receipt == second.receipt == read_body(first.signed.body)
    assert first.signed.digest == second.signed.digest
    assert first.fingerprint != second.fingerprint
    assert first.receipt.facts == FACTS
    assert (first.receipt.device, first.receipt.result) == ("kiosk-1", "gate_passed")
    assert device.receipt(event=None) == b""


def test_a_receipt_counts_once_whichever_way_it_comes_first(device: SigningDevice, database: Database) -> None:
    renewed_from = device.enrol()
    old = device.receipt(1)
    know(database, "kiosk-1", renewed_from, device.enrol())
    both = [old, device.receipt(2)]
    assert bring(database, *both) == receipts.Brought(stored=2, known=0, refused=())
    assert bring(database, *both) == receipts.Brought(stored=0, known=2, refused=())
    arrived = sent(
        "kiosk-1", batch([told(device.receipt(1)), told(device.receipt(3), seq=2)], stream=wire.STREAM_RECEIPT)
    )
    (outcome,) = StoreIntake(database).take([arrived], now_s=NOW_S)
    assert (outcome.fate, outcome.events) == (Fate.STORED, 2)
    assert bring(database, device.receipt(3)).known == 1
    assert kept(database) == [
        ("kiosk-1", 3, "gate_passed", "mqtt"),
        ("kiosk-1", 2, "gate_passed", "file"),
        ("kiosk-1", 1, "gate_passed", "file"),
    ]
    with database.reading() as connection:
        actions = connection.execute(select(audit.c.action, audit.c.details)).all()
    assert [tuple(row) for row in actions] == [("receipt.import", {"stored": 2, "known": 0, "refused": 0})]


def test_what_was_measured_is_there_to_be_read(device: SigningDevice, database: Database) -> None:
    know(database, "kiosk-1", device.enrol())
    bring(database, device.receipt(1))
    with database.reading() as connection:
        (found,) = receipts.newest(connection, device="kiosk-1", specialist=_receipt(device).specialist)
        assert receipts.newest(connection, device="kiosk-2") == []
        assert receipts.newest(connection, before=found["number"]) == []
    assert found["facts"] == FACTS
    assert (found["release_number"], found["release_digest"]) == (7, _receipt(device).digest)


def _receipt(device: SigningDevice) -> Receipt:
    return verified(device.receipt(1)).receipt


def altered(line: bytes, **changes: object) -> bytes:
    """A receipt that says something else, with the signature that it had."""
    said = json.loads(line)
    said["receipt"] |= changes
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def forgeries(device: SigningDevice, folder: Path) -> Iterator[tuple[bytes, str]]:
    whole = device.receipt(1)
    yield altered(whole, result="settled"), "receipt-signature"
    yield altered(whole, facts={"intake.extract:score_ppm": 999_999}), "receipt-signature"
    yield altered(whole, device="kiosk-2"), "receipt-signature"
    yield whole[:-40], "receipt-malformed"
    yield b"\xff\x00{", "receipt-malformed"
    stranger = SigningDevice(folder / "stranger", Authority("another"))
    stranger.enrol()
    yield stranger.receipt(1), "receipt-certificate"
    said, other = json.loads(whole), json.loads(stranger.receipt(1))
    mixed = {**said, "signature": other["signature"]}
    yield json.dumps(mixed, sort_keys=True, separators=(",", ":")).encode(), "receipt-signature"
    mixed = {**said, "certificate": "AAAA"}
    yield json.dumps(mixed, sort_keys=True, separators=(",", ":")).encode(), "receipt-signature"


def test_a_forged_receipt_is_refused_whoever_brings_it_and_holds_no_other_up(
    device: SigningDevice, database: Database, tmp_path: Path
) -> None:
    know(database, "kiosk-1", device.enrol())
    lines = [line for line, _ in forgeries(device, tmp_path)]
    causes = [
        "receipt-signature",
        "receipt-signature",
        "receipt-signature",
        "receipt-malformed",
        "receipt-malformed",
        "receipt-certificate",
        "receipt-signature",
        "receipt-signature",
    ]
    brought = bring(database, *lines, device.receipt(2))
    assert brought == receipts.Brought(stored=1, known=0, refused=tuple(enumerate(causes)))
    events = [told(line, seq) for seq, line in enumerate([*lines, device.receipt(3)], start=1)]
    (outcome,) = StoreIntake(database).take([sent("kiosk-1", batch(events, stream=wire.STREAM_RECEIPT))], now_s=NOW_S)
    assert outcome.fate is Fate.STORED
    assert list(outcome.refused_receipts) == causes
    assert [seq for _, seq, _, _ in kept(database)] == [3, 2]
    with database.reading() as connection:
        counted = connection.execute(select(quarantine.c.cause, quarantine.c.messages, quarantine.c.device)).all()
        assert connection.execute(select(func.count()).select_from(receipt_events)).scalar_one() == len(events)
    assert {row.cause: row.messages for row in counted} == {
        "receipt-signature": 5,
        "receipt-malformed": 2,
        "receipt-certificate": 1,
    }


def test_a_device_cannot_speak_for_another_nor_with_what_was_taken_back(
    device: SigningDevice, database: Database, tmp_path: Path
) -> None:
    other = SigningDevice(tmp_path / "other", AUTHORITY, "kiosk-2")
    gone = SigningDevice(tmp_path / "gone", AUTHORITY, "kiosk-3")
    know(database, "kiosk-1", device.enrol())
    know(database, "kiosk-2", other.enrol())
    know(database, "kiosk-3", gone.enrol(), revoked_at_s=5)
    with database.writing() as connection:
        for line, cause in ((other.receipt(1), receipts.OTHERS), (gone.receipt(1), receipts.TAKEN_BACK)):
            bearer = "kiosk-1" if cause == receipts.OTHERS else ""
            with pytest.raises(ReceiptRefusedError, match=cause):
                receipts.keep(connection, line, came_by=receipts.BY_BROKER, now_s=NOW_S, bearer=bearer)
    impostor = SigningDevice(tmp_path / "impostor", AUTHORITY, "kiosk-1")
    know(database, "kiosk-4", impostor.enrol())
    assert bring(database, impostor.receipt(1)).refused == ((0, receipts.OTHERS),)
    assert kept(database) == []


def test_a_device_that_floods_the_fleet_pushes_out_its_own_oldest(
    device: SigningDevice, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "MOST_OF_A_DEVICE", 3)
    know(database, "kiosk-1", device.enrol())
    assert bring(database, *(device.receipt(seq, event=Event.ACTIVATED) for seq in range(1, 6))).stored == 5
    with database.reading() as connection:
        assert connection.execute(select(install_receipts.c.seq).order_by(install_receipts.c.seq)).scalars().all() == [
            3,
            4,
            5,
        ]
