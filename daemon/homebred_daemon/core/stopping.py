"""Whether anything new may be taken up: the fleet's stop order, of which the higher epoch holds (CONTRACT.md I8)."""

from __future__ import annotations

from dataclasses import dataclass

from homebred_daemon.core.fleet_messages import StopOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """What this device knows of stop orders; kept on the disk, so that its epoch never falls (I2)."""

    epoch: int = 0
    stopped: bool = False
    reason_code: str = ""

    def heard(self, order: StopOrder) -> Stopping:
        """What holds after an order; itself where that is known, or older.

        Of two orders of one epoch the one that stops holds: whoever made the second was wrong, and stopping is safe.
        """
        if order.epoch < self.epoch or (order.epoch == self.epoch and (self.stopped or not order.stopped)):
            return self
        return Stopping(epoch=order.epoch, stopped=order.stopped, reason_code=order.reason_code)
