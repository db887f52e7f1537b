"""Says in the log what becomes of a task that a person must answer; never what it says, nor what the person said."""

from __future__ import annotations

from homebred_daemon import messages
from homebred_daemon.core.review import State
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.review import Change


def note_change(journal: Journal, change: Change) -> None:
    """One change of the queue; that an item was erased is nobody's concern."""
    before, after = change.before, change.after
    if after is None:
        return
    route_id = after.route_id
    match after.state:
        case State.WAITING if before is None:
            journal.note(messages.REVIEW_FILED, route_id=route_id, reason_code=after.reason_code)
        case State.WAITING:
            journal.note(messages.REVIEW_GIVEN_BACK, route_id=route_id)
        case State.CLAIMED:
            journal.note(messages.REVIEW_CLAIMED, route_id=route_id, principal=after.claimed_by)
        case State.ANSWERED | State.DECLINED:
            journal.note(messages.REVIEW_ENDED, route_id=route_id, outcome=after.state)
        case State.EXPIRED:
            journal.note(messages.REVIEW_EXPIRED, route_id=route_id)
