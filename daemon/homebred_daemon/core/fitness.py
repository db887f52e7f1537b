"""How fit a specialist provably is: Wilson limits and the fitness margin of CONTRACT "Precisely".

All bounds are one-sided 95 %. A mean score in [0, 1] is treated as a proportion, which is conservative. Nothing here
knows policies or tasks, and nothing estimates: figures come from measured golden sets only.
"""

from __future__ import annotations

import math
from functools import lru_cache

from homebred_protocol.documents.registry import Fitness, Paired

ONE_SIDED_95 = 1.6448536269514722
"""The normal quantile of 0.95."""

DECIMALS = 12
"""Margins, limits and utilities compare after rounding to this many decimals."""


def wilson_limits(proportion: float, samples: int, z: float = ONE_SIDED_95) -> tuple[float, float]:
    """Lower and upper Wilson score limit of a proportion (Wilson 1927); (0, 1) where there are no samples."""
    if samples == 0:
        return 0.0, 1.0
    spread = z * z / samples
    centre = proportion + spread / 2
    half = z * math.sqrt(proportion * (1 - proportion) / samples + spread / (4 * samples))
    scale = 1 + spread
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def unpaired_margin(
    local: float, samples: int, reference: float, reference_samples: int, z: float = ONE_SIDED_95
) -> float:
    """Lower bound of local − reference from two samples: Newcombe 1998 (Stat Med 17:873), method 10.

    A reference without samples is a constant: it adds no spread.
    """
    low, _ = wilson_limits(local, samples, z)
    high = wilson_limits(reference, reference_samples, z)[1] if reference_samples else reference
    return (local - reference) - math.hypot(local - low, high - reference)


def paired_margin(table: Paired, z: float = ONE_SIDED_95) -> float:
    """Lower bound of local − reference on the same rows: Newcombe 1998 (Stat Med 17:2635), method 10.

    The correlation phi is continuity-corrected: a positive ad − bc is lessened by n/2, not below zero.
    """
    a, b, c, d = table.both, table.only_local, table.only_reference, table.neither
    n = table.total
    local, reference = (a + b) / n, (a + c) / n
    below = local - wilson_limits(local, n, z)[0]
    above = wilson_limits(reference, n, z)[1] - reference
    marginals = (a + b) * (c + d) * (a + c) * (b + d)
    agreement: float = a * d - b * c
    if agreement > 0:
        agreement = max(agreement - n / 2, 0.0)
    phi = agreement / math.sqrt(marginals) if marginals else 0.0
    return (b - c) / n - math.sqrt(max(0.0, below * below - 2 * phi * below * above + above * above))


@lru_cache(maxsize=4096)
def fitness_margin(fitness: Fitness, floor: float) -> float:
    """One-sided 95 % lower bound of (specialist − reference), rounded; `floor` stands in for an absent reference."""
    if fitness.paired is not None and fitness.paired.total:
        return round(paired_margin(fitness.paired), DECIMALS)
    if fitness.reference_fitness is None:
        return round(unpaired_margin(fitness.fitness, fitness.samples, floor, 0), DECIMALS)
    reference_samples = fitness.reference_samples or 0
    return round(
        unpaired_margin(fitness.fitness, fitness.samples, fitness.reference_fitness, reference_samples), DECIMALS
    )


@lru_cache(maxsize=4096)
def reaches_floor(fitness: Fitness, floor: float) -> bool:
    """Whether the Wilson lower limit of the measured fitness reaches the floor."""
    return round(wilson_limits(fitness.fitness, fitness.samples)[0], DECIMALS) >= round(floor, DECIMALS)
