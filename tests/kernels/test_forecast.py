"""Forecasts follow their recursion, find what is there, and are honest about the naive one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import forecast
from tests.kernels.strategies import checked, in_other_clothes, series

MONTHS = np.arange(96)


def seasonal(noise=0.0, *, scaled=False):
    random = np.random.default_rng(4)
    cycle = np.sin(2 * np.pi * MONTHS / 12)
    line = 20 + 0.5 * MONTHS
    x = line * (1 + 0.3 * cycle) if scaled else line + 4 * cycle
    return x + noise * random.normal(size=x.size)


def recursion(x, period, start, shares, scaled):
    """The smoothing by its definition: errors, and the state after the last sample."""
    (level, trend, *season), (alpha, beta, gamma) = list(start), shares
    errors = []
    for i, value in enumerate(x):
        cycle = season[i % period]
        expected = (level + trend) * cycle if scaled else level + trend + cycle
        error = value - expected
        move = error / cycle if scaled else error
        if period > 1:
            turn = error / (level + trend) if scaled else error
            season[i % period] = cycle + gamma * turn
        level, trend = level + trend + alpha * move, trend + alpha * beta * move
        errors.append(error)
    return errors, [level, trend, *season]


@checked
@given(
    st.integers(1, 5), st.integers(0, 2**32 - 1), st.booleans(), st.tuples(*[st.floats(0, 1)] * 3)
)
def test_smoothing_is_its_recursion(period, seed, scaled, shares):
    x = np.random.default_rng(seed).uniform(5, 9, 30)
    start = forecast._start(x, period, scaled=scaled)
    state = start.copy()

    total = forecast._smooth(x, state, np.array(shares), scaled)

    errors, expected = recursion(x.tolist(), period, start.tolist(), shares, scaled)
    finite = math.isfinite(sum(error * error for error in errors))
    assert total == pytest.approx(sum(e * e for e in errors) if finite else math.inf, rel=1e-9)
    if finite:
        assert state.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@checked
@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_the_fitted_shares_are_no_worse_than_any_of_a_grid(period, seed):
    x = np.cumsum(np.random.default_rng(seed).normal(size=40))
    start = forecast._start(x, period, scaled=False)
    fitted = forecast._smooth(x, start.copy(), forecast._fit(x, start, False), False)

    for a in (0.0, 0.1, 0.4, 0.7, 1.0):
        for b in (0.0, 0.2, 0.9):
            shares = np.array([a, b, 0.05 if period > 1 else 0.0])
            assert fitted <= forecast._smooth(x, start.copy(), shares, False) * 1.05


@pytest.mark.parametrize("scaled", [False, True])
def test_a_season_on_a_line_is_continued(scaled):
    x = seasonal(scaled=scaled)
    kind = "multiplicative" if scaled else "additive"

    found = forecast.holt_winters(x[:-12], 12, 12, kind)

    assert found.values == pytest.approx(x[-12:], rel=0.03)
    assert (found.lower <= found.values + 1e-9).all()
    assert (found.values <= found.upper + 1e-9).all()


def test_bounds_hold_about_as_often_as_they_say():
    hits = []
    for seed in range(40):
        x = np.cumsum(np.random.default_rng(seed).normal(size=220))
        found = forecast.holt_winters(x[:200], 20, probability=0.8)
        hits.append(np.mean((x[200:] >= found.lower) & (x[200:] <= found.upper)))

    assert 0.65 < np.mean(hits) < 0.93


def test_simulated_bounds_agree_with_the_formula_where_both_exist():
    x = seasonal(noise=1.0)
    states = np.repeat(forecast._start(x, 12, scaled=False)[None], 4000, axis=0)
    shares = np.array([0.3, 0.1, 0.2])
    noise = np.random.default_rng(1).normal(size=(4000, 30))

    paths = forecast._project(states, x.size, noise, shares, False)

    assert paths.std(axis=0) == pytest.approx(forecast._growth(shares, 30, 12), rel=0.08)


def test_futures_go_on_from_block_to_block_and_need_little_memory(monkeypatch):
    x = seasonal(scaled=True, noise=0.5)
    whole = forecast.holt_winters(x, 50, 12, "multiplicative")
    monkeypatch.setattr(forecast, "TOGETHER", 7)
    parts = forecast.holt_winters(x, 50, 12, "multiplicative")
    monkeypatch.setattr(forecast, "SIMULATED", 1)
    few = forecast.holt_winters(x, 50, 12, "multiplicative")

    width = whole.upper - whole.lower
    for other in (parts, few):
        assert other.values.tolist() == whole.values.tolist()
        assert other.upper - other.lower == pytest.approx(width, rel=0.25)
        assert (other.upper - other.lower)[-12:].mean() == pytest.approx(
            width[-12:].mean(), rel=0.1
        )


def test_a_steep_beginning_does_not_turn_a_multiplicative_season_negative():
    x = np.array([1.0, 1.0, 10.0, 10.0, 12.0, 11.0, 13.0, 12.0])

    found = forecast.holt_winters(x, 4, 2, "multiplicative")

    assert np.isfinite(found.values).all()
    assert (found.values > 0).all()


def test_the_naive_forecast_repeats_the_last_value_or_season():
    assert forecast.naive([1, 2, 5], 3).values.tolist() == [5, 5, 5]
    assert forecast.naive([9, 9, 1, 2, 3], 5, 3).values.tolist() == [1, 2, 3, 1, 2]
    width = forecast.naive([0, 1, 0, 1, 0], 4)
    assert (width.upper - width.values)[3] == pytest.approx(2 * (width.upper - width.values)[0])


def test_holt_winters_beats_the_naive_forecast_where_there_is_something_to_learn():
    found = forecast.compare(seasonal(noise=0.5), 6, 12, folds=4)

    assert next(iter(found)) == "holt_winters"
    assert found["holt_winters"].mase < 0.7 * found["naive"].mase
    assert set(found) == {"holt_winters", "naive", "seasonal_naive"}


def test_on_a_random_walk_nothing_beats_the_naive_forecast_by_much():
    walk = np.cumsum(np.random.default_rng(3).normal(size=300))

    found = forecast.compare(walk, 5, folds=20)

    assert found["naive"].mase < 1.15 * found["holt_winters"].mase


@checked
@given(series(low=8, high=30), st.integers(1, 3), st.integers(1, 5))
def test_accuracy_is_its_definition_and_zero_for_what_came(x, period, horizon):
    made = forecast.naive(x, horizon, period)
    came = made.values + 1.0

    right = forecast.accuracy(made.values, made, x, period)
    wrong = forecast.accuracy(came, made, x, period)

    assert (right.mae, right.rmse, right.smape, right.coverage) == (0, 0, 0, 1)
    assert wrong.mae == pytest.approx(1.0)
    usual = np.mean(np.abs(x[period:] - x[:-period]))
    assert wrong.mase == pytest.approx(1 / usual if usual else math.inf)


@checked
@given(series(low=12, high=30), st.integers(1, 4))
def test_a_forecast_is_finite_whatever_the_series_and_its_clothes(x, period):
    found = forecast.holt_winters(x, 7, period)

    assert np.isfinite(found.values).all()
    assert np.isfinite(found.upper - found.lower).all()
    for other in in_other_clothes(x):
        assert forecast.holt_winters(other, 7, period).values.tolist() == found.values.tolist()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: forecast.holt_winters([1, 2, 3], 2), "at least 4"),
        (lambda: forecast.holt_winters(range(9), 2, 5), "at least 10"),
        (lambda: forecast.holt_winters([1, -2, 3, 4], 2, 2, "multiplicative"), "positive"),
        (lambda: forecast.holt_winters([1, 2, 3, 4], 2, 2, "cubic"), "'additive'"),
        (lambda: forecast.holt_winters([1, math.nan, 3, 4], 2), "x has nan at index 1"),
        (lambda: forecast.holt_winters([1, 2, 3, 4], 0), "horizon is 0"),
        (lambda: forecast.holt_winters([1, 2, 3, 4], 10**6), "at most 100000"),
        (lambda: forecast.naive([1, 2, 3], 2, probability=1.0), "between 0 and 1"),
        (lambda: forecast.accuracy([1.0], forecast.naive([1, 2], 2), [1, 2]), "equal lengths"),
        (lambda: forecast.compare(range(10), 4, folds=3), "at least 16"),
    ],
)
def test_what_cannot_be_forecast_is_refused_in_words(call, says):
    with pytest.raises(ValueError, match=says):
        call()
