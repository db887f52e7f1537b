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

from typing import Final

from homebred_protocol.ids import TENANT

SIGNATURE_BYTES: Final = 64
"""Of Ed25519."""
MAX_KEY_ID: Final = 64
"""Characters: SHA-256 in hexadecimal."""


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
