"""Exponents agree with the literature, or the answer says why there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kernels.attractor import lyapunov_kantz, lyapunov_rosenstein
from tests.kernels import systems
from tests.kernels.strategies import compiled_only

REFERENCES = {
    "logistic": (lambda: systems.logistic(5000), 1.0, math.log(2), 0.02),
    "logistic, short": (lambda: systems.logistic(1024), 1.0, math.log(2), 0.02),
    "Hénon": (lambda: systems.henon(5000), 1.0, 0.4192, 0.05),
    "Lorenz": (lambda: systems.lorenz(20_000, every=3), 0.03, 0.9056, 0.05),
    "Rössler": (lambda: systems.rossler(20_000), 0.1, 0.0714, 0.15),
}


@compiled_only
@pytest.mark.parametrize("name", REFERENCES)
def test_the_exponent_is_that_of_the_literature(name):
    build, interval, expected, tolerance = REFERENCES[name]

    estimate = lyapunov_rosenstein(build(), sample_interval=interval)

    assert estimate.exponent == pytest.approx(expected, rel=tolerance)
    assert estimate.low < estimate.exponent < estimate.high
    assert estimate.r_squared > 0.99
    assert estimate.problem == ""


@compiled_only
@pytest.mark.parametrize("name", ["logistic", "Hénon"])
def test_scale_and_offset_do_not_matter(name):
    series = REFERENCES[name][0]()

    plain = lyapunov_rosenstein(series)
    other = lyapunov_rosenstein(-250.0 * series + 31.0)

    assert other.exponent == pytest.approx(plain.exponent, rel=1e-3)
    assert (other.lag, other.theiler, other.fit_stop) == (plain.lag, plain.theiler, plain.fit_stop)


@compiled_only
def test_cycles_do_not_diverge():
    ragged = lyapunov_rosenstein(np.sin(0.1 * np.arange(3000)))
    exact = lyapunov_rosenstein(np.tile([1.0, 5.0, 2.0, 4.0], 300))

    assert ragged.exponent == 0.0
    assert exact.exponent == 0.0
    assert exact.problem == "the series repeats exactly"


def test_noise_has_no_exponent_and_no_memory():
    estimate = lyapunov_rosenstein(np.random.default_rng(8).normal(size=3000))

    assert estimate.exponent is None
    assert "noise" in estimate.problem
    assert abs(estimate.determinism) < 0.15


def test_chaos_remembers_small_distances():
    assert lyapunov_rosenstein(systems.henon(2000)).determinism > 0.7


@pytest.mark.parametrize(
    ("series", "problem"),
    [
        (np.full(500, 2.0), "constant"),
        ([1.0], "constant"),
        ([1.0, 2.0], "too few"),
        (np.sin(np.arange(22)), "too few"),
    ],
)
def test_what_cannot_be_measured_is_said(series, problem):
    estimate = lyapunov_rosenstein(series)

    assert estimate.exponent is None
    assert problem in estimate.problem


def test_coarse_noise_is_told_from_a_cycle():
    estimate = lyapunov_rosenstein(np.random.default_rng(8).integers(0, 2, 2000))

    assert estimate.exponent is None
    assert "different futures" in estimate.problem


def test_fewer_references_give_nearly_the_same():
    series = systems.logistic(8000)
    few = lyapunov_rosenstein(series, references=800)

    assert few.pairs <= 800
    assert few.exponent == pytest.approx(math.log(2), rel=0.03)


@pytest.mark.parametrize("few", [16, 30])
def test_a_few_references_give_an_exponent_with_a_wide_interval(few):
    estimate = lyapunov_rosenstein(systems.henon(600), references=few)

    assert estimate.problem == ""
    assert estimate.pairs == few
    assert estimate.low < 0.4192 < estimate.high
    assert math.isfinite(estimate.determinism)


def test_what_is_missing_is_blamed_and_not_the_radius():
    series = systems.henon(600)

    with pytest.raises(ValueError, match=r"references is 30; an exponent .* at least 64"):
        lyapunov_kantz(series, references=30)
    assert "64 are needed" in lyapunov_kantz(series, references=64, radius=1e-3).problem
    rounded = lyapunov_rosenstein(np.round(series, 1), references=16)
    assert "too few states differ" in rounded.problem or "too coarse" in rounded.problem


def test_given_parameters_are_used():
    estimate = lyapunov_rosenstein(
        systems.henon(1000), dimension=2, lag=1, theiler=7, horizon=20, sample_interval=2.0
    )

    assert (estimate.dimension, estimate.lag, estimate.theiler) == (2, 1, 7)
    assert estimate.times == tuple(2.0 * k for k in range(21))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimension": 0}, "dimension is 0"),
        ({"lag": -1}, "lag is -1"),
        ({"horizon": 0}, "horizon is 0"),
        ({"references": 0}, "references is 0"),
        ({"references": 15}, "needs at least 16"),
        ({"theiler": -1}, "theiler is -1"),
        ({"sample_interval": 0.0}, "sample_interval is 0"),
        ({"sample_interval": math.nan}, "sample_interval is nan"),
    ],
)
def test_bad_parameters_say_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        lyapunov_rosenstein(systems.henon(100), **options)
