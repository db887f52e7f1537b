"""Keeps stop strings out of a stream of pieces, wherever the pieces divide them. Pure.

A piece waits while its end may be the beginning of a stop string; nothing is held longer than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from homebred_engines.api import TokenLogprob


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What one step of a generation brought."""

    text: str
    """May be empty while a character is incomplete."""
    tokens: int
    """Tokens that it stands for."""
    logprobs: tuple[TokenLogprob, ...] = ()
    """Where asked for."""


class StopText:
    """One generation's pieces."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.is_found = False
        """Whether a stop string has come; what is fed after it is dropped."""
        self._stops = tuple(stops)
        self._held: list[Piece] = []

    def feed(self, piece: Piece) -> list[Piece]:
        """The pieces that may go out now."""
        if self.is_found:
            return []
        self._held.append(piece)
        text = "".join(each.text for each in self._held)
        ends = [position for position in map(text.find, self._stops) if position >= 0]
        if ends:
            self.is_found = True
            return self._take(min(ends), cuts=True)
        return self._take(len(text) - self._begun(text), cuts=False)

    def rest(self) -> list[Piece]:
        """What is still held, once the generation has ended."""
        held, self._held = self._held, []
        return [] if self.is_found else held

    def _begun(self, text: str) -> int:
        """Length of the longest end of the text that begins a stop string."""
        longest = max(map(len, self._stops), default=1) - 1
        lengths = range(min(longest, len(text)), 0, -1)
        return next((length for length in lengths if self._begins_one(text[-length:])), 0)

    def _begins_one(self, end: str) -> bool:
        return any(stop.startswith(end) for stop in self._stops)

    def _take(self, length: int, *, cuts: bool) -> list[Piece]:
        """Pieces up to that length of text; the one that it divides is cut, or stays."""
        taken: list[Piece] = []
        while self._held and len(self._held[0].text) <= length:
            piece = self._held.pop(0)
            length -= len(piece.text)
            taken.append(piece)
        if cuts and length > 0:
            taken.append(replace(self._held[0], text=self._held[0].text[:length], logprobs=()))
        return taken
