"""What a command's state is: from its making to its last word, however often either side repeats itself.

    queued → sent → accepted → waiting → done | failed | refused | expired

A device's word never goes back, its last word stays; only what this controller gave up by itself (`expired`, no answer
by the deadline) still gives way to a late answer, which is the truth.
"""

from __future__ import annotations

QUEUED = "queued"
SENT = "sent"
BEGUN = ("accepted", "waiting")
"""A device's word that is not its last one."""
EXPIRED = "expired"
OPERATIONS = ("ping", "diagnostics", "log-level", "drain", "resume")
ORDER = {QUEUED: 0, SENT: 1, "accepted": 2, "waiting": 3, "done": 4, "failed": 4, "refused": 4, EXPIRED: 4}
FINAL = frozenset(state for state, rank in ORDER.items() if rank == max(ORDER.values()))
TOLD = frozenset(ORDER) - {QUEUED, SENT}
"""What a device may say."""
ANSWER_GRACE_S = 120
"""How long after the deadline an answer may still be on its way."""


def after_result(state: str, told: str, *, was_answered: bool) -> str | None:
    """The state after a device's result; None: it says nothing new, or no word of a device's.

    `was_answered`: the present state is a device's word.
    """
    if told not in TOLD:
        return None
    if state == EXPIRED and not was_answered:
        return told
    return told if ORDER[told] > ORDER[state] else None


def is_expired(state: str, *, deadline_s: int, now_s: int) -> bool:
    """Whether nothing is heard of it any more: what a device has begun is left to the device."""
    if state == QUEUED:
        return now_s >= deadline_s
    return state == SENT and now_s >= deadline_s + ANSWER_GRACE_S


def expiry_s(*, deadline_s: int, now_s: int) -> int:
    """How long the broker may keep it for a device that is away.

    After its deadline a device is only asked what became of it.
    """
    return deadline_s - now_s if deadline_s > now_s else ANSWER_GRACE_S
