"""What a bench measures, as values: the figure aimed at, what was found, and the line of bench.jsonl made of both.

It measures nothing and prints nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Literal

_LEAST_ROUNDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A figure before it is measured."""

    name: str
    unit: str
    better: Literal["lower", "higher"] = "lower"
    target: float | None = None
    """What it must reach; None: it is printed for information."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A figure as measured."""

    value: float | None
    note: str
    """How it was measured, or why it could not be."""
    reference: float | None = None
    """The same without the product, measured in the same run; None: there is no such thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a bench is given."""

    model: Path
    """GGUF file."""
    quick: bool
    """Fewer rounds: a minute for all benches, for trying the benches rather than the product."""

    def rounds(self, full: int, quick: int) -> int:
        """How often something is done."""
        return quick if self.quick else full

    def paced(self, rounds: int, *, at_most_s: float) -> Iterator[int]:
        """Numbers the rounds; after the time, a tenth of it when quick, no more than two are begun."""
        deadline_s = time.monotonic() + (at_most_s / 10 if self.quick else at_most_s)
        for number in range(rounds):
            if number >= _LEAST_ROUNDS and time.monotonic() > deadline_s:
                return
            yield number


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Figures that are measured together."""

    name: str
    aims: tuple[Aim, ...]
    run: Callable[[Conditions], Mapping[str, Found]]
    """By the aims' names."""


def line(aim: Aim, found: Found) -> dict[str, Any]:
    """The line of bench.jsonl."""
    return {
        "name": aim.name,
        "value": _rounded(found.value),
        "unit": aim.unit,
        "better": aim.better,
        "target": aim.target,
        "reference": _rounded(found.reference),
        "note": found.note,
    }


def is_met(aim: Aim, value: float) -> bool:
    """Whether a value reaches its target."""
    if aim.target is None:
        return True
    return value <= aim.target if aim.better == "lower" else value >= aim.target


def percentile(values: Sequence[float], percent: int) -> float:
    """A percentile, interpolated; from two values on."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def median_percentile(rounds: Sequence[Sequence[float]], percent: int) -> float:
    """The median over rounds of a percentile: one disturbed round does not decide."""
    return median(percentile(values, percent) for values in rounds)


def _rounded(value: float | None) -> float | None:
    """Four significant digits: more would be noise."""
    return None if value is None else float(f"{value:.4g}")
