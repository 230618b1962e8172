"""Scaling exponents: how ranges and fluctuations grow with the length of the window."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels.compile import jit
from kernels.lines import fit_line
from kernels.series import Floats, Integers, as_count, as_series, standardise

SHORTEST = 32
"""Samples; below this no two window lengths give a slope worth the name."""

MOST_SIZES = 1000
"""Window lengths of a fit; each costs a pass over the series."""


def hurst_rs(x: ArrayLike, sizes: ArrayLike | None = None, *, corrected: bool = True) -> float:
    """The Hurst exponent by rescaled ranges (Hurst 1951): 0.5 for independent increments.

    `x` are the increments, not their sum. Left out, `sizes` are 15 window lengths spread
    logarithmically over the middle quarter of ln n. `corrected` subtracts
    what short windows of white noise give (Anis & Lloyd 1976). Raises ValueError for a series
    that is constant or too short.
    """
    series = as_series(x, minimum=SHORTEST)
    standard = standardise(series)
    wanted = _default_range_sizes(series.size) if sizes is None else _as_sizes(sizes, series.size)
    values = _rescaled_ranges(standard, wanted)
    known = values > 0
    _check_known(known)
    logs = np.log(values[known])
    if corrected:
        logs -= np.log([_expected_range(int(size)) for size in wanted[known]])
    slope, _, _ = fit_line(np.log(wanted[known]), logs)
    return slope + 0.5 if corrected else slope


def dfa(
    x: ArrayLike, sizes: ArrayLike | None = None, *, order: int = 1, overlap: bool = True
) -> float:
    """The exponent of detrended fluctuation analysis (Peng et al. 1994): 0.5 for white noise.

    Polynomials of `order` 1 to 3 are taken out of windows of the summed series; windows overlap
    by half, or not. Left out, `sizes` grow by a fifth from 4 to a tenth of the series. Raises
    ValueError for a series that is constant or too short.
    """
    series = as_series(x, minimum=SHORTEST)
    order = as_count(order, "order", 1)
    if order > 3:
        raise ValueError(f"order is {order}; pass 1, 2 or 3")
    wanted = (
        _default_trend_sizes(series.size, order) if sizes is None else _as_sizes(sizes, series.size)
    )
    if wanted[0] <= order + 1:
        raise ValueError(f"sizes begin at {wanted[0]}; order {order} needs at least {order + 2}")
    walk = np.cumsum(standardise(series))
    fluctuations = np.array(
        [_fluctuation(walk, _trends(int(size), order), int(overlap)) for size in wanted]
    )
    known = fluctuations > 0
    _check_known(known)
    return fit_line(np.log(wanted[known]), np.log(fluctuations[known]))[0]


def _check_known(known: NDArray[np.bool_]) -> None:
    if known.sum() < 2:
        raise ValueError(
            "x is constant, or is so in nearly all windows: nothing grows with their length; "
            "pass a series that varies"
        )


def _as_sizes(sizes: ArrayLike, samples: int) -> Integers:
    given = as_series(sizes, "sizes", 2)
    wanted = np.unique(given.astype(np.int64))
    if wanted.size < 2 or wanted[0] < 2 or wanted[-1] >= samples or np.any(given % 1):
        raise ValueError(
            f"sizes must be at least two different whole numbers from 2 to {samples - 1}"
        )
    if wanted.size > MOST_SIZES:
        raise ValueError(f"{wanted.size} sizes are more than {MOST_SIZES}; pass fewer")
    return wanted


def _default_range_sizes(samples: int) -> Integers:
    """Fifteen lengths over the middle quarter of ln n: shorter ones are biased, longer scatter."""
    span = math.log(samples)
    sizes = np.exp(span * (0.375 + 0.25 * np.arange(15) / 15))
    return np.unique(sizes.round().astype(np.int64))


def _default_trend_sizes(samples: int, order: int) -> Integers:
    shortest = max(4, order + 2)
    largest = max(2.0 * shortest, 0.1 * samples)
    steps = np.arange(int(math.log(largest / shortest) / math.log(1.2)) + 1)
    return np.unique(np.floor(shortest * 1.2**steps).astype(np.int64))


def _expected_range(size: int) -> float:
    """What white noise gives on average (Anis & Lloyd, with Peters' factor for short windows)."""
    i = np.arange(1, size)
    gamma = math.exp(math.lgamma((size - 1) / 2) - math.lgamma(size / 2)) / math.sqrt(math.pi)
    return (size - 0.5) / size * gamma * float(np.sqrt((size - i) / i).sum())


def _trends(size: int, order: int) -> Floats:
    """Orthonormal polynomials over a window, one per row: projecting on them fits the trend."""
    t = np.linspace(-1.0, 1.0, size)
    basis: NDArray[np.float64] = np.linalg.qr(np.vander(t, order + 1, increasing=True))[0].T
    return np.ascontiguousarray(basis)


@jit
def _rescaled_ranges(x: Floats, sizes: Integers) -> Floats:
    """Mean range of the summed deviations over the standard deviation, per window length."""
    means = np.zeros(sizes.size)
    for s in range(sizes.size):
        size = sizes[s]
        total = 0.0
        used = 0
        for window in range(x.size // size):
            start = window * size
            mean = 0.0
            for i in range(start, start + size):
                mean += x[i]
            mean /= size
            walk = square = 0.0
            high = -np.inf
            low = np.inf
            for i in range(start, start + size):
                deviation = x[i] - mean
                walk += deviation
                square += deviation * deviation
                if walk > high:
                    high = walk
                if walk < low:
                    low = walk
            # A window of equal samples has no range to rescale; 1e-24 is rounding, squared.
            if square > 1e-24 * size:
                total += (high - low) / np.sqrt(square / (size - 1))
                used += 1
        if used > 0:
            means[s] = total / used
    return means


@jit
def _fluctuation(walk: Floats, trends: Floats, overlap: int) -> float:
    """Root mean square of the walk less its trend in each window (half overlapping, or not)."""
    size = trends.shape[1]
    step = size // 2 if overlap else size
    windows = 0
    total = 0.0
    last = walk.size - size - (1 if overlap else 0)
    start = 0
    while start <= last:
        # From the first sample: the sum of a long walk squared would drown the residual.
        origin = walk[start]
        square = 0.0
        for i in range(size):
            value = walk[start + i] - origin
            square += value * value
        for p in range(trends.shape[0]):
            part = 0.0
            for i in range(size):
                part += trends[p, i] * (walk[start + i] - origin)
            square -= part * part
        total += max(0.0, square) / size
        windows += 1
        start += step
    return np.sqrt(total / windows) if windows > 0 else 0.0
