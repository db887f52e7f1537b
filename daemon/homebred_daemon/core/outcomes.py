"""What the end of a task, or what its caller said of it later, tells of the specialist that was asked.

Whether it counts, and for whom; which version of the specialist that was, and what follows, is not known here.
"""

from __future__ import annotations

from homebred_daemon.core.decision import Runtime
from homebred_daemon.core.deployment import Tally
from homebred_daemon.core.probation import counts_as_good
from homebred_daemon.core.telemetry import Ended, Route
from homebred_protocol.documents.registry import CASCADE_PREFIX

TAKEN_BACK = frozenset({"bad", "corrected"})
"""What a caller says of an answer that was not good."""
FAILURES = frozenset({"schema_invalid", "engine_unavailable", "deadline_exceeded"})
"""Error codes of tasks that failed on the one specialist that was asked: its answer, its engine or its speed."""


def told_of(route: Route) -> tuple[str, Tally] | None:
    """Who it tells of, and what it adds to the outcomes of theirs; None: of nobody.

    A word of the caller's counts as no further outcome: it takes one back that had counted as good.
    """
    ended = route.ended
    if ended is None:
        return None
    is_good = counts_as_good(ended.status, ended.findings)
    if route.said is not None:
        is_taken_back = is_good and route.said.verdict in TAKEN_BACK and ended.answered_by
        return (ended.answered_by, Tally(good=-1, seen=0)) if is_taken_back else None
    specialist = ended.answered_by or _failed(route, ended)
    return (specialist, Tally(good=int(is_good), seen=1)) if specialist else None


def _failed(route: Route, ended: Ended) -> str:
    """The specialist that a task failed on; empty: on none, or nobody can say on which."""
    is_one = route.runtime is Runtime.LOCAL and not route.stack.startswith(CASCADE_PREFIX)
    return route.stack if is_one and ended.error_code in FAILURES else ""
