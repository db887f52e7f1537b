"""Has stop orders checked and kept, as the session wants it (`core.stop_hearing`). It decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from homebred_daemon import fleet_messages
from homebred_daemon.core.fleet_steps import CheckStop, KeepStop, Kept, StopChecked
from homebred_daemon.core.stopping import NOBODY_KNOWS, Checked
from homebred_daemon.errors import StateError
from homebred_daemon.ports.fleet import FleetMemory, StopCheck
from homebred_daemon.ports.fleet_commands import OutcomeReceipts
from homebred_daemon.ports.journal import Journal


class StopProving:
    """The stop orders of one device."""

    def __init__(
        self,
        check: StopCheck,
        memory: FleetMemory,
        receipts: OutcomeReceipts,
        journal: Journal,
        *,
        report_defect: Callable[[BaseException], None],
    ) -> None:
        self._check = check
        self._memory = memory
        self._receipts = receipts
        self._journal = journal
        self._report_defect = report_defect

    async def obey(self, want: CheckStop | KeepStop) -> StopChecked | Kept:
        """Does it, and says what came of it."""
        if isinstance(want, CheckStop):
            return StopChecked(want.order, want.receipt, await self._checked(want))
        return Kept(want, ok=await self._keeps(want))

    async def _checked(self, want: CheckStop) -> Checked:
        """Whatever goes wrong, nobody knows, and a stop holds."""
        try:
            return await asyncio.to_thread(self._check.check, want.order)
        except Exception as error:  # noqa: BLE001  # a defect of ours must not lose a stop
            self._report_defect(error)
            return NOBODY_KNOWS

    async def _keeps(self, want: KeepStop) -> bool:
        """On the disk, then the fleet is told."""
        try:
            await asyncio.to_thread(self._memory.keep_stop, want.stopping)
            done = "stopped" if want.stopping.stopped else "resumed"
            self._receipts.receipt("stop", "", done, "", version=want.stopping.epoch)
        except StateError as error:
            self._journal.note(fleet_messages.FLEET_HELD_UP, error_code=error.code)
            return False
        return True
