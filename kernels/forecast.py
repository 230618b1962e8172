"""Forecasts of a series with intervals: Holt-Winters, and the naive ones it has to beat.

Holt-Winters (Holt 1957, Winters 1960) smooths a level, a trend and one value per season, each
moved by a share of the last error (the error-correction form of Hyndman et al. 2008). The shares
are fitted to the squared one-step errors. `naive` repeats the last value or the last season;
`compare` tells on the series' own past which of them is better, and by how much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from kernels.compile import jit
from kernels.series import Floats, as_count, as_series

Season = Literal["additive", "multiplicative"]

MAX_HORIZON = 100_000
MAX_PERIOD = 10_000
PATHS = 2000
"""Simulated futures behind the interval of a multiplicative season."""

FEWEST_PATHS = 500
"""Of them, however far the horizon is: bounds are then right to a tenth of their width."""

SIMULATED = 20_000_000
"""Steps of all futures together, some seconds, unless that leaves too few of them."""

TOGETHER = 2048
"""Steps that they are simulated at a time: some 100 MB, however far the horizon is."""

_GRID = (0.05, 0.3, 0.8)
_FINEST = 0.002
"""Shares are fitted to this accuracy; the errors are flat around their minimum."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Values of the coming samples, and bounds that hold each with the probability asked for.

    The bounds suppose independent, normally distributed errors of constant size.
    """

    values: Floats
    lower: Floats
    upper: Floats
    shares: tuple[float, float, float]
    """How much of an error moves the level, the trend (as a share of that) and the season."""
    deviation: float
    """Of the one-step errors on the past."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How far a forecast was from what came; all but `coverage` are better when smaller."""

    mae: float
    rmse: float
    smape: float
    """Mean of 2|e| / (|actual| + |forecast|), 0 to 2."""
    mase: float
    """Mean |e| over that of the seasonal naive one-step forecast on the past; below 1 is good."""
    coverage: float
    """Share of the values within the bounds."""


def holt_winters(
    x: ArrayLike,
    horizon: int,
    period: int = 1,
    season: Season = "additive",
    probability: float = 0.95,
) -> Forecast:
    """The next `horizon` values; `period` is the season's length in samples, 1 for none.

    A multiplicative season scales the level (for positive series whose swing grows with it).
    Raises ValueError for fewer than two seasons (4 samples without), a multiplicative season of
    values that are not all positive, NaN or infinity.
    """
    steps, cycle = _checked(horizon, period)
    past = as_series(x, "x", max(4, 2 * cycle))
    if season not in {"additive", "multiplicative"}:
        raise ValueError(f"season is {season!r}; pass 'additive' or 'multiplicative'")
    scaled = season == "multiplicative"
    if scaled and past.min() <= 0:
        raise ValueError("a multiplicative season needs positive values; pass season='additive'")
    start = _start(past, cycle, scaled=scaled)
    shares = _fit(past, start, scaled)
    state = start.copy()
    errors = _smooth(past, state, shares, scaled)
    free = max(1, past.size - (3 if cycle > 1 else 2))
    deviation = math.sqrt(errors / free)
    values = _project(state[None].copy(), past.size, np.zeros((1, steps)), shares, scaled)[0]
    if scaled and cycle > 1:
        tail = (1 - _share(probability)) / 2
        lower, upper = _simulated(state, (past.size, steps), shares, deviation, tail)
    else:
        width = _quantile(probability) * deviation * _growth(shares, steps, cycle)
        lower, upper = values - width, values + width
    alpha, beta, gamma = shares.tolist()
    return Forecast(values, lower, upper, (alpha, beta, gamma), deviation)


def naive(x: ArrayLike, horizon: int, period: int = 1, probability: float = 0.95) -> Forecast:
    """The last value, or the last season, again and again. Raises ValueError as `holt_winters`."""
    steps, cycle = _checked(horizon, period)
    past = as_series(x, "x", cycle + 1)
    ahead = np.arange(steps)
    values = past[past.size - cycle + ahead % cycle]
    deviation = float(np.sqrt(np.mean((past[cycle:] - past[:-cycle]) ** 2)))
    width = _quantile(probability) * deviation * np.sqrt(ahead // cycle + 1)
    return Forecast(values, values - width, values + width, (1.0, 0.0, float(cycle > 1)), deviation)


def accuracy(actual: ArrayLike, forecast: Forecast, past: ArrayLike, period: int = 1) -> Accuracy:
    """How good a forecast of `past` was, now that `actual` is known (as long as the forecast)."""
    _, cycle = _checked(1, period)
    came = as_series(actual, "actual")
    before = as_series(past, "past", cycle + 1)
    if came.size != forecast.values.size:
        raise ValueError(
            f"actual has {came.size} values and the forecast {forecast.values.size}; pass equal "
            "lengths"
        )
    errors = np.abs(came - forecast.values)
    sizes = np.abs(came) + np.abs(forecast.values)
    relative = np.divide(2 * errors, sizes, out=np.zeros_like(errors), where=sizes > 0)
    usual = float(np.mean(np.abs(before[cycle:] - before[:-cycle])))
    mae = float(errors.mean())
    mase = mae / usual if usual > 0 else math.inf * mae if mae > 0 else 0.0
    within = (came >= forecast.lower) & (came <= forecast.upper)
    return Accuracy(
        mae, float(np.sqrt(np.mean(errors**2))), float(relative.mean()), mase, float(within.mean())
    )


def compare(
    x: ArrayLike, horizon: int, period: int = 1, folds: int = 5, season: Season = "additive"
) -> dict[str, Accuracy]:
    """Mean accuracy of each method on the last `folds` stretches of `horizon`, each unseen.

    Keys: "holt_winters", "naive" and, with a season, "seasonal_naive", the best (by MASE) first.
    Raises ValueError when the series is too short for that many.
    """
    steps, cycle = _checked(horizon, period)
    rounds = as_count(folds, "folds", 1)
    series = as_series(x, "x", max(4, 2 * cycle) + rounds * steps)
    found: dict[str, list[Accuracy]] = {"holt_winters": [], "naive": []}
    if cycle > 1:
        found["seasonal_naive"] = []
    for fold in range(rounds, 0, -1):
        cut = series.size - fold * steps
        past, came = series[:cut], series[cut : cut + steps]
        made = {
            "holt_winters": holt_winters(past, steps, cycle, season),
            "naive": naive(past, steps),
            "seasonal_naive": naive(past, steps, cycle),
        }
        for name, results in found.items():
            results.append(accuracy(came, made[name], past, cycle))
    means = {name: _mean(results) for name, results in found.items()}
    return dict(sorted(means.items(), key=lambda item: item[1].mase))


def _mean(results: list[Accuracy]) -> Accuracy:
    rows = np.array([[r.mae, r.rmse, r.smape, r.mase, r.coverage] for r in results])
    return Accuracy(*rows.mean(axis=0).tolist())


def _checked(horizon: int, period: int) -> tuple[int, int]:
    steps, cycle = as_count(horizon, "horizon", 1), as_count(period, "period", 1)
    for value, name, most in ((steps, "horizon", MAX_HORIZON), (cycle, "period", MAX_PERIOD)):
        if value > most:
            raise ValueError(f"{name} is {value}, at most {most} is taken")
    return steps, cycle


def _share(probability: float) -> float:
    if not 0 < probability < 1:
        raise ValueError(f"probability is {probability}; pass a number between 0 and 1")
    return float(probability)


def _quantile(probability: float) -> float:
    return NormalDist().inv_cdf((1 + _share(probability)) / 2)


def _growth(shares: Floats, steps: int, period: int) -> Floats:
    """By how much the deviation grows with the horizon, additive season (Hyndman et al. 2008)."""
    alpha, beta, gamma = shares
    ahead = np.arange(1, steps)
    weights = alpha * (1 + beta * ahead) + gamma * (ahead % period == 0)
    if period == 1:
        weights = alpha * (1 + beta * ahead)
    grown: Floats = np.sqrt(np.concatenate([[1.0], 1.0 + np.cumsum(weights**2)]))
    return grown


def _simulated(
    state: Floats, span: tuple[int, int], shares: Floats, deviation: float, tail: float
) -> Floats:
    """Quantiles of many futures with a multiplicative season: shape (2, steps)."""
    past, steps = span
    random = np.random.default_rng(0)
    paths = max(FEWEST_PATHS, min(PATHS, SIMULATED // steps))
    states = np.repeat(state[None], paths, axis=0)
    bounds = np.empty((2, steps))
    for at in range(0, steps, TOGETHER):
        part = min(TOGETHER, steps - at)
        noise = random.normal(size=(paths, part)) * deviation
        spread = _project(states, past + at, noise, shares, True)
        bounds[:, at : at + part] = np.quantile(spread, [tail, 1 - tail], axis=0)
    return bounds


def _start(past: Floats, period: int, *, scaled: bool) -> Floats:
    """(level, trend, season …) before the first sample, from the first two seasons."""
    if period == 1:
        level = float(past[0])
        trend = float(np.mean(np.diff(past[:4])))
        return np.array([level - trend, trend, 1.0 if scaled else 0.0])
    first, second = past[:period].mean(), past[period : 2 * period].mean()
    trend = float(second - first) / period
    line = first + trend * (np.arange(2 * period) - (period - 1) / 2)
    if scaled and line.min() <= 0:  # too steep to go back along it: a season cannot be a share
        trend, line = 0.0, np.repeat([first, second], period)
    cycles = past[: 2 * period] / line if scaled else past[: 2 * period] - line
    season = cycles.reshape(2, period).mean(axis=0)
    season = season / season.mean() if scaled else season - season.mean()
    return np.array([line[0] - trend, trend, *season])


@jit
def _smooth(x: Floats, state: Floats, shares: Floats, scaled: bool) -> float:  # noqa: FBT001
    """The sum of squared one-step errors; `state` = (level, trend, season …) moves to the end."""
    period = state.size - 2
    level = state[0]
    trend = state[1]
    total = 0.0
    at = 0
    for i in range(x.size):
        base = level + trend
        cycle = state[2 + at]
        if scaled:
            error = x[i] - base * cycle
            move = error / cycle
            turn = error / base
        else:
            error = x[i] - (base + cycle)
            move = error
            turn = error
        total += error * error
        level = base + shares[0] * move
        trend += shares[0] * shares[1] * move
        if period > 1:
            state[2 + at] = cycle + shares[2] * turn
        at += 1
        if at == period:
            at = 0
    state[0] = level
    state[1] = trend
    return total if np.isfinite(total) else np.inf


@jit
def _fit(x: Floats, start: Floats, scaled: bool) -> Floats:  # noqa: FBT001
    """Shares with the least errors: the best of a grid, then steps along each, halved at last."""
    count = 3 if start.size > 3 else 2
    best = np.zeros(3)
    least = np.inf
    for a in range(3):
        for b in range(3):
            for c in range(3 if count == 3 else 1):
                shares = np.array([_GRID[a], _GRID[b], _GRID[c]])
                if count == 2:
                    shares[2] = 0.0
                total = _smooth(x, start.copy(), shares, scaled)
                if total < least:
                    least = total
                    best[:] = shares
    step = 0.2
    while step > _FINEST:
        improved = False
        for k in range(count):
            for way in range(2):
                shares = best.copy()
                shares[k] += step if way == 1 else -step
                shares[k] = min(max(shares[k], 0.0), 1.0)
                total = _smooth(x, start.copy(), shares, scaled)
                if total < least:
                    least = total
                    best[:] = shares
                    improved = True
        if not improved:
            step /= 2
    return best


@jit
def _project(states: Floats, past: int, noise: Floats, shares: Floats, scaled: bool) -> Floats:  # noqa: FBT001
    """Paths that go on from states with these errors, shape (paths, steps).

    `states` has a row (level, trend, season …) for each path and moves to the paths' ends.
    """
    period = states.shape[1] - 2
    out = np.empty(noise.shape)
    for path in range(noise.shape[0]):
        level = states[path, 0]
        trend = states[path, 1]
        season = states[path, 2:]
        at = past % period
        for i in range(noise.shape[1]):
            base = level + trend
            cycle = season[at]
            error = noise[path, i]
            out[path, i] = (base * cycle if scaled else base + cycle) + error
            level = base + shares[0] * (error / cycle if scaled else error)
            trend += shares[0] * shares[1] * (error / cycle if scaled else error)
            if period > 1:
                season[at] = cycle + shares[2] * (error / base if scaled else error)
            at += 1
            if at == period:
                at = 0
        states[path, 0] = level
        states[path, 1] = trend
    return out
