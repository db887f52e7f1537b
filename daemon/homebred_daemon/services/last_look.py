"""The last look at what is about to leave, by the policy of now; what it finds is an incident, and is logged by type.

It stops nothing itself: the egress gate asks it, and does not send.
"""

from __future__ import annotations

from collections.abc import Callable

from homebred_daemon import messages
from homebred_daemon.ports.journal import Journal
from homebred_daemon.services.deciding import Decider


class LastLook:
    """Looks at masked texts."""

    def __init__(self, decider: Callable[[], Decider], journal: Journal) -> None:
        """`decider` gives the one that holds when a text is looked at."""
        self._decider = decider
        self._journal = journal

    def at(self, leaving: str) -> frozenset[str]:
        """Entity types in the text that may not leave; empty: it may."""
        found = self._decider().forbidden_types(leaving)
        if found:
            self._journal.note(messages.GATE_STOPPED, entity_types=tuple(sorted(found)))
        return found
