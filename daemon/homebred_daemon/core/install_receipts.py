"""What of installs, and of what became none, the fleet hears: the receipts that the device signs. It signs nothing."""

from __future__ import annotations

from collections.abc import Mapping

from homebred_daemon.core.deployment import Event, State, receipt_word
from homebred_daemon.core.releases import Release
from homebred_daemon.core.telemetry import OTHER
from homebred_protocol.receipts import LATEST_S, Receipt, is_code, refused_subject


def receipt_of(
    release: Release,
    event: Event | None,
    state: State,
    *,
    device: str,
    code: str,
    facts: Mapping[str, int],
    built: str,
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
        built: `sha256:` of what this device had built of it by then; empty: nothing.
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
        code=_said(code),
        facts=facts,
        built=built,
        at_s=_bounded(at_s),
        seq=seq,
    )


def receipt_of_refusal(about: str, *, device: str, code: str, digest: str, at_s: int, seq: int) -> Receipt:
    """The receipt of something signed that became no install.

    Args:
        about: a target's path, a repository, or empty: all.
        device: whose word it is.
        code: why.
        digest: of the target, where it is known.
        at_s: trusted Unix seconds.
        seq: its number among the refusals of this device.
    """
    subject, number = refused_subject(about)
    return Receipt(
        device=device,
        specialist=subject,
        number=number,
        digest=digest,
        result=State.REFUSED.value,
        code=_said(code),
        at_s=_bounded(at_s),
        seq=seq,
    )


def _said(code: str) -> str:
    return code if is_code(code) else OTHER


def _bounded(at_s: int) -> int:
    return min(max(at_s, 0), LATEST_S)
