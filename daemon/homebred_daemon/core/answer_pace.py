"""How many blocks are on their way at once, so that nothing else waits long behind them: by how soon answers come.

Blocks, acknowledgements of telemetry and orders share one connection. So the window grows by one with each answer that
is prompt, up to `MOST`, and is halved by one that is slow, once for all that were asked before. On a fast link it is
full within a few round trips; on a slow one no more than two seconds' worth is on its way, or a single block.
"""

from __future__ import annotations

MOST = 32
"""Half a mebibyte of blocks."""
FIRST = 2
PROMPT_S, SLOW_S = 1.0, 2.0


class AnswerPace:
    """One connection's window."""

    def __init__(self) -> None:
        self.window = FIRST
        self.under_way = 0
        self._slowed_at_s: float | None = None

    @property
    def is_full(self) -> bool:
        """Whether the next one must wait."""
        return self.under_way >= self.window

    def begun(self) -> None:
        """One goes on its way."""
        self.under_way += 1

    def ended(self) -> None:
        """One is not on its way any more, whatever became of it."""
        self.under_way -= 1

    def came(self, asked_at_s: float, at_s: float) -> None:
        """An answer came."""
        took_s = at_s - asked_at_s
        if took_s <= PROMPT_S:
            self.window = min(MOST, self.window + 1)
        elif took_s > SLOW_S and (self._slowed_at_s is None or asked_at_s >= self._slowed_at_s):
            self.window = max(1, self.window // 2)
            self._slowed_at_s = at_s

    def failed(self, at_s: float) -> None:
        """None came: what was known of the link is known no longer."""
        self.window, self._slowed_at_s = 1, at_s
