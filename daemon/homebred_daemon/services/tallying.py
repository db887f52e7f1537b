"""Counts what services do, for whoever reads the figures. Fulfils `ports.measures.Measures`; one event loop.

A word that is none of its label's is counted as `other`, and what was counted under a name that the site no longer
has goes with it. Nothing is written down: figures begin anew with each start, as Prometheus expects.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable

from homebred_daemon.core.measures import (
    MEASURES,
    Counter,
    Gauge,
    Given,
    Histogram,
    Label,
    Reading,
    Spread,
    Total,
    bounded,
    fitted,
)
from homebred_daemon.ports.measures import Observe

Words = tuple[str, ...]
"""Of a measure's labels, in order."""


class _Bins:
    """The values of one histogram's series."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Takes one value in; a bucket holds its upper end."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def spread(self, histogram: Histogram, words: tuple[str, ...]) -> Spread:
        """The values so far."""
        return Spread(measure=histogram, words=words, counts=tuple(self.counts), total=self.total)


class Tally:
    """All that was counted since the daemon started."""

    def __init__(self) -> None:
        self._given: dict[Given, Callable[[], Collection[str]]] = {}
        self._counts: dict[tuple[Counter, Words], float] = {}
        self._bins: dict[tuple[Histogram, Words], _Bins] = {}
        for measure in MEASURES:
            if isinstance(measure, Counter):
                self._counts |= {(measure, words): 0 for words in _from_the_start(measure)}

    def know(self, which: Given, words: Callable[[], Collection[str]]) -> None:
        """Takes the words of that list to be those that `words` answers, whenever it is asked."""
        self._given[which] = words

    def count(self, counter: Counter, *words: str, by: float = 1) -> None:
        """As `Measures.count`."""
        if (counter, words) not in self._counts:
            words = fitted(counter, words, self._known())
        self._counts[counter, words] = self._counts.get((counter, words), 0) + by

    def observer(self, histogram: Histogram, *words: str) -> Observe:
        """As `Measures.observer`."""
        if (histogram, words) not in self._bins:
            words = fitted(histogram, words, self._known())
        return self._bins.setdefault((histogram, words), _Bins(histogram.bounds)).observe

    def series(self, readings: Iterable[Reading] = ()) -> list[Reading | Spread]:
        """All that was counted, and `readings` with words that fit; of those that are alike the sum."""
        known = self._known()
        self._counts = {key: value for key, value in self._counts.items() if fitted(*key, known) == key[1]}
        self._bins = {key: bins for key, bins in self._bins.items() if fitted(*key, known) == key[1]}
        values: dict[tuple[Counter | Total | Gauge, Words], float] = dict(self._counts.items())
        for one in readings:
            key = (one.measure, fitted(one.measure, one.words, known))
            values[key] = values.get(key, 0) + one.value
        return [
            *(Reading(measure=measure, words=words, value=value) for (measure, words), value in values.items()),
            *(bins.spread(histogram, words) for (histogram, words), bins in self._bins.items()),
        ]

    def _known(self) -> dict[Given, frozenset[str]]:
        return {which: bounded(words()) for which, words in self._given.items()}


def _from_the_start(counter: Counter) -> list[Words]:
    """Series that are there before anything happens, so that whoever asks for a rate misses nothing."""
    match counter.labels:
        case ():
            return [()]
        case (Label(words=tuple(words)),):
            return [(word,) for word in words]
    return []
