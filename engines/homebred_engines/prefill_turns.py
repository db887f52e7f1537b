"""Prompts are read in turns, so that a long one cannot hold up a short one. Threads meet here; nothing is computed.

Why: llama.cpp fills each batch from its slots in order, so the prompt in a lower slot is read to its end before one
in a higher slot gets a token. Here one prompt at a time is read, and one that has had its share while others wait is
interrupted. What it has read stays in its slot's cache, so that it goes on from there at its next turn.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

_BATCHES_A_TURN = 3  # the first report says where the prompt starts from; then one a batch


class PrefillTurns:
    """Who may read its prompt: first come, first served, a few batches each."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[Turn] = deque()  # the first one reads

    def enter(self, turn: Turn, is_cancelled: Callable[[], bool]) -> None:
        """Waits until it is this one's turn, or it is cancelled."""
        with self._changed:
            self._queue.append(turn)
            self._changed.wait_for(lambda: self._queue[0] is turn or is_cancelled())

    def leave(self, turn: Turn) -> None:
        """The next one's turn; harmless when repeated."""
        with self._changed:
            if turn in self._queue:
                self._queue.remove(turn)
                self._changed.notify_all()

    def others_wait(self) -> bool:
        """Whether anybody but the reader is here."""
        return len(self._queue) > 1

    def wake(self) -> None:
        """Lets those who wait look whether they are cancelled."""
        with self._changed:
            self._changed.notify_all()


class Turn:
    """One prompt on its way through several turns."""

    def __init__(self) -> None:
        self._batches = 0
        self._began_at = -1
        self._can_be_interrupted = True

    def begin(self, already_read_tokens: int) -> None:
        """A turn starts from there. A model whose cache did not keep the last turn's work is not interrupted again."""
        self._can_be_interrupted = already_read_tokens > self._began_at
        self._began_at = already_read_tokens
        self._batches = 0

    def has_had_its_share(self) -> bool:
        """Counts one report of progress."""
        self._batches += 1
        return self._can_be_interrupted and self._batches >= _BATCHES_A_TURN
