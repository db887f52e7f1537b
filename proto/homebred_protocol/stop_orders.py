"""What the director signs of a stop order, on both sides of the link. Nothing here signs or verifies.

    homebred stop order 1
    tenant default
    epoch 7
    stopped true
    issued_at_s 1796000000
    reason recall

Each line ends with a newline; the reason comes last, so that no text in it can pass for another line. Nothing else that
the director's key signs begins so: metadata is JSON.
"""

from __future__ import annotations

from typing import Final, Protocol

from homebred_protocol.ids import TENANT
from homebred_protocol.limits import MAX_GIVEN

SIGNATURE_BYTES: Final = 64
"""Of Ed25519."""
MAX_KEY_ID: Final = 64
"""Characters: SHA-256 in hexadecimal."""
MAX_REASON: Final = 32
"""Characters."""
EARLIEST_S: Final = -62_135_596_800
LATEST_S: Final = 253_402_300_799
"""Years 1 to 9999."""


class SignedOrder(Protocol):
    """A stop order with its signature, as either side or the wire has it."""

    @property
    def epoch(self) -> int: ...  # noqa: D102
    @property
    def issued_at_s(self) -> int: ...  # noqa: D102
    @property
    def reason_code(self) -> str: ...  # noqa: D102
    @property
    def key_id(self) -> str: ...  # noqa: D102
    @property
    def signature(self) -> bytes: ...  # noqa: D102


def is_within_bounds(order: SignedOrder) -> bool:
    """Whether an order is one that both sides take: what a device keeps and reports, its controller can read."""
    return (
        0 < order.epoch <= MAX_GIVEN
        and EARLIEST_S <= order.issued_at_s <= LATEST_S
        and len(order.reason_code) <= MAX_REASON
        and len(order.key_id) <= MAX_KEY_ID
        and "\0" not in order.reason_code + order.key_id  # PostgreSQL takes none
        and len(order.signature) <= SIGNATURE_BYTES
    )


def to_be_signed(*, epoch: int, stopped: bool, issued_at_s: int, reason_code: str, tenant: str = TENANT) -> bytes:
    """What the signature of a stop order is over."""
    lines = (
        "homebred stop order 1",
        f"tenant {tenant}",
        f"epoch {epoch}",
        f"stopped {'true' if stopped else 'false'}",
        f"issued_at_s {issued_at_s}",
        f"reason {reason_code}",
    )
    return "".join(f"{line}\n" for line in lines).encode()
