"""The correlation dimension: how fast the share of close pairs grows with what counts as close.

Grassberger & Procaccia (1983): C(r) ~ r^D for small r, over pairs more than a Theiler window
apart in time (Theiler 1986). The straight part of ln C over ln r is found, not assumed: below it
there are too few pairs, above it the attractor is seen whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kernels.compile import jit
from kernels.delay import choose_lag, fitting_dimension, mean_period
from kernels.lines import fit_line, line_coefficients, straightest
from kernels.series import Floats, Integers, as_count, as_series, standardise

FEWEST_ENCOUNTERS = 50
"""Times the mean period: close pairs at the smallest radius. A close pair of orbits stays close
for about a period, so the pairs of one encounter say one thing."""

LARGEST_SHARE = 0.02
"""Share of all pairs at the largest radius: beyond it the edge of the attractor is felt."""

CORRELATED = 0.7
"""Nats of radius over which local slopes go together: what one independent slope needs."""

SHORTEST_WINDOW = 0.5
"""Nats of radius; a shorter straight part is chance."""

STEP = 0.1
"""Distance of neighbouring radii in nats."""

MOST_REFERENCES = 2000
"""Vectors compared with all others, unless radii are given; more only cost time."""

MOST_DIFFERENCES = 100_000_000_000
"""References times vectors times dimension, about a minute: a kernel cannot be interrupted."""

DEPTH = 10.0
"""Nats below the largest radius that are looked at."""

_COARSE = 48
"""References for a first look at which radii matter."""


@dataclass(frozen=True, slots=True)
class CorrelationDimension:
    """The estimate, its 95 % interval and window of radii (standard deviations of the series).

    `dimension` is None when nothing can be measured; `problem` says why. `radii` and `sums` are
    the curve: the share of pairs that are closer than each radius.
    """

    dimension: float | None
    low: float | None
    high: float | None
    fit_window: tuple[float, float] | None
    r_squared: float
    embedding_dimension: int
    lag: int
    theiler: int
    radii: tuple[float, ...]
    sums: tuple[float, ...]
    problem: str = ""

    def __float__(self) -> float:
        if self.dimension is None:
            raise ValueError(f"there is no correlation dimension: {self.problem}")
        return self.dimension


def correlation_dimension(
    x: ArrayLike,
    *,
    dimension: int | None = None,
    lag: int | None = None,
    theiler: int | None = None,
    radii: ArrayLike | None = None,
    references: int | None = None,
) -> CorrelationDimension:
    """The dimension of the set that the delay vectors of `x` lie on; scale and offset cancel.

    Left out: lag by autocorrelation, dimension 3 (lag 1) or 5, Theiler window one mean period,
    radii from the smallest distances on. With `radii` (in standard deviations) all of them are
    fitted, as nolds does, and all vectors are references. Distances are Euclidean. Raises
    ValueError for bad values and for more work than about a minute's.
    """
    standard = standardise(as_series(x))
    found = choose_lag(standard) if lag is None and standard.size > 1 else 1
    tau = found if lag is None else as_count(lag, "lag", 1)
    size = fitting_dimension(tau) if dimension is None else as_count(dimension, "dimension", 1)
    count = standard.size - (size - 1) * tau
    period = int(min(np.ceil(mean_period(standard)), max(standard.size // 8, 1)))
    window = period if theiler is None else as_count(theiler, "theiler", 0)
    wanted = _as_radii(radii)
    usual = MOST_REFERENCES if radii is None else max(count, 1)
    most = usual if references is None else as_count(references, "references", 1)
    if not standard.any():
        return _without(size, tau, window, "the series is constant")
    if count - window < 32:
        return _without(
            size,
            tau,
            window,
            f"{standard.size} samples are too few for dimension {size}, lag {tau} and "
            f"Theiler window {window}",
        )
    if min(most, count) * count * size > MOST_DIFFERENCES:
        raise ValueError(
            f"{min(most, count)} references among {count} vectors of dimension {size} take too "
            "long; pass fewer references, or a shorter series"
        )
    chosen = np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64))
    if wanted is None:
        return _search(standard, (size, tau, window), chosen, period)
    sums = correlation_sums(standard, (size, tau, window), chosen, wanted)
    known = sums > 0
    if known.sum() < 2:
        return _without(size, tau, window, "fewer than two radii hold any pair of vectors")
    return _result((size, tau, window), wanted[known], sums[known], None)


def _search(
    standard: Floats, shape: tuple[int, int, int], references: Integers, period: float
) -> CorrelationDimension:
    """Radii between the two bounds of the share of pairs, then the straight part among them."""
    coarse = np.exp(np.arange(np.log(1e-6), np.log(20.0), 2 * STEP))
    few = references[:: max(1, references.size // _COARSE)].copy()  # contiguous again
    shares = correlation_sums(standard, shape, few, coarse)
    # The first look is rough, so one step more; pairs further apart cost most of the time.
    top = np.log(coarse[min(int(np.searchsorted(shares, LARGEST_SHARE)) + 1, coarse.size - 1)])
    radii = np.exp(np.arange(top - DEPTH, top, STEP))
    sums = correlation_sums(standard, shape, references, radii)
    count = standard.size - (shape[0] - 1) * shape[1]
    pairs = references.size * count / (2 if references.size == count else 1)
    enough = sums >= min(FEWEST_ENCOUNTERS * period / pairs, LARGEST_SHARE / 3)
    return _result(shape, radii[enough], sums[enough], np.log(LARGEST_SHARE))


def _result(
    shape: tuple[int, int, int], radii: Floats, sums: Floats, ceiling: float | None
) -> CorrelationDimension:
    """The slope over all radii, or with a `ceiling` of ln C over the straight part below it."""
    if radii.size < 3:
        return _without(*shape, "too few pairs of vectors are close: pass a longer series")
    x, y = np.log(radii), np.log(sums)
    start, stop = 0, radii.size - 1
    coefficients = line_coefficients(x, start, stop)
    if ceiling is not None:
        line = straightest(x, y, 0, ceiling)
        if line is None or x[line.stop] - x[line.start] < SHORTEST_WINDOW:
            return _without(*shape, "no straight part: the series is too short or too noisy")
        start, stop, coefficients = line.start, line.stop, line.coefficients
    window = slice(start, stop + 1)
    _, _, r_squared = fit_line(x[window], y[window])
    slope = float(coefficients @ y)
    local = np.diff(y[window]) / np.diff(x[window])
    spread = 2.0 * float(local.std()) / np.sqrt(max(1.0, (x[stop] - x[start]) / CORRELATED))
    return CorrelationDimension(
        dimension=slope,
        low=slope - spread,
        high=slope + spread,
        fit_window=(float(radii[start]), float(radii[stop])),
        r_squared=r_squared,
        embedding_dimension=shape[0],
        lag=shape[1],
        theiler=shape[2],
        radii=tuple(radii.tolist()),
        sums=tuple(sums.tolist()),
    )


def _without(size: int, lag: int, theiler: int, problem: str) -> CorrelationDimension:
    return CorrelationDimension(None, None, None, None, 0.0, size, lag, theiler, (), (), problem)


def _as_radii(radii: ArrayLike | None) -> Floats | None:
    if radii is None:
        return None
    wanted = as_series(radii, "radii", 2)
    if wanted[0] <= 0 or np.any(np.diff(wanted) <= 0):
        raise ValueError("radii must be positive and ascend; sort them and drop repeated ones")
    return wanted


def correlation_sums(
    standard: Floats, shape: tuple[int, int, int], references: Integers, radii: Floats
) -> Floats:
    """The share of pairs (reference, any vector) at most each radius apart; `radii` ascend.

    `shape` is (dimension, lag, Theiler window): pairs of at most that many samples are left out.
    """
    size, lag, window = shape
    count = standard.size - (size - 1) * lag
    half = 1 if references.size == count else 0
    close, pairs = _count_pairs(standard, size, lag, window, references, radii * radii, half)
    shares: Floats = np.cumsum(close)[:-1] / max(pairs, 1)
    return shares


@jit
def _count_pairs(
    x: Floats,
    dimension: int,
    lag: int,
    theiler: int,
    references: Integers,
    squared_radii: Floats,
    half: int,
) -> tuple[Integers, int]:
    """How many pairs fall between neighbouring radii, and how many were looked at.

    With `half` (all vectors are references) each pair is counted once. The distances of one
    reference to all others are a sum over shifted copies of the series, which vectorises.
    """
    count = x.size - (dimension - 1) * lag
    radii = squared_radii.size
    close = np.zeros(radii + 1, np.int64)
    squared = np.empty(count)
    largest = squared_radii[radii - 1]
    pairs = 0
    for r in range(references.size):
        i = references[r]
        low = i + theiler + 1 if half else 0
        if low >= count:
            continue
        row = squared[: count - low]
        row[:] = 0.0
        for d in range(dimension):
            value = x[i + d * lag]
            others = x[low + d * lag : count + d * lag]
            for j in range(row.size):
                difference = others[j] - value
                row[j] += difference * difference
        for j in range(row.size):
            if row[j] > largest:
                continue
            if abs(i - j - low) <= theiler:
                continue
            first, last = 0, radii - 1
            while first < last:
                middle = (first + last) // 2
                if row[j] <= squared_radii[middle]:
                    last = middle
                else:
                    first = middle + 1
            close[first] += 1
        pairs += count - low
        if not half:
            pairs -= min(count, i + theiler + 1) - max(0, i - theiler)
    return close, pairs
