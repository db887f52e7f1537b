from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.fitness import (
    ONE_SIDED_95,
    fitness_margin,
    paired_margin,
    reaches_floor,
    unpaired_margin,
    wilson_limits,
)
from homebred_protocol.documents.registry import Fitness, Paired

TWO_SIDED_95 = 1.959963984540054
SHARES = st.floats(0, 1)
COUNTS = st.integers(1, 5000)


def table(both: int, only_local: int, only_reference: int, neither: int) -> Paired:
    return Paired(both=both, only_local=only_local, only_reference=only_reference, neither=neither)


# Published figures, "to four decimals"


@pytest.mark.parametrize(
    ("successes", "count", "limits"),
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_wilson_limits_are_the_published_ones(successes: int, count: int, limits: tuple[float, float]) -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
    assert wilson_limits(successes / count, count, TWO_SIDED_95) == pytest.approx(limits, abs=5e-5)


@pytest.mark.parametrize(
    ("one", "other", "lower", "upper"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_unpaired_margins_are_the_published_ones(
    one: tuple[int, int], other: tuple[int, int], lower: float, upper: float
) -> None:
    # Newcombe 1998, Statistics in Medicine 17:873, table II, method 10; the upper limit is a swapped lower one
    first, second = (one[0] / one[1], one[1]), (other[0] / other[1], other[1])
    assert unpaired_margin(*first, *second, TWO_SIDED_95) == pytest.approx(lower, abs=5e-5)
    assert -unpaired_margin(*second, *first, TWO_SIDED_95) == pytest.approx(upper, abs=5e-5)


def test_a_paired_margin_is_the_published_one() -> None:
    # 1, 1, 7, 12: Bentur et al. 2009 as analysed by Fagerland, Lydersen & Laake 2014, Newcombe's square-and-add limits
    assert paired_margin(table(1, 1, 7, 12), TWO_SIDED_95) == pytest.approx(-0.507, abs=5e-4)
    assert -paired_margin(table(1, 7, 1, 12), TWO_SIDED_95) == pytest.approx(-0.026, abs=5e-4)


# Figures that a pencil gives


@pytest.mark.parametrize("n", [1, 20, 150])
def test_two_models_right_on_every_row_differ_by_what_n_rows_leave_open(n: int) -> None:
    # phi is undefined and taken as 0; only the lower Wilson limit of p = 1 is left: 1 - n / (n + z²)
    z2 = ONE_SIDED_95**2
    assert paired_margin(table(n, 0, 0, 0)) == pytest.approx(-z2 / (n + z2), abs=1e-12)


@pytest.mark.parametrize("n", [10, 20, 150])
def test_two_models_that_agree_on_every_row_and_are_right_on_half_of_them(n: int) -> None:
    # At p = 1/2 both limits lie z / (2·sqrt(n + z²)) off; phi = (n²/4 - n/2) / (n²/4) = 1 - 2/n
    off = ONE_SIDED_95 / (2 * sqrt(n + ONE_SIDED_95**2))
    assert paired_margin(table(n // 2, 0, 0, n // 2)) == pytest.approx(-off * sqrt(2 * 2 / n), abs=1e-12)


def test_a_positive_correlation_below_the_correction_counts_as_none() -> None:
    # ad - bc = 1·12 - 1·7 = 5 is under n/2 = 10.5: the same margin as with phi = 0
    below = 2 / 21 - wilson_limits(2 / 21, 21)[0]
    above = wilson_limits(8 / 21, 21)[1] - 8 / 21
    assert paired_margin(table(1, 1, 7, 12)) == pytest.approx(-6 / 21 - sqrt(below**2 + above**2), abs=1e-12)


def test_a_negative_correlation_widens_the_margin_uncorrected() -> None:
    phi = (5 * 5 - 40 * 30) / sqrt(45 * 35 * 35 * 45)
    below = 45 / 80 - wilson_limits(45 / 80, 80)[0]
    above = wilson_limits(35 / 80, 80)[1] - 35 / 80
    expected = 10 / 80 - sqrt(below**2 - 2 * phi * below * above + above**2)
    assert paired_margin(table(5, 40, 30, 5)) == pytest.approx(expected, abs=1e-12)


# The ends


def test_no_samples_say_nothing_at_all() -> None:
    assert wilson_limits(0.9, 0) == (0.0, 1.0)
    assert fitness_margin(Fitness(fitness=1.0, samples=0), 0.6) == -0.6
    assert not reaches_floor(Fitness(fitness=1.0, samples=0), 0.01)
    assert reaches_floor(Fitness(fitness=0.0, samples=0), 0.0)


@pytest.mark.parametrize("fitness", [0.0, 1.0])
def test_one_sample_proves_next_to_nothing(fitness: float) -> None:
    low, high = wilson_limits(fitness, 1)
    z2 = ONE_SIDED_95**2
    assert (low, high) == pytest.approx((0, z2 / (1 + z2)) if fitness == 0 else (1 / (1 + z2), 1))


def test_a_perfect_score_is_never_a_proof_of_perfection() -> None:
    assert not reaches_floor(Fitness(fitness=1.0, samples=1_000_000), 1.0)
    assert fitness_margin(Fitness(fitness=1.0, samples=100, reference_fitness=1.0), 0) < 0


def test_a_reference_without_samples_is_a_constant() -> None:
    entry = Fitness(fitness=0.9, samples=50, reference_fitness=0.8)
    low = wilson_limits(0.9, 50)[0]
    assert fitness_margin(entry, 0.1) == pytest.approx(low - 0.8, abs=1e-12)
    with_none = Fitness(fitness=0.9, samples=50, reference_fitness=0.8, reference_samples=0)
    assert fitness_margin(with_none, 0.1) == fitness_margin(entry, 0.1)


def test_where_there_is_no_reference_the_floor_stands_in() -> None:
    assert fitness_margin(Fitness(fitness=0.9, samples=50), 0.6) == pytest.approx(wilson_limits(0.9, 50)[0] - 0.6)


def test_a_paired_table_goes_before_the_means_and_an_empty_one_does_not() -> None:
    means = Fitness(fitness=0.9, samples=100, reference_fitness=0.9, reference_samples=100)
    paired = Fitness(fitness=0.9, samples=100, reference_fitness=0.9, reference_samples=100, paired=table(85, 5, 5, 5))
    empty = Fitness(fitness=0.9, samples=100, reference_fitness=0.9, reference_samples=100, paired=table(0, 0, 0, 0))
    assert fitness_margin(paired, 0.6) == round(paired_margin(table(85, 5, 5, 5)), 12) > fitness_margin(means, 0.6)
    assert fitness_margin(empty, 0.6) == fitness_margin(means, 0.6)


# What holds everywhere


@given(share=SHARES, count=COUNTS)
def test_limits_enclose_the_share_and_stay_in_the_interval(share: float, count: int) -> None:
    low, high = wilson_limits(share, count)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1


@given(share=SHARES, count=COUNTS, more=st.integers(1, 1000), floor=SHARES)
def test_more_samples_of_the_same_mean_never_lower_the_margin(
    share: float, count: int, more: int, floor: float
) -> None:
    few, many = Fitness(fitness=share, samples=count), Fitness(fitness=share, samples=count + more)
    assert fitness_margin(few, floor) <= fitness_margin(many, floor)
    assert reaches_floor(many, floor) >= reaches_floor(few, floor)


@given(share=SHARES, better=SHARES, count=COUNTS, reference=SHARES, reference_count=st.integers(0, 500))
def test_a_better_score_never_lowers_the_floors_limit_and_the_margin_stays_under_the_difference(
    share: float, better: float, count: int, reference: float, reference_count: int
) -> None:
    lower, higher = sorted((share, better))
    assert wilson_limits(lower, count)[0] <= wilson_limits(higher, count)[0] + 1e-12
    margin = unpaired_margin(share, count, reference, reference_count)
    assert -2 <= margin <= share - reference + 1e-12


@given(cells=st.tuples(*[st.integers(0, 300)] * 4).filter(any))
def test_a_paired_margin_is_finite_and_never_above_the_difference(cells: tuple[int, int, int, int]) -> None:
    margin = paired_margin(table(*cells))
    assert -2 <= margin <= (cells[1] - cells[2]) / sum(cells) + 1e-12


@given(share=SHARES, count=COUNTS, floor=SHARES)
def test_the_floor_is_reached_exactly_where_the_margin_over_it_is_not_negative(
    share: float, count: int, floor: float
) -> None:
    entry = Fitness(fitness=share, samples=count)
    if abs(wilson_limits(share, count)[0] - floor) > 1e-11:  # nearer than that both are a matter of rounding
        assert reaches_floor(entry, floor) == (fitness_margin(entry, floor) >= 0)
