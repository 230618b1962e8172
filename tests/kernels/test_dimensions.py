"""Dimensions, lags and entropies of known systems; refusals of what cannot be measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kernels import attractor
from tests.kernels import systems
from tests.kernels.strategies import compiled_only

T = np.arange(3000)
NOISE = np.random.default_rng(3).normal(size=3000)
TORUS = np.sin(0.1 * T) + np.sin(0.1 * 2**0.5 * T)


@compiled_only
@pytest.mark.parametrize(
    ("series", "expected", "tolerance"),
    [
        (lambda: systems.lorenz(10_000, every=2), 2.05, 0.1),
        (lambda: systems.lorenz(2000, every=5), 2.05, 0.1),
        (lambda: systems.henon(2000), 1.21, 0.05),
        (lambda: systems.henon(10_000), 1.21, 0.05),
        (lambda: systems.logistic(5000), 1.0, 0.1),
        (lambda: NOISE, 3.0, 0.15),
        (lambda: np.sin(0.1 * T), 1.0, 0.1),
    ],
)
def test_the_correlation_dimension_is_that_of_the_literature(series, expected, tolerance):
    found = attractor.correlation_dimension(series())

    assert found.dimension == pytest.approx(expected, abs=tolerance)
    assert found.low < found.dimension < found.high
    assert found.radii[0] <= found.fit_window[0] < found.fit_window[1] <= found.radii[-1]
    assert float(found) == found.dimension


@compiled_only
def test_the_dimension_knows_no_unit():
    x = systems.henon(2000)

    plain = attractor.correlation_dimension(x)
    other = attractor.correlation_dimension(-4e6 * x + 9)

    assert other.dimension == pytest.approx(plain.dimension, rel=1e-3)


@pytest.mark.parametrize(
    ("series", "problem"),
    [
        (np.ones(500), "constant"),
        (np.arange(40.0), "too few"),
        (np.random.default_rng(0).normal(size=60), "too"),
    ],
)
def test_a_dimension_that_cannot_be_measured_is_said(series, problem):
    found = attractor.correlation_dimension(series)

    assert found.dimension is None
    assert problem in found.problem
    with pytest.raises(ValueError, match="no correlation dimension"):
        float(found)


@compiled_only
@pytest.mark.parametrize("method", ["cao", "false_neighbours"])
def test_states_get_as_many_coordinates_as_they_need(method):
    assert attractor.choose_dimension(systems.henon(2000), method=method) in {2, 3}
    assert attractor.choose_dimension(systems.lorenz(5000, every=2), method=method) in {3, 4}
    assert attractor.choose_dimension(np.sin(0.1 * T), method=method) in {2, 3}
    assert attractor.choose_dimension(np.ones(300), method=method) == 1
    assert attractor.choose_dimension(NOISE, method=method) == 10


@compiled_only
def test_the_lag_is_the_first_minimum_of_mutual_information():
    # Fraser and Swinney's rule gives the Lorenz system about 0.16 time units.
    lag = attractor.choose_lag(systems.lorenz(10_000), method="mutual_information")

    assert 14 <= lag <= 20


def test_independent_samples_share_little_information():
    shared = attractor.average_mutual_information(NOISE, 20, 16)

    assert shared[0] == pytest.approx(math.log(16), abs=1e-3)
    assert shared[1:].max() < 0.08


def test_a_growing_function_shares_the_same_information():
    x = systems.henon(500)

    plain = attractor.average_mutual_information(x, 5)

    assert attractor.average_mutual_information(np.exp(x), 5).tolist() == plain.tolist()


@compiled_only
def test_entropy_of_noise_falls_with_the_scale_and_that_of_pink_noise_does_not():
    pink = np.fft.irfft(np.fft.rfft(NOISE) / np.sqrt(np.maximum(1, np.arange(1501))), 3000)

    white = attractor.multiscale_entropy(NOISE, 8)
    coloured = attractor.multiscale_entropy(pink, 8)

    assert white[0] == pytest.approx(2.2, abs=0.1)
    assert white[7] < 0.6 * white[0]
    assert coloured[7] > 0.75 * coloured[0]


def test_what_never_recurs_is_infinitely_new_and_a_constant_is_never_new():
    assert attractor.sample_entropy(2.0 ** np.arange(30)) >= 0
    assert attractor.sample_entropy([0.0, 5.0, -9.0, 40.0, 3.0, -70.0], radius=0.01) == math.inf
    assert attractor.sample_entropy(np.ones(50)) == 0.0


def test_exponents_of_scaling_are_those_of_the_noise():
    walk = np.cumsum(NOISE)

    assert attractor.hurst_rs(NOISE) == pytest.approx(0.5, abs=0.06)
    assert attractor.dfa(NOISE) == pytest.approx(0.5, abs=0.05)
    assert attractor.dfa(walk) == pytest.approx(1.5, abs=0.08)
    assert attractor.dfa(NOISE, order=2) == pytest.approx(0.5, abs=0.08)
    assert attractor.hurst_rs(1e9 * NOISE + 3e9) == pytest.approx(attractor.hurst_rs(NOISE))


@compiled_only
def test_the_test_for_chaos_tells_order_from_chaos():
    assert attractor.zero_one_chaos(systems.logistic(1000, 3.5)) < 0.1
    assert attractor.zero_one_chaos(systems.logistic(1000, 3.9)) > 0.9
    assert attractor.zero_one_chaos(systems.lorenz(20_000)) > 0.9
    assert abs(attractor.zero_one_chaos(TORUS)) < 0.2
    assert attractor.zero_one_chaos(np.ones(100)) == 0.0


@compiled_only
def test_what_repeats_runs_along_diagonals():
    wave = attractor.recurrence(np.sin(0.1 * T[:1000]))
    noise = attractor.recurrence(NOISE[:1000])

    assert wave.DET > 0.99
    assert wave.Lmax > 900
    assert noise.DET < 0.5
    assert attractor.recurrence(np.ones(80)).RR == 1.0


@compiled_only
@pytest.mark.parametrize("name", ["logistic", "Hénon"])
def test_kantz_finds_the_exponents_too(name):
    series, expected = {
        "logistic": (systems.logistic(5000), math.log(2)),
        "Hénon": (systems.henon(5000), 0.4192),
    }[name]

    found = attractor.lyapunov_kantz(series)

    assert found.exponent == pytest.approx(expected, rel=0.06)
    assert found.confidence_interval[0] < found.exponent < found.confidence_interval[1]
    assert found.fit_window[0] < found.fit_window[1]


def test_kantz_says_why_there_is_none():
    assert "constant" in attractor.lyapunov_kantz(np.ones(100)).problem
    assert "radius" in attractor.lyapunov_kantz(systems.henon(300), radius=1e-9).problem
    assert attractor.lyapunov_kantz(np.tile([1.0, 5.0, 2.0, 4.0], 200)).exponent == 0.0


def test_surrogates_keep_the_spectrum_and_lose_the_dynamics():
    x = systems.henon(1000)

    rows = attractor.surrogates(x, 4)

    own, theirs = (np.abs(np.fft.rfft(v)) for v in (x, rows))
    assert np.corrcoef(own[1:], theirs[0][1:])[0, 1] > 0.95
    assert attractor.lyapunov_rosenstein(rows[0]).exponent is None
    other = attractor.surrogates(x, 4, random=np.random.default_rng(1))
    assert not np.array_equal(other, rows)


LONG = np.random.default_rng(4).normal(size=1_000_000)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: attractor.choose_lag(NOISE, method="guess"), "mutual_information"),
        (lambda: attractor.choose_dimension(NOISE, method="guess"), "false_neighbours"),
        (lambda: attractor.choose_dimension(NOISE[:20]), "too few"),
        (lambda: attractor.average_mutual_information(NOISE[:50], 50), "lags below"),
        (lambda: attractor.correlation_dimension(NOISE, radii=[0.3, 0.2]), "ascend"),
        (lambda: attractor.sample_entropy(NOISE, radius=0), "radius is 0"),
        (lambda: attractor.sample_entropy(np.zeros(50_001)), "at most 50000"),
        (lambda: attractor.multiscale_entropy(NOISE[:30], 20), "at least 80"),
        (lambda: attractor.hurst_rs(np.ones(100)), "constant"),
        (lambda: attractor.dfa(np.ones(100)), "constant"),
        (lambda: attractor.dfa(NOISE, order=4), "order is 4"),
        (lambda: attractor.dfa(NOISE, [3, 50], order=2), "at least 4"),
        (lambda: attractor.hurst_rs(NOISE, [4, 5000]), "whole numbers"),
        (lambda: attractor.recurrence(NOISE, radius=-1), "radius is -1"),
        (lambda: attractor.recurrence(NOISE[:5], dimension=5, lag=1), "too few"),
        (lambda: attractor.recurrence(np.zeros(50_003)), "more than 50000"),
        (lambda: attractor.lyapunov_kantz(NOISE, radius=math.nan), "radius is nan"),
        (lambda: attractor.surrogates(NOISE, 0), "count is 0"),
        (lambda: attractor.surrogates(NOISE, 10_000), "more than"),
        (lambda: attractor.zero_one_chaos(NOISE[:63]), "at least 64"),
        (lambda: attractor.zero_one_chaos(NOISE, frequencies=10**7), "at most 1000"),
        (lambda: attractor.average_mutual_information(NOISE, 5, 100_000), "at most 1000"),
        (lambda: attractor.average_mutual_information(LONG, 100_000), "allow 39"),
        (lambda: attractor.choose_lag(LONG, 100_000, "mutual_information"), "allow 39"),
        (lambda: attractor.delay_embed(LONG, 5000, 1), "more than 100000000 numbers"),
        (lambda: attractor.lyapunov_rosenstein(LONG, dimension=50, lag=1), "too long"),
        (lambda: attractor.lyapunov_kantz(LONG, dimension=50, lag=1), "too long"),
        (lambda: attractor.choose_dimension(LONG, 1, maximum=200), "too long"),
        (lambda: attractor.correlation_dimension(LONG, radii=[0.1, 0.2]), "fewer references"),
        (lambda: attractor.correlation_dimension(NOISE, lag=0), "lag is 0"),
        (lambda: attractor.correlation_dimension(NOISE, references=0), "references is 0"),
        (lambda: attractor.recurrence(LONG[:40_000], dimension=500, lag=1), "take too long"),
        (lambda: attractor.sample_entropy(NOISE, 1000), "at most 100"),
        (lambda: attractor.multiscale_entropy(NOISE, 2, 1000), "at most 100"),
        (lambda: attractor.dfa(LONG, np.arange(4, 1100)), "more than 1000"),
        (lambda: attractor.hurst_rs(LONG, np.arange(4, 1100)), "more than 1000"),
        (lambda: attractor.surrogates(NOISE, 100, iterations=10**6), "steps"),
    ],
)
def test_bad_input_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
