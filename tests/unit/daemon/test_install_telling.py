from __future__ import annotations

import pytest
from tests.support.install_stage import FakeSigner, Receipts, release
from tests.support.memory_installs import MemoryInstallStore
from tests.support.recorded_journal import RecordedJournal
from typing_extensions import override

from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import Event
from homebred_daemon.ports.installs import Step
from homebred_daemon.services.releases.install_book import InstallBook
from homebred_daemon.services.releases.install_telling import InstallTelling

NOW_S = 1_796_000_000


class Store(MemoryInstallStore):
    """Remembers how many receipts were on the disk when a step counted as told."""

    def __init__(self, receipts: Receipts) -> None:
        super().__init__()
        self._receipts = receipts
        self.on_disk_when_told = 0

    @override
    def told(self, step: Step) -> None:
        self.on_disk_when_told = self._receipts.on_disk
        super().told(step)


class Told:
    """A device whose release 7 was refused by its gate, and nobody knows yet."""

    def __init__(self) -> None:
        self.receipts, self.journal = Receipts(), RecordedJournal()
        self.store = Store(self.receipts)
        install = self.store.begin(release(7), now_s=NOW_S)
        for event in (Event.FETCHED, Event.VERIFIED, Event.FITS):
            install = self.store.move(install, event, now_s=NOW_S, facts={})
        refusal = Refusal(code="gate_quality", sentence="too bad")
        self.store.move(install, Event.REFUSAL, now_s=NOW_S, refusal=refusal, facts={"score_ppm": 5})

    def telling(self, signer: FakeSigner | None) -> InstallTelling:
        return InstallTelling(InstallBook(self.store), self.receipts, signer, self.journal)


@pytest.fixture
def device() -> Told:
    return Told()


async def test_what_is_news_is_told_once_and_signed(device: Told) -> None:
    for _ in range(2):
        await device.telling(FakeSigner()).tell()
    assert device.receipts.told == [(7, "refused", "gate_quality")]
    assert device.receipts.signed == [b"5 refused"]
    assert device.store.untold() == []


async def test_what_became_no_install_is_told_once_after_what_did(device: Told) -> None:
    device.store.decline("models/qa/intake/8.json", "other_site", "sha256:8", now_s=NOW_S)
    device.store.decline("image", "expired", "", now_s=NOW_S)
    for _ in range(2):
        await device.telling(FakeSigner()).tell()
    assert device.receipts.told == [
        (7, "refused", "gate_quality"),
        (8, "refused", "other_site"),
        (0, "refused", "expired"),
    ]
    assert device.receipts.signed == [b"5 refused", b"1 other_site", b"2 expired"]


async def test_a_refusal_that_cannot_be_signed_now_is_told_later(device: Told) -> None:
    await device.telling(FakeSigner()).tell()
    device.store.decline("", "unknown_path", "", now_s=NOW_S)
    await device.telling(FakeSigner(fails=True)).tell()
    assert len(device.store.untold_declined()) == 1
    await device.telling(FakeSigner()).tell()
    assert device.receipts.told[-1] == (0, "refused", "unknown_path")


async def test_what_cannot_be_signed_now_is_told_later(device: Told) -> None:
    await device.telling(FakeSigner(fails=True)).tell()
    assert device.receipts.told == []
    assert "install_held_up" in device.journal.names
    await device.telling(FakeSigner()).tell()
    assert device.receipts.signed == [b"5 refused"]


async def test_without_a_signer_it_is_told_all_the_same(device: Told) -> None:
    await device.telling(None).tell()
    assert device.receipts.signed == [b""]


async def test_what_nobody_takes_now_is_told_once_somebody_does(device: Told) -> None:
    device.receipts.is_away = True
    await device.telling(FakeSigner()).tell()
    assert len(device.store.untold()) == 1
    device.receipts.is_away = False
    await device.telling(FakeSigner()).tell()
    assert device.receipts.signed == [b"5 refused"]


async def test_it_is_on_the_disk_before_it_counts_as_told_unless_that_is_full(device: Told) -> None:
    await device.telling(FakeSigner()).tell()
    assert device.store.on_disk_when_told == 1
    again = Told()
    again.receipts.is_full = True
    await again.telling(FakeSigner()).tell()
    assert (again.receipts.signed, again.store.untold()) == ([b"5 refused"], [])
