"""Which requests TensorRT Edge-LLM is given next, as one batch. Pure: no I/O, no clock, no tasks.

Its runtime takes one batch at a time and lets nobody join it. What a batch shares (the adapter, how tokens are chosen)
is given once for all its rows. So the one that has waited longest founds the next batch, and those join it, in order,
that share all that and have room beside it: nobody waits for more batches than there were requests before. Fairness
between callers is the worker's (`queueing.py`), which lets in no more than there are slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all rows of a batch have in common."""

    adapter: str
    """Its digest; empty: the base model alone."""
    temperature: float
    top_p: float
    top_k: int
    logprobs: bool
    """Whether log-probabilities are computed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """One request, waiting for its batch. Compared by identity."""

    shared: Shared
    prompt_tokens: int
    most_tokens: int
    """Of its answer."""


class BatchQueue:
    """Rows in the order in which they came."""

    def __init__(self, *, most_rows: int, capacity_tokens: int) -> None:
        self._most_rows = most_rows
        self._capacity_tokens = capacity_tokens
        """Of a prompt and its answer, as the engine was built."""
        self._waiting: list[Row] = []

    def add(self, row: Row) -> None:
        """Waits for its batch."""
        self._waiting.append(row)

    def drop(self, row: Row) -> bool:
        """Waits no more; False: it is in a batch already."""
        if row not in self._waiting:
            return False
        self._waiting.remove(row)
        return True

    def next_batch(self) -> tuple[Row, ...]:
        """Those that run together now, the longest waiting first; empty: nobody waits."""
        batch: list[Row] = []
        for row in self._waiting:
            if len(batch) < self._most_rows and self._may_join(batch, row):
                batch.append(row)
        self._waiting = [row for row in self._waiting if row not in batch]
        return tuple(batch)

    def _may_join(self, batch: Sequence[Row], row: Row) -> bool:
        """The runtime bounds every answer of a batch by what its longest prompt leaves room for."""
        if not batch:
            return True
        rows = [*batch, row]
        needed = max(each.prompt_tokens for each in rows) + max(each.most_tokens for each in rows)
        return row.shared == batch[0].shared and needed <= self._capacity_tokens
