"""The largest Lyapunov exponent of a series, by the divergence of neighbours (Rosenstein 1993).

1. Embed; pair each vector with its nearest neighbour outside the Theiler window.
2. Average the logarithm of the distance of the pairs as time runs on: the divergence curve.
3. Find the straight part of the curve instead of assuming it: neighbours first turn into the
   expanding direction, then separate exponentially, then are as far apart as any two vectors.
   The window with the best ratio of rise to scatter, after the embedding window and below
   saturation, wins; its slope is the exponent.
4. Refit with each sixteenth of the pairs left out (jackknife) for the 95 % interval.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from kernels.delay import choose_lag, delay_embed
from kernels.divergence import (
    BLOCKS,
    EXACT,
    Curves,
    determinism,
    fit_line,
    follow,
    jackknife,
    straightest,
    unrelated,
)
from kernels.neighbours import nearest_apart
from kernels.series import Floats, Integers, as_count, as_series, standardise

SATURATION_MARGIN = 1.0
"""Nats below the distance of unrelated vectors where the slope is still that of the linear part."""

MINIMUM_RISE = 0.5
"""Nats; a smaller rise cannot be told from the scatter of a curve of a thousand pairs."""

STRANGERS = "neighbours are strangers at once: noise, or too few samples for this dimension"

STEPS = 80
"""Points of a divergence curve: more cost time and add nothing to the line through them."""

ENOUGH_PAIRS = 12_000
"""With more pairs than this only the closest half is kept: the others saturate too early."""

_T95 = 2.131
"""Student's t for 95 % and 15 degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Lyapunov:
    """An exponent per time unit with its interval and window, or the `problem` why there is none.

    `determinism` is the slope of ln(distance after the embedding window) on ln(distance before),
    near 1 when close states stay close, near 0 when the future forgets them (noise).
    """

    exponent: float | None
    low: float | None
    high: float | None
    fit_start: float
    fit_stop: float
    r_squared: float
    rise: float
    determinism: float
    pairs: int
    dimension: int
    lag: int
    theiler: int
    times: tuple[float, ...]
    curve: tuple[float, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Given:
    dimension: int | None
    lag: int | None
    theiler: int | None
    horizon: int | None
    references: int | None


@dataclass(frozen=True, slots=True)
class _Setup:
    dimension: int
    lag: int
    theiler: int
    horizon: int
    interval: float
    references: int


def lyapunov_rosenstein(
    x: ArrayLike,
    *,
    dimension: int | None = None,
    lag: int | None = None,
    theiler: int | None = None,
    horizon: int | None = None,
    references: int | None = None,
    sample_interval: float = 1.0,
) -> Lyapunov:
    """The largest exponent of `x` per unit of `sample_interval`; invariant to scale and offset.

    Left out: lag by autocorrelation, dimension 3 (lag 1) or 5, Theiler window one mean period,
    horizon twelve (samples both), all vectors as references. A constant or too short series
    gives exponent None and the `problem`; invalid values or parameters raise ValueError.
    """
    series = as_series(x)
    if not (np.isfinite(sample_interval) and sample_interval > 0):
        raise ValueError(f"sample_interval is {sample_interval}; pass a positive time per sample")
    given = _Given(
        dimension=_optional(dimension, "dimension", 1),
        lag=_optional(lag, "lag", 1),
        theiler=_optional(theiler, "theiler", 0),
        horizon=_optional(horizon, "horizon", 1),
        references=_optional(references, "references", 1),
    )
    standard = standardise(series)
    if not standard.any():
        return _without(_Setup(1, 1, 0, 0, sample_interval, 0), "the series is constant")
    return _estimate(standard, _complete(given, standard, float(sample_interval)))


def _optional(value: int | None, name: str, minimum: int) -> int | None:
    return None if value is None else as_count(value, name, minimum)


def _complete(given: _Given, standard: Floats, interval: float) -> _Setup:
    """What was not given, chosen from the series."""
    period = mean_period(standard)
    lag = given.lag or choose_lag(standard)
    spare = int(min(np.ceil(period), standard.size // 8))
    return _Setup(
        dimension=given.dimension or (3 if lag == 1 else 5),
        lag=lag,
        theiler=spare if given.theiler is None else given.theiler,
        horizon=given.horizon or int(min(standard.size // 4, max(30.0, 12 * period))),
        interval=interval,
        references=given.references or standard.size,
    )


def mean_period(standard: Floats) -> float:
    """Samples per cycle at the centre of gravity of the power spectrum; at least 2."""
    power = np.abs(np.fft.rfft(standard * np.hanning(standard.size))) ** 2
    total = float(power.sum())
    moment = float(power @ np.arange(power.size)) / standard.size
    return max(2.0, total / moment) if moment > 0 else float(standard.size)


def _estimate(standard: Floats, setup: _Setup) -> Lyapunov:
    usable = standard.size - (setup.dimension - 1) * setup.lag - setup.horizon
    if usable < max(20, 2 * setup.theiler + 2):
        return _without(
            setup,
            f"{standard.size} samples are too few for dimension {setup.dimension}, "
            f"lag {setup.lag}, Theiler window {setup.theiler} and horizon {setup.horizon}",
        )
    vectors = delay_embed(standard, setup.dimension, setup.lag)
    chosen = np.unique(np.linspace(0, usable - 1, min(setup.references, usable)).astype(np.int64))
    partners, squared = nearest_apart(vectors, chosen, usable, setup.theiler)
    distinct = squared > EXACT
    if distinct.sum() < max(16, chosen.size // 5):
        return _repeated(vectors, np.stack([chosen, partners], axis=1)[~distinct], setup)
    both = np.stack([chosen, partners], axis=1)
    kept = both[distinct & (squared <= _reach(squared[distinct]))]
    steps = np.arange(0, setup.horizon + 1, max(1, setup.horizon // STEPS), dtype=np.int64)
    ceiling = unrelated(vectors[:usable]) - SATURATION_MARGIN
    later = setup.dimension * setup.lag
    memory = determinism(vectors, both[distinct], squared[distinct], later)
    return _fit(follow(vectors, kept, steps, flow=setup.lag > 1), ceiling, setup, memory)


def _repeated(vectors: Floats, pairs: Integers, setup: _Setup) -> Lyapunov:
    """Equal states: of a cycle if they stay equal, of noise or coarse values if they part."""
    later = min(setup.dimension * setup.lag, setup.horizon)
    after = np.sum((vectors[pairs[:, 0] + later] - vectors[pairs[:, 1] + later]) ** 2, axis=1)
    parted = float(np.mean(after)) / (2 * setup.dimension)
    if parted < 1e-6:
        return _flat(setup, "the series repeats exactly")
    result = _without(setup, "equal states have different futures: noise, or values too coarse")
    return replace(result, determinism=float(np.clip(1 - parted, 0.0, 1.0)))


def _reach(squared: Floats) -> float:
    """The largest squared distance of a pair that is followed."""
    wanted = max(ENOUGH_PAIRS, squared.size // 2)
    return float(
        np.inf if squared.size <= wanted else np.partition(squared, wanted - 1)[wanted - 1]
    )


def _fit(curves: Curves, ceiling: float, setup: _Setup, memory: float) -> Lyapunov:
    if curves.counts.sum(axis=0).min() < BLOCKS:
        return _flat(setup, "the series repeats exactly")
    curve = curves.mean()
    times: Floats = curves.steps.astype(np.float64) * setup.interval
    first = min(
        int(np.searchsorted(curves.steps, (setup.dimension - 1) * setup.lag)), curve.size - 2
    )
    start, stop = straightest(curves, first, ceiling)
    rise = curve[stop] - curve[start] if start >= 0 else 0.0
    problem = ""
    if rise < MINIMUM_RISE:
        start, stop = first, curve.size - 1
        if curve[first] > ceiling:
            problem = STRANGERS
        elif abs(curve[stop] - curve[first]) >= MINIMUM_RISE:
            problem = "no straight part: the distances change, but not exponentially"
    window = slice(start, stop + 1)
    slope, residual, r_squared = fit_line(times[window], curve[window])
    spread = _T95 * jackknife(times[window], curves, window)
    if rise < MINIMUM_RISE and not problem:
        slope = (
            0.0 if abs(slope) * (times[stop] - times[start]) <= max(0.1, 3 * residual) else slope
        )
    known = not problem
    return Lyapunov(
        exponent=slope if known else None,
        low=slope - spread if known else None,
        high=slope + spread if known else None,
        fit_start=float(times[start]),
        fit_stop=float(times[stop]),
        r_squared=r_squared,
        rise=float(curve[stop] - curve[start]),
        determinism=memory,
        pairs=int(curves.counts[:, 0].sum()),
        dimension=setup.dimension,
        lag=setup.lag,
        theiler=setup.theiler,
        times=tuple(times.tolist()),
        curve=tuple(curve.tolist()),
        problem=problem,
    )


def _without(setup: _Setup, problem: str) -> Lyapunov:
    return _bare(setup, None, problem)


def _flat(setup: _Setup, problem: str) -> Lyapunov:
    """Exact repetition: neighbours stay together for ever, so nothing diverges."""
    return _bare(setup, 0.0, problem)


def _bare(setup: _Setup, exponent: float | None, problem: str) -> Lyapunov:
    return Lyapunov(
        exponent=exponent,
        low=exponent,
        high=exponent,
        fit_start=0.0,
        fit_stop=0.0,
        r_squared=0.0,
        rise=0.0,
        determinism=0.0 if exponent is None else 1.0,
        pairs=0,
        dimension=setup.dimension,
        lag=setup.lag,
        theiler=setup.theiler,
        times=(),
        curve=(),
        problem=problem,
    )
