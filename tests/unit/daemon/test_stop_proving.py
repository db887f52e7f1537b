from __future__ import annotations

import asyncio

from tests.support.fleet_sync_stage import MemoryOfFleet, ReceiptBook
from tests.support.recorded_journal import RecordedJournal
from tests.support.stop_orders import KnownKeys, signed_stop

from homebred_daemon.core.fleet_messages import StopOrder
from homebred_daemon.core.fleet_steps import CheckStop, KeepStop, Kept, StopChecked
from homebred_daemon.core.stopping import Checked, Proof, Stopping
from homebred_daemon.ports.fleet import StopCheck
from homebred_daemon.services.fleet.stop_proving import StopProving

ORDER = signed_stop(4, stopped=True)


class Stage:
    def __init__(self, check: StopCheck | None = None) -> None:
        self.memory, self.receipts, self.journal = MemoryOfFleet(), ReceiptBook(), RecordedJournal()
        self.defects: list[BaseException] = []
        self.proving = StopProving(
            check or KnownKeys(), self.memory, self.receipts, self.journal, report_defect=self.defects.append
        )

    def obey(self, want: CheckStop | KeepStop) -> StopChecked | Kept:
        return asyncio.run(self.proving.obey(want))


class Broken:
    def check(self, order: StopOrder) -> Checked:
        raise RuntimeError(order.epoch)


def test_an_order_is_checked() -> None:
    checked = Stage().obey(CheckStop(ORDER, 7))
    assert isinstance(checked, StopChecked)
    assert (checked.order, checked.receipt, checked.proof.proof) == (ORDER, 7, Proof.SIGNED)


def test_a_defect_of_ours_is_reported_and_then_nobody_knows() -> None:
    stage = Stage(Broken())
    checked = stage.obey(CheckStop(ORDER))
    assert isinstance(checked, StopChecked)
    assert checked.proof == Checked(proof=Proof.UNKNOWN)
    assert len(stage.defects) == 1


def test_what_is_kept_is_told_and_what_is_not_is_noted() -> None:
    stage, keep = Stage(), KeepStop(Stopping(epoch=4, stopped=True), 7)
    assert stage.obey(keep) == Kept(keep, ok=True)
    assert stage.memory.stop.epoch == 4
    assert stage.receipts.noted == [("stop", "", "stopped", 4)]
    stage.memory.is_full = True
    assert stage.obey(keep) == Kept(keep, ok=False)
    assert stage.journal.names == ["fleet_held_up"]
