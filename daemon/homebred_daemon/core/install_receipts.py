"""What of a step of an install the fleet hears, as the receipt that the device signs. It signs nothing."""

from __future__ import annotations

from collections.abc import Mapping

from homebred_daemon.core.deployment import Event, State, receipt_word
from homebred_daemon.core.releases import Release
from homebred_daemon.core.telemetry import OTHER
from homebred_protocol.receipts import LATEST_S, Receipt, is_code


def receipt_of(
    release: Release,
    event: Event | None,
    state: State,
    *,
    device: str,
    code: str,
    facts: Mapping[str, int],
    at_s: int,
    seq: int,
) -> Receipt | None:
    """The receipt of one step; None: it is no news to the fleet.

    Args:
        release: what is installed.
        event: what happened; None: it was begun.
        state: where that led.
        device: whose word it is.
        code: why, where that is to be said.
        facts: what was measured.
        at_s: trusted Unix seconds.
        seq: the step's number on this device.
    """
    word = receipt_word(event, state)
    if not word:
        return None
    return Receipt(
        device=device,
        specialist=release.id,
        number=release.number,
        digest=release.digest,
        result=word,
        code=code if is_code(code) else OTHER,
        facts=facts,
        at_s=min(max(at_s, 0), LATEST_S),
        seq=seq,
    )
