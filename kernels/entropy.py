"""Entropies: how many patterns a series uses, and how surely one that recurs goes on alike."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from kernels.compile import jit
from kernels.series import Floats, Integers, as_count, as_series, standardise

LARGEST_ORDER = 8
"""8! = 40 320 patterns; counting more needs millions of samples."""

MOST_COMPARED = 50_000
"""Samples of which all pairs are compared: a second or two when all are alike."""

MOST_DIMENSION = 100
"""Samples of a stretch."""


def permutation_entropy(
    x: ArrayLike, order: int = 3, delay: int = 1, *, normalize: bool = True
) -> float:
    """Shannon entropy of ordinal patterns (Bandt & Pompe 2002): share of log2(order!), or bits.

    Equal samples count as rising, so a constant series has one pattern and entropy 0.
    Raises ValueError for order outside 2..8, delay < 1, or no whole pattern in the series.
    """
    order = as_count(order, "order", 2)
    if order > LARGEST_ORDER:
        raise ValueError(f"order is {order}; pass at most {LARGEST_ORDER}")
    delay = as_count(delay, "delay", 1)
    series = as_series(x, minimum=(order - 1) * delay + 1)
    counts = _count_patterns(series, order, delay, math.factorial(order))
    shares = counts[counts > 0] / counts.sum()
    bits = float(-(shares @ np.log2(shares))) + 0.0
    return bits / math.log2(math.factorial(order)) if normalize else bits


def sample_entropy(x: ArrayLike, dimension: int = 2, radius: float = 0.2, lag: int = 1) -> float:
    """-ln of the chance that stretches alike for `dimension` samples are alike for one more.

    Alike is at most `radius` standard deviations apart in every sample (Richman & Moorman 2000).
    Infinite when no stretch that recurs goes on alike; 0 for a constant series. Raises ValueError
    for fewer than dimension * lag + 2 samples, more than 50 000, or a dimension above 100.
    """
    size, tau = _as_dimension(dimension), as_count(lag, "lag", 1)
    standard = standardise(as_series(x, minimum=size * tau + 2))
    return _entropy_of(_as_small(standard), size, tau, _as_radius(radius))


def multiscale_entropy(
    x: ArrayLike, scales: int = 20, dimension: int = 2, radius: float = 0.2
) -> Floats:
    """Sample entropy at scale 1 to `scales`, shape (scales,) (Costa, Goldberger & Peng 2002).

    At scale s the means of s neighbouring samples are looked at, within `radius` standard
    deviations of the whole series. Infinite where nothing recurs. The coarsest scale needs
    dimension + 2 samples.
    """
    most, size = as_count(scales, "scales", 1), _as_dimension(dimension)
    standard = _as_small(standardise(as_series(x, minimum=most * (size + 2))))
    reach = _as_radius(radius)
    coarse = [
        standard[: standard.size // s * s].reshape(-1, s).mean(axis=1) for s in range(1, most + 1)
    ]
    return np.array([_entropy_of(series, size, 1, reach) for series in coarse])


def _entropy_of(standard: Floats, dimension: int, lag: int, radius: float) -> float:
    # Distances that equal the radius but for rounding count as within it, in every unit.
    longer, alike = _count_alike(standard, dimension, lag, radius * (1 + 1e-9) + 1e-12)
    return -math.log(longer / alike) + 0.0 if longer else math.inf


def _as_dimension(dimension: int) -> int:
    size = as_count(dimension, "dimension", 1)
    if size > MOST_DIMENSION:
        raise ValueError(f"dimension is {size}; pass at most {MOST_DIMENSION}")
    return size


def _as_radius(radius: float) -> float:
    reach = float(radius)
    if not (math.isfinite(reach) and reach > 0):
        raise ValueError(f"radius is {radius}; pass a positive number of standard deviations")
    return reach


def _as_small(standard: Floats) -> Floats:
    if standard.size > MOST_COMPARED:
        raise ValueError(
            f"x has {standard.size} samples, at most {MOST_COMPARED} are compared pair by pair; "
            "cut it into windows"
        )
    return standard


def fitting_order(samples: int) -> int:
    """The largest order from 3 to 5 whose patterns are seen five times each on average."""
    return 5 if samples >= 600 else 4 if samples >= 120 else 3


@jit
def _count_patterns(x: Floats, order: int, delay: int, patterns: int) -> Integers:
    """Each window's rank among all orders by its Lehmer code: digits of smaller later samples."""
    counts = np.zeros(patterns, np.int64)
    for i in range(x.size - (order - 1) * delay):
        code = 0
        for a in range(order - 1):
            smaller = 0
            for b in range(a + 1, order):
                if x[i + b * delay] < x[i + a * delay]:
                    smaller += 1
            code = code * (order - a) + smaller
        counts[code] += 1
    return counts


@jit
def _count_alike(x: Floats, dimension: int, lag: int, radius: float) -> tuple[int, int]:
    """Pairs of stretches within the radius over `dimension` + 1 samples, and over `dimension`.

    Sorted by their first sample, a stretch is compared only with those that follow it until the
    first samples alone are too far apart.
    """
    count = x.size - dimension * lag
    order = np.argsort(x[:count])
    points = np.empty((count, dimension + 1))
    for p in range(count):
        for d in range(dimension + 1):
            points[p, d] = x[order[p] + d * lag]
    longer = alike = 0
    for p in range(count - 1):
        for q in range(p + 1, count):
            if points[q, 0] - points[p, 0] > radius:
                break
            within = 1
            for d in range(1, dimension):
                if abs(points[q, d] - points[p, d]) > radius:
                    within = 0
                    break
            alike += within
            if within and abs(points[q, dimension] - points[p, dimension]) <= radius:
                longer += 1
    return longer, alike
