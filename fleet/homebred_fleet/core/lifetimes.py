"""How long each kind of certificate holds, and when the controller makes itself a new one. Pure."""

from __future__ import annotations

DAY_S = 86_400
BACKDATED_S = 300
"""A device's clock may be behind by this much when its certificate is made."""
ROOT_S = 20 * 365 * DAY_S
ISSUING_S = 10 * 365 * DAY_S
SERVER_S = 365 * DAY_S
"""HTTPS and broker, and the controller's own as a client; renewed by the controller itself."""
ADMIN_S = 365 * DAY_S
DEVICE_S = 90 * DAY_S
PROBE_S = 300
"""With which the controller tries the broker, and throws a revoked device out there."""
REVOCATION_LIST_S = 365 * DAY_S
"""A broker whose list has run out refuses everybody: it is made anew long before, at every start and every day."""


def is_due(not_before_s: int, not_after_s: int, now_s: int) -> bool:
    """Whether two thirds of a certificate's life are over, or it is not valid yet at all."""
    return now_s < not_before_s or now_s - not_before_s >= (not_after_s - not_before_s) * 2 // 3
