"""Writes figures as text that Prometheus reads: its exposition format, version 0.0.4.

Own, and not prometheus-client's: that brings 1.4 MB into the daemon, and an HTTP client with it. The tests hold what is
written to its parser. Whether a word may be shown was decided before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from typing import Final

from homebred_daemon.core.measures import MEASURES, Measure, Reading, Spread

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ORDER = {measure: place for place, measure in enumerate(MEASURES)}
_OF_LABELS = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_OF_HELP = str.maketrans({"\\": "\\\\", "\n": "\\n"})


def exposition(series: Iterable[Reading | Spread]) -> str:
    """The text, in the catalogue's order; a measure without series is left out."""
    ordered = sorted(series, key=lambda one: (_ORDER[one.measure], one.words))
    lines: list[str] = []
    for measure, group in groupby(ordered, key=lambda one: one.measure):
        lines += _head(measure)
        lines += [line for one in group for line in _lines(one)]
    return "".join(f"{line}\n" for line in lines)


def _head(measure: Measure) -> Iterator[str]:
    yield f"# HELP {measure.name} {measure.meaning.translate(_OF_HELP)}"
    yield f"# TYPE {measure.name} {measure.kind}"


def _lines(one: Reading | Spread) -> Iterator[str]:
    name, names = one.measure.name, [label.name for label in one.measure.labels]
    if isinstance(one, Reading):
        yield f"{name}{_labels(names, one.words)} {_number(one.value)}"
        return
    so_far = list(accumulate(one.counts))
    bounds = (*map(_number, one.measure.bounds), "+Inf")
    for bound, count in zip(bounds, so_far, strict=True):
        yield f"{name}_bucket{_labels([*names, 'le'], (*one.words, bound))} {count}"
    yield f"{name}_sum{_labels(names, one.words)} {_number(one.total)}"
    yield f"{name}_count{_labels(names, one.words)} {so_far[-1]}"


def _labels(names: Sequence[str], words: Sequence[str]) -> str:
    pairs = (f'{name}="{word.translate(_OF_LABELS)}"' for name, word in zip(names, words, strict=True))
    return f"{{{','.join(pairs)}}}" if names else ""


def _number(value: float) -> str:
    return repr(float(value)) if value % 1 else str(int(value))
