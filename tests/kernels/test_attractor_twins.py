"""The attractor kernels equal their slow twins, and take any array that holds the same numbers."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kernels import (
    attractor,
    chaos,
    correlation,
    delay,
    divergence,
    embedding_dimension,
    entropy,
    fractal,
    neighbours,
    recurrence,
)
from kernels.compile import KERNELS, compiled_signatures
from kernels.series import standardise
from tests.kernels import naive, naive_attractor
from tests.kernels.strategies import checked, compiled_only, in_other_clothes, series

few = settings(checked, max_examples=25)


def lumpy(low, high):
    """Whole multiples of a half: many equal distances, none that rounding could decide."""
    return st.lists(st.integers(-6, 6), min_size=low, max_size=high).map(lambda v: np.array(v) / 2)


@few
@given(lumpy(6, 30), st.integers(2, 5), st.integers(0, 4))
def test_mutual_information_is_its_definition(x, bins, lag):
    found = attractor.average_mutual_information(x, 4, bins)

    ranks = [sorted(x.tolist()).index(v) for v in x.tolist()]
    last = [len(x) - 1 - sorted(x.tolist())[::-1].index(v) for v in x.tolist()]
    codes = [(a + (b - a) // 2) * bins // len(x) for a, b in zip(ranks, last, strict=True)]
    expected = naive_attractor.mutual_information(codes, bins, lag)
    assert found[lag] == pytest.approx(expected, abs=1e-12)


@few
@given(lumpy(12, 24), st.integers(1, 3), st.integers(0, 3), st.booleans())
def test_correlation_sums_are_their_definition(x, dimension, theiler, every):
    vectors = naive.embed(x.tolist(), dimension, 2)
    references = np.arange(0, len(vectors), 1 if every else 3)
    radii = np.array([0.25, 0.8, 1.7, 2.6, 5.1])

    found = correlation.correlation_sums(x, (dimension, 2, theiler), references, radii)

    expected = naive_attractor.close_pairs(vectors, references, theiler, radii)
    assert found.tolist() == pytest.approx(expected)


@few
@given(lumpy(6, 24), st.integers(1, 3), st.integers(1, 2))
def test_stretches_that_are_alike_are_counted(x, dimension, lag):
    assume(x.size > dimension * lag)

    found = entropy._count_alike(x, dimension, lag, 0.75)

    assert found == naive_attractor.alike(x.tolist(), dimension, lag, 0.75)


@few
@given(series(32, 60), st.integers(3, 12))
def test_rescaled_ranges_are_their_definition(x, size):
    x = np.round(x)

    found = fractal._rescaled_ranges(x, np.array([size]))

    assert found[0] == pytest.approx(naive_attractor.rescaled_range(x.tolist(), size), rel=1e-9)


@few
@given(series(32, 60), st.integers(4, 12), st.booleans())
def test_fluctuations_are_what_a_line_leaves(x, size, overlap):
    walk = np.cumsum(np.round(x))

    found = fractal._fluctuation(walk, fractal._trends(size, 1), int(overlap))

    expected = naive_attractor.fluctuation(walk.tolist(), size, overlap=overlap)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-3)


@few
@given(lumpy(8, 24), st.integers(1, 3), st.integers(1, 3))
def test_recurrence_lines_are_runs_in_the_matrix(x, dimension, theiler):
    vectors = naive.embed(x.tolist(), dimension, 2)
    found, diagonals, verticals = recurrence._lines(x, dimension, 2, 1.3, theiler)

    expected = naive_attractor.recurrences(vectors, math.sqrt(1.3), theiler)
    runs = [np.repeat(np.arange(h.size), h).tolist() for h in (diagonals, verticals)]
    assert (found, *runs) == expected


@few
@given(series(40, 60), st.floats(0.7, 2.4))
def test_the_test_for_chaos_is_its_definition(x, frequency):
    assume(np.ptp(x) > 0.5)
    standard = standardise(x)

    found = chaos._wander(standard, np.array([frequency]))

    expected = naive_attractor.wander(standard.tolist(), frequency)
    assert found[0] == pytest.approx(expected, abs=1e-6)


@few
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_neighbours_grow_apart_as_defined(random, dimension):
    x = np.random.default_rng(random).normal(size=40)

    found = embedding_dimension._grow(x, dimension, 1, 2)

    assert found == pytest.approx(naive_attractor.growth(x.tolist(), dimension, 1, 2))


@few
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 1.5))
def test_the_mean_distance_of_neighbourhoods_is_followed(random, radius):
    x = np.random.default_rng(random).normal(size=80)
    vectors = delay.delay_embed(x, 2, 1)
    references = np.arange(0, 60, 2)
    starts, found = neighbours.within_apart(vectors, references, 60, 3, radius**2, 60)
    lists = [found[a:b].tolist() for a, b in pairwise(starts)]

    within = [
        [j for j in range(60) if abs(i - j) > 3 and math.dist(vectors[i], vectors[j]) <= radius]
        for i in references
    ]
    assert [sorted(found) for found in lists] == within
    steps = np.arange(0, 10, 3)
    curves = divergence.spread_of_neighbourhoods(x, references + 1, (starts, found + 1), steps)
    expected = naive_attractor.spread(
        x, references + 1, [[j + 1 for j in found] for found in lists], steps
    )
    for total, number, value in zip(
        curves.sums.sum(0), curves.counts.sum(0), expected, strict=True
    ):
        assert value is None if number == 0 else total / number == pytest.approx(value)


def test_a_full_list_of_neighbours_ends():
    vectors = np.zeros((50, 2))

    starts, found = neighbours.within_apart(vectors, np.arange(50), 50, 1, 1.0, 7)

    assert np.diff(starts).tolist() == [7] * 50
    assert found.size == 350


@few
@given(st.integers(0, 2**32 - 1), st.integers(8, 60), st.integers(1, 3))
def test_surrogates_hold_the_same_values_in_another_order(random, size, count):
    x = np.random.default_rng(random).normal(size=size)

    found = attractor.surrogates(x, count)

    assert found.shape == (count, size)
    assert all(np.sort(row).tolist() == np.sort(x).tolist() for row in found)
    assert found.tolist() == attractor.surrogates(x, count).tolist()


CALLS = {
    "average_mutual_information": lambda x: attractor.average_mutual_information(x).tolist(),
    "choose_lag": lambda x: attractor.choose_lag(x, method="mutual_information"),
    "choose_dimension": attractor.choose_dimension,
    "correlation_dimension": attractor.correlation_dimension,
    "lyapunov_kantz": attractor.lyapunov_kantz,
    "sample_entropy": attractor.sample_entropy,
    "multiscale_entropy": lambda x: attractor.multiscale_entropy(x, 4).tolist(),
    "hurst_rs": attractor.hurst_rs,
    "dfa": attractor.dfa,
    "recurrence": attractor.recurrence,
    "zero_one_chaos": attractor.zero_one_chaos,
    "surrogates": lambda x: attractor.surrogates(x, 2).tolist(),
}


@compiled_only
@pytest.mark.parametrize("name", CALLS)
def test_dtype_and_layout_do_not_matter(name):
    x = np.round(np.random.default_rng(5).normal(size=300) * 16)
    call = CALLS[name]
    expected = call(x)

    assert all(call(other) == expected for other in in_other_clothes(x))
    assert call(x.astype(np.float32)) == expected
    assert call(x.astype(np.int32)) == expected
    assert max(compiled_signatures(kernel) for kernel in KERNELS.values()) == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", CALLS)
def test_a_value_that_is_no_number_is_refused(name, bad):
    x = np.random.default_rng(5).normal(size=300)
    x[77] = bad

    with pytest.raises(ValueError, match="at index 77"):
        CALLS[name](x)
