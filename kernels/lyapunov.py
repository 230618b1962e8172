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

from kernels.compile import jit
from kernels.delay import choose_lag, delay_embed
from kernels.neighbours import nearest_apart
from kernels.series import Floats, Integers, as_series, standardise

SATURATION_MARGIN = 1.0
"""Nats below the distance of unrelated vectors where the slope is still that of the linear part."""

SCATTER_FLOOR = 0.02
"""Nats; below this, a smaller residual no longer speaks for a window against a longer one."""

MINIMUM_RISE = 0.5
"""Nats; a smaller rise cannot be told from the scatter of a curve of a thousand pairs."""

STRANGERS = "neighbours are strangers at once: noise, or too few samples for this dimension"

BLOCKS = 16
STEPS = 80
_SHORTEST = 5
"""Points in a fit window: fewer make a line of any curve."""

ENOUGH_PAIRS = 6000
"""With more pairs than this only the closest third is kept: the others saturate too early."""

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
class _Curves:
    """Per block of pairs (rows) and step (columns): sums of ln distance and how many they are."""

    steps: Integers
    sums: Floats
    counts: Integers

    def mean(self) -> Floats:
        mean: Floats = self.sums.sum(axis=0) / self.counts.sum(axis=0)
        return mean


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
    given = {"dimension": dimension, "lag": lag, "horizon": horizon, "references": references}
    for name, value in given.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    if theiler is not None and theiler < 0:
        raise ValueError(f"theiler is {theiler}; it must be at least 0 samples")
    standard = standardise(series)
    if not standard.any():
        return _without(_Setup(1, 1, 0, 0, sample_interval, 0), "the series is constant")
    tau = lag or choose_lag(series)
    period = mean_period(standard)
    setup = _Setup(
        dimension=dimension or (3 if tau == 1 else 5),
        lag=tau,
        theiler=theiler if theiler is not None else int(min(np.ceil(period), series.size // 8)),
        horizon=horizon or int(min(series.size // 4, max(30.0, 12 * period))),
        interval=float(sample_interval),
        references=references or series.size,
    )
    return _estimate(standard, setup)


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
    distinct = squared > _EXACT
    if distinct.sum() < max(16, chosen.size // 5):
        return _repeated(vectors, np.stack([chosen, partners], axis=1)[~distinct], setup)
    both = np.stack([chosen, partners], axis=1)
    kept = both[distinct & (squared <= _reach(squared[distinct]))]
    steps = np.arange(0, setup.horizon + 1, max(1, setup.horizon // STEPS), dtype=np.int64)
    sums, counts = _divergence(vectors, kept, steps, BLOCKS)
    ceiling = _unrelated(vectors[:usable]) - SATURATION_MARGIN
    later = setup.dimension * setup.lag
    memory = _determinism(vectors, both[distinct], squared[distinct], later)
    return _fit(_Curves(steps, sums, counts), ceiling, setup, memory)


_EXACT = 1e-26
"""Squared distance, in standard deviations, below which two vectors are equal up to rounding."""


def _repeated(vectors: Floats, pairs: Integers, setup: _Setup) -> Lyapunov:
    """Equal states: of a cycle if they stay equal, of noise or coarse values if they part."""
    later = setup.dimension * setup.lag
    after = np.sum((vectors[pairs[:, 0] + later] - vectors[pairs[:, 1] + later]) ** 2, axis=1)
    parted = float(np.mean(after)) / (2 * setup.dimension)
    if parted < 1e-6:
        return _flat(setup, "the series repeats exactly")
    result = _without(setup, "equal states have different futures: noise, or values too coarse")
    return replace(result, determinism=float(np.clip(1 - parted, 0.0, 1.0)))


def _reach(squared: Floats) -> float:
    """The largest squared distance of a pair that is followed."""
    wanted = max(ENOUGH_PAIRS, squared.size // 3)
    return float(
        np.inf if squared.size <= wanted else np.partition(squared, wanted - 1)[wanted - 1]
    )


def _unrelated(vectors: Floats) -> float:
    """Mean ln distance of vectors unrelated in time: where divergence curves saturate."""
    count = len(vectors)
    size = min(count, 2000)
    first = (np.arange(size) * 7919) % count
    second = (np.arange(size) * 104729 + count // 2) % count
    squared = np.sum((vectors[first] - vectors[second]) ** 2, axis=1)
    squared = squared[squared > _EXACT]
    return float(0.5 * np.log(squared).mean()) if squared.size else 0.0


def _determinism(vectors: Floats, pairs: Integers, before: Floats, later: int) -> float:
    """Slope of ln distance, `later` samples on, on ln distance now; clipped to [-1, 1]."""
    inside = pairs.max(axis=1) + later < len(vectors)
    pairs, before = pairs[inside], before[inside]
    if len(pairs) < 16:
        return 0.0
    gaps = vectors[pairs[:, 0] + later] - vectors[pairs[:, 1] + later]
    after = np.sum(gaps * gaps, axis=1)
    known = after > _EXACT
    spread = np.log(before[known])
    spread -= spread.mean()
    weight = float(spread @ spread)
    return float(np.clip(spread @ np.log(after[known]) / weight, -1.0, 1.0)) if weight > 0 else 0.0


def _fit(curves: _Curves, ceiling: float, setup: _Setup, memory: float) -> Lyapunov:
    if curves.counts.sum(axis=0).min() < BLOCKS:
        return _flat(setup, "the series repeats exactly")
    curve = curves.mean()
    times: Floats = curves.steps.astype(np.float64) * setup.interval
    first = min(
        int(np.searchsorted(curves.steps, (setup.dimension - 1) * setup.lag)), curve.size - 2
    )
    start, stop = _straightest(curves.steps.astype(np.float64), curve, first, ceiling, _SHORTEST)
    rise = curve[stop] - curve[start] if start >= 0 else 0.0
    problem = ""
    if rise < MINIMUM_RISE:
        start, stop = first, curve.size - 1
        if curve[first] > ceiling:
            problem = STRANGERS
        elif abs(curve[stop] - curve[first]) >= MINIMUM_RISE:
            problem = "no straight part: the distances change, but not exponentially"
    window = slice(start, stop + 1)
    slope, residual, r_squared = _line(times[window], curve[window])
    spread = _T95 * _jackknife(times[window], curves, window)
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


def _line(times: Floats, curve: Floats) -> tuple[float, float, float]:
    """Slope, root mean squared residual and R squared of the least-squares line."""
    t, c = times - times.mean(), curve - curve.mean()
    slope = float(t @ c / (t @ t))
    residual = c - slope * t
    total = float(c @ c)
    return (
        slope,
        float(np.sqrt(residual @ residual / t.size)),
        1 - float(residual @ residual) / total if total else 1.0,
    )


def _jackknife(times: Floats, curves: _Curves, window: slice) -> float:
    """Standard error of the slope, from refits with one block of pairs left out each."""
    kept_sums = (curves.sums.sum(axis=0) - curves.sums)[:, window]
    kept_counts = (curves.counts.sum(axis=0) - curves.counts)[:, window]
    t = times - times.mean()
    slopes = (kept_sums / np.maximum(kept_counts, 1)) @ t / (t @ t)
    return float(np.sqrt((BLOCKS - 1) / BLOCKS * np.sum((slopes - slopes.mean()) ** 2)))


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


@jit
def _divergence(
    vectors: Floats, pairs: Integers, steps: Integers, blocks: int
) -> tuple[Floats, Integers]:
    """Per block of pairs and step: the sum of ln distance, and how many distances were not zero.

    Eight squared distances are multiplied before one logarithm is taken: each lies between
    1e-26 and about 1e6, so the product neither under- nor overflows.
    """
    sums = np.zeros((blocks, steps.size))
    counts = np.zeros((blocks, steps.size), np.int64)
    products = np.ones(steps.size)
    count = pairs.shape[0]
    dimension = vectors.shape[1]
    for block in range(blocks):
        start = block * count // blocks
        stop = (block + 1) * count // blocks
        products[:] = 1.0
        for p in range(start, stop):
            flush = (p - start) % 8 == 7 or p == stop - 1
            for s in range(steps.size):
                i = pairs[p, 0] + steps[s]
                j = pairs[p, 1] + steps[s]
                squared = 0.0
                for d in range(dimension):
                    difference = vectors[i, d] - vectors[j, d]
                    squared += difference * difference
                if squared > 1e-26:
                    products[s] *= squared
                    counts[block, s] += 1
                if flush:
                    sums[block, s] += 0.5 * np.log(products[s])
                    products[s] = 1.0
    return sums, counts


@jit
def _straightest(
    times: Floats, curve: Floats, first: int, ceiling: float, shortest: int
) -> tuple[int, int]:
    """First and last index of the window with the best rise per scatter; (-1, -1) if none rises."""
    best = 0.0
    start = stop = -1
    for a in range(first, times.size - shortest + 1):
        count = 0.0
        mean_t = mean_c = var_t = var_c = cov = 0.0
        for b in range(a, times.size):
            if curve[b] > ceiling:
                break
            count += 1.0
            step_t = times[b] - mean_t
            step_c = curve[b] - mean_c
            mean_t += step_t / count
            mean_c += step_c / count
            var_t += step_t * (times[b] - mean_t)
            var_c += step_c * (curve[b] - mean_c)
            cov += step_t * (curve[b] - mean_c)
            if b - a + 1 < shortest or cov <= 0.0:
                continue
            slope = cov / var_t
            residual = np.sqrt(max(0.0, var_c - slope * cov) / count)
            score = slope * (times[b] - times[a]) / (residual + 0.02)
            if score > best:
                best = score
                start = a
                stop = b
    return start, stop
