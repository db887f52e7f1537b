"""The hub's figures: what came, what became of it, and how long devices waited for a word."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

ACK_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram; the last bucket has none."""


@dataclass(slots=True)
class Figures:
    """Counts since the start of the process; read from any thread, written by one."""

    messages: dict[str, int] = field(default_factory=dict)
    """By what became of them: the words of `ports.intake.Fate`."""
    causes: dict[str, int] = field(default_factory=dict)
    """What was refused or quarantined, by cause: a closed vocabulary."""
    batches_stored: int = 0
    events_stored: int = 0
    events_lost: int = 0
    """Refused, or lost with a database that was replaced by an older copy."""
    answers: dict[str, int] = field(default_factory=dict)
    """To requests of devices, by outcome: the words of `requests.Outcome`."""
    answered_bytes: int = 0
    requests_dropped: dict[str, int] = field(default_factory=dict)
    """Without an answer, by cause: `too_many`, `malformed`, `retained`."""
    forgotten: dict[str, int] = field(default_factory=dict)
    """Rows that retention deleted, by kind."""
    groups: int = 0
    """Transactions."""
    store_failures: int = 0
    """Transactions that did not come about and were tried again."""
    connections: int = 0
    is_connected: bool = False
    published: int = 0
    """Desired states, commands and stop orders that the broker took."""
    republished: int = 0
    """Of them, those that it had lost."""
    ack_buckets: list[int] = field(default_factory=lambda: [0] * (len(ACK_BOUNDS_S) + 1))
    ack_seconds: float = 0.0

    def count_message(self, fate: str, cause: str = "") -> None:
        """A message, and why it was not taken."""
        self.messages[fate] = self.messages.get(fate, 0) + 1
        if cause:
            self.causes[cause] = self.causes.get(cause, 0) + 1

    def count_answer(self, outcome: str, length: int) -> None:
        """A request that was answered, with so many bytes of what it asked for."""
        self.answers[outcome] = self.answers.get(outcome, 0) + 1
        self.answered_bytes += length

    def count_dropped_request(self, cause: str) -> None:
        """A request that gets no answer."""
        self.requests_dropped[cause] = self.requests_dropped.get(cause, 0) + 1

    def count_forgotten(self, kind: str, rows: int) -> None:
        """Rows that were deleted because they were too old or too many."""
        self.forgotten[kind] = self.forgotten.get(kind, 0) + rows

    def count_ack(self, seconds: float) -> None:
        """From a message's arrival to its commit and the word to its device."""
        self.ack_buckets[bisect_left(ACK_BOUNDS_S, seconds)] += 1
        self.ack_seconds += seconds

    def ack_quantile_s(self, share: float) -> float:
        """An upper bound of the quantile, as fine as the buckets are; 0: nothing was acknowledged."""
        total, seen = sum(self.ack_buckets), 0
        for bound, count in zip((*ACK_BOUNDS_S, float("inf")), self.ack_buckets, strict=True):
            seen += count
            if total and seen >= share * total:
                return bound
        return 0.0
