"""What may become of a task that a person must answer: its states, who may move it, and what time does to it.

Every rule takes the item as it stands and `now`, and returns the item as it is afterwards or refuses. Nothing is stored
here, and no rule ever sees what a task or an answer says: a resolution comes as its keyed digest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from homebred_daemon.errors import ConflictError


class State(StrEnum):
    """Where a task stands that a person must answer."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    ANSWERED = "answered"
    DECLINED = "declined"
    EXPIRED = "expired"


class Act(StrEnum):
    """What moves it."""

    CLAIM = "claim"
    RELEASE = "release"
    LAPSE = "lapse"
    """The lease of its claim is over."""
    ANSWER = "answer"
    DECLINE = "decline"
    EXPIRE = "expire"
    """Its retention is over."""


# fmt: off
TRANSITIONS: dict[tuple[State, Act], State] = {
    #                                   by whom, and when
    (State.WAITING, Act.CLAIM):   State.CLAIMED,   # any reviewer
    (State.CLAIMED, Act.RELEASE): State.WAITING,   # whoever proves the claim
    (State.CLAIMED, Act.LAPSE):   State.WAITING,   # time, at the lease's end
    (State.CLAIMED, Act.ANSWER):  State.ANSWERED,  # whoever proves the claim, within its lease
    (State.CLAIMED, Act.DECLINE): State.DECLINED,  # whoever proves the claim, within its lease
    (State.WAITING, Act.EXPIRE):  State.EXPIRED,   # time, at the retention's end
    (State.CLAIMED, Act.EXPIRE):  State.EXPIRED,   # time, at the retention's end
}
# fmt: on

OPEN = frozenset({State.WAITING, State.CLAIMED})
"""States that something still leads out of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewItem:
    """One task that a person must answer; content-free."""

    route_id: str
    """Of the decision that sent it to a person; also its own id."""
    task_id: str
    workflow: str
    """Empty: none."""
    classes: tuple[str, ...]
    reason_code: str
    """Why no machine answers."""
    filed_by: str
    """Principal; empty: unknown."""
    filed_at_utc: datetime
    expires_at_utc: datetime
    """When it ends by itself; once it has ended: when it is erased."""
    state: State = State.WAITING
    claimed_by: str = ""
    """Principal that has it, or that ended it; empty: nobody."""
    claim_id: str = ""
    """Proves the claim: to be told to nobody but the claimant. Stays with an ended item."""
    claim_ends_at_utc: datetime | None = None
    """With `claimed`."""
    resolution_mark: str = ""
    """Keyed digest of what it was answered or declined with; empty: it was not."""

    @property
    def is_open(self) -> bool:
        """Whether it still waits for an answer."""
        return self.state in OPEN

    @property
    def due_at_utc(self) -> datetime:
        """When time next does something to it."""
        return self.claim_ends_at_utc or self.expires_at_utc


def claimed(item: ReviewItem, *, by: str, claim_id: str, lease_s: float, now: datetime) -> ReviewItem:
    """Claimed until the lease ends, or the item's retention if that comes first.

    Raises:
        ConflictError: somebody else has it, or it has ended.
    """
    item = _at(item, now)
    ends = min(now + timedelta(seconds=lease_s), item.expires_at_utc)
    state = _after(item, Act.CLAIM)
    return replace(item, state=state, claimed_by=by, claim_id=claim_id, claim_ends_at_utc=ends)


def released(item: ReviewItem, *, claim_id: str, now: datetime) -> ReviewItem:
    """Given back before the lease ended.

    Raises:
        ConflictError: the claim does not hold.
    """
    item = _at(item, now)
    _require_claim(item, claim_id)
    return _unclaimed(item, Act.RELEASE)


def resolved(item: ReviewItem, *, act: Act, claim_id: str, mark: str, keep_s: float, now: datetime) -> ReviewItem:
    """Ended by an answer, or by saying why there is none; the same item where the very same was taken before.

    Args:
        item: as it stands.
        act: ANSWER or DECLINE.
        claim_id: proves the claim.
        mark: keyed digest of the answer or the reason.
        keep_s: how long it can be asked for afterwards, seconds.
        now: aware time.

    Raises:
        ConflictError: the claim does not hold, its lease is over, or the item ended in another way.
    """
    if _is_again(item, act, claim_id, mark):
        return item
    item = _at(item, now)
    _require_claim(item, claim_id)
    until = now + timedelta(seconds=keep_s)
    state = _after(item, act)
    return replace(item, state=state, claim_ends_at_utc=None, resolution_mark=mark, expires_at_utc=until)


def passed(item: ReviewItem, *, keep_s: float, now: datetime) -> ReviewItem | None:
    """The item as time has left it: the same, waiting again, expired, or, where it is to be erased, None.

    `keep_s` is how long an expired one can be asked for, seconds.
    """
    if now < item.due_at_utc:
        return item
    if not item.is_open:
        return None
    if now < item.expires_at_utc:
        return _unclaimed(item, Act.LAPSE)
    until = item.expires_at_utc + timedelta(seconds=keep_s)
    expired = replace(_unclaimed(item, Act.EXPIRE), expires_at_utc=until)
    return expired if now < until else None


def _at(item: ReviewItem, now: datetime) -> ReviewItem:
    """The item as it stands now, where it still stands.

    Raises:
        ConflictError: its time was up.
    """
    standing = passed(item, keep_s=0.0, now=now)
    if standing is None:
        raise ConflictError(f"review {item.route_id} has come to the end of its retention")
    return standing


def _require_claim(item: ReviewItem, claim_id: str) -> None:
    if item.state is not State.CLAIMED or item.claim_id != claim_id:
        raise ConflictError(
            f"this claim on review {item.route_id} does not hold: the review is {_standing(item)}",
            hint="claim it again if it waits; the answer was not taken",
        )


def _is_again(item: ReviewItem, act: Act, claim_id: str, mark: str) -> bool:
    state = TRANSITIONS[State.CLAIMED, act]
    return (item.state, item.claim_id, item.resolution_mark) == (state, claim_id, mark)


def _after(item: ReviewItem, act: Act) -> State:
    try:
        return TRANSITIONS[item.state, act]
    except KeyError:
        raise ConflictError(f"review {item.route_id} is {_standing(item)}") from None


def _unclaimed(item: ReviewItem, act: Act) -> ReviewItem:
    return replace(item, state=_after(item, act), claimed_by="", claim_id="", claim_ends_at_utc=None)


def _standing(item: ReviewItem) -> str:
    if item.claim_ends_at_utc is None:
        return f"{item.state}"
    return f"claimed by {item.claimed_by} until {item.claim_ends_at_utc.isoformat(timespec='seconds')}"
