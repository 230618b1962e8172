"""Cores that have no public name of their own equal their slow twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import (
    attractor,
    delay,
    divergence,
    lines,
    neighbours,
    periodicity,
)
from kernels.series import standardise
from tests.kernels import naive
from tests.kernels.strategies import checked, series


@checked
@given(series(low=12), st.integers(1, 4), st.integers(1, 3))
def test_delay_vectors_hold_the_oldest_sample_first(x, dimension, lag):
    assert attractor.delay_embed(x, dimension, lag).tolist() == naive.embed(
        x.tolist(), dimension, lag
    )


@checked
@given(series(low=2, high=60))
def test_autocorrelation_is_its_definition(x):
    standard = standardise(x)

    assert delay.autocorrelation(standard) == pytest.approx(
        naive.autocorrelation(standard.tolist()), abs=1e-9
    )


@checked
@given(series(low=4, high=60), st.integers(1, 3), st.integers(0, 5))
def test_the_tree_finds_the_nearest_vector(x, dimension, theiler):
    vectors = delay.delay_embed(x, dimension, 1) if x.size >= dimension else x[:, None]
    references = np.arange(len(vectors))
    indices, squared = neighbours.nearest_apart(vectors, references, len(vectors), theiler)

    expected = naive.nearest_apart(vectors.tolist(), references, len(vectors), theiler)
    assert squared.tolist() == pytest.approx(expected, rel=1e-12)
    for i, j in zip(references, indices, strict=True):
        assert j == -1 or abs(i - j) > theiler


def test_the_tree_finds_the_nearest_of_many_vectors_among_the_first():
    vectors = np.random.default_rng(2).normal(size=(900, 3))
    vectors[200:400] = vectors[0]
    references = np.arange(0, 900, 7)

    _, squared = neighbours.nearest_apart(vectors, references, 700, 10)

    expected = naive.nearest_apart(vectors.tolist(), references, 700, 10)
    assert squared.tolist() == pytest.approx(expected, rel=1e-12)


@checked
@given(st.integers(0, 2**32 - 1), st.integers(16, 40))
def test_divergence_is_the_mean_logarithm_of_distances(random, count):
    draw = np.random.default_rng(random)
    x = draw.integers(0, 4, 60) * 0.3
    vectors = delay.delay_embed(x, 2, 2)
    pairs = draw.integers(0, 45, (count, 2))
    steps = np.arange(0, 10, 3)

    curves = divergence.follow(x, vectors, pairs, steps, 2)

    moved, shares = divergence._align(vectors, pairs)
    expected = naive.divergence(x.tolist(), moved.tolist(), shares.tolist(), steps.tolist(), 2, 2)
    for total, number, value in zip(
        curves.sums.sum(0), curves.counts.sum(0), expected, strict=True
    ):
        assert value is None if number == 0 else total / number == pytest.approx(value)


def test_a_partner_is_moved_to_where_its_path_is_closest():
    circle = np.sin(0.7 * np.arange(400) + 0.1)
    vectors = delay.delay_embed(circle, 2, 2)
    pairs = np.array([[100, 280]])  # twenty periods and half a sample later

    at_once = divergence.follow(circle, vectors, pairs, np.array([0]), 2).mean()

    assert np.exp(at_once[0]) < 0.05
    assert np.linalg.norm(vectors[100] - vectors[280]) > 0.2


@checked
@given(series(low=6, high=14), st.integers(0, 3), st.floats(-10, 10))
def test_the_straightest_window_has_the_best_score_there_is(curve, first, ceiling):
    times = np.arange(curve.size) * 1.0

    found = lines.straightest(times, curve, first, ceiling)

    best, mean = naive.straightest(times.tolist(), curve.tolist(), first, ceiling, 5)
    if found is None:
        assert best == pytest.approx(0.0, abs=1e-6)
        return
    window = slice(found.start, found.stop + 1)
    slope, residual = naive.line(times[window].tolist(), curve[window].tolist())
    rise = slope * (found.stop - found.start)
    assert rise**1.5 / (residual + 0.02) == pytest.approx(best, rel=1e-6)
    assert found.coefficients @ curve == pytest.approx(mean, rel=1e-6, abs=1e-9)


@checked
@given(series(low=20, high=60), st.integers(2, 5))
def test_a_whole_period_is_compared_with_the_samples_one_period_later(x, period):
    found = periodicity._mismatches(x, np.array([float(period)]), 0)

    assert found[0] == pytest.approx(naive.mismatch(x.tolist(), float(period)), abs=1e-12)
