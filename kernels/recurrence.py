"""Recurrence quantification: how often, and for how long, a trajectory comes back to itself.

A recurrence is a pair of delay vectors closer than a radius. Diagonal lines of the (never stored)
recurrence matrix are stretches that run alike, vertical lines states that last (Marwan et al.
2007). The matrix is symmetric, so its upper triangle says all; every pair is looked at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kernels.compile import jit
from kernels.delay import choose_lag, fitting_dimension
from kernels.series import Floats, Integers, as_count, as_series, standardise

RADIUS = 0.2
"""Standard deviations per coordinate."""

MOST_VECTORS = 50_000
"""1.25e9 pairs, some seconds; longer recordings are to be cut."""

MOST_DIFFERENCES = 100_000_000_000
"""Pairs times dimension, about a minute."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Shares lie in 0..1, lengths in samples, ENTR in nats; all are 0 when nothing recurs."""

    RR: float
    """Recurrence rate: the share of pairs that are recurrences."""
    DET: float
    """Determinism: the share of recurrences on diagonal lines."""
    L: float
    """Mean length of diagonal lines."""
    Lmax: int
    """Length of the longest."""
    ENTR: float
    """Shannon entropy of the lengths of diagonal lines."""
    LAM: float
    """Laminarity: the share of recurrences on vertical lines."""
    TT: float
    """Trapping time: the mean length of vertical lines."""
    radius: float
    """In standard deviations of the series, between vectors."""
    dimension: int
    lag: int
    theiler: int


def recurrence(
    x: ArrayLike,
    *,
    dimension: int | None = None,
    lag: int | None = None,
    radius: float | None = None,
    theiler: int = 1,
    shortest: int = 2,
) -> Recurrence:
    """Quantify the recurrences of `x` within `radius` standard deviations (Euclidean).

    Left out: lag by autocorrelation, dimension 3 (lag 1) or 5, radius 0.2 per coordinate. Pairs
    less than `theiler` samples apart do not count (1: only a vector with itself); `shortest` is
    the length from which a line is one. A constant series is all recurrence. Raises ValueError
    for too few samples or more than 50 000 vectors.
    """
    standard = standardise(as_series(x, minimum=2))
    tau = choose_lag(standard) if lag is None else as_count(lag, "lag", 1)
    size = fitting_dimension(tau) if dimension is None else as_count(dimension, "dimension", 1)
    apart = as_count(theiler, "theiler", 1)
    line = as_count(shortest, "shortest", 2)
    reach = RADIUS * float(np.sqrt(size)) if radius is None else float(radius)
    if not (np.isfinite(reach) and reach > 0):
        raise ValueError(f"radius is {radius}; pass a positive number of standard deviations")
    count = standard.size - (size - 1) * tau
    if count <= apart:
        raise ValueError(
            f"{standard.size} samples are too few for dimension {size}, lag {tau} and Theiler "
            f"window {apart}; pass more than {(size - 1) * tau + apart}"
        )
    if count > MOST_VECTORS:
        raise ValueError(f"{count} vectors are more than {MOST_VECTORS}; cut the series into parts")
    if count * count // 2 * size > MOST_DIFFERENCES:
        raise ValueError(f"{count} vectors of dimension {size} take too long; pass a smaller one")
    found, diagonals, verticals = _lines(standard, size, tau, reach * reach, apart)
    on_diagonals, mean, longest, entropy = _lengths(diagonals, line)
    on_verticals, trapping, _, _ = _lengths(verticals, line)
    pairs = (count - apart) * (count - apart + 1) // 2
    return Recurrence(
        RR=found / pairs,
        DET=on_diagonals / found if found else 0.0,
        L=mean,
        Lmax=longest,
        ENTR=entropy,
        LAM=on_verticals / found if found else 0.0,
        TT=trapping,
        radius=reach,
        dimension=size,
        lag=tau,
        theiler=apart,
    )


def _lengths(histogram: Integers, shortest: int) -> tuple[int, float, int, float]:
    """Points on lines of at least `shortest`, mean and largest length, entropy of the lengths."""
    lengths = np.flatnonzero(histogram)
    lengths = lengths[lengths >= shortest]
    if not lengths.size:
        return 0, 0.0, 0, 0.0
    counts = histogram[lengths]
    points = int(lengths @ counts)
    shares = counts / counts.sum()
    entropy = float(-(shares @ np.log(shares))) + 0.0
    return points, points / int(counts.sum()), int(lengths[-1]), entropy


@jit
def _lines(
    x: Floats, dimension: int, lag: int, squared_radius: float, theiler: int
) -> tuple[int, Integers, Integers]:
    """Recurrences, and how many diagonal and vertical lines there are of each length.

    Row by row: the distances of one row vectorise; the lengths of the diagonals that are still
    open are kept per offset, so memory is linear.
    """
    count = x.size - (dimension - 1) * lag
    diagonals = np.zeros(count + 1, np.int64)
    verticals = np.zeros(count + 1, np.int64)
    open_lines = np.zeros(count, np.int64)
    squared = np.empty(count)
    found = 0
    for i in range(count - theiler):
        low = i + theiler
        row = squared[: count - low]
        row[:] = 0.0
        for d in range(dimension):
            value = x[i + d * lag]
            others = x[low + d * lag : count + d * lag]
            for j in range(row.size):
                difference = others[j] - value
                row[j] += difference * difference
        diagonal = open_lines[theiler : theiler + row.size]
        run = 0
        for j in range(row.size):
            if row[j] <= squared_radius:
                run += 1
                diagonal[j] += 1
            else:
                if run > 0:
                    verticals[run] += 1
                    found += run
                    run = 0
                if diagonal[j] > 0:
                    diagonals[diagonal[j]] += 1
                    diagonal[j] = 0
        if run > 0:
            verticals[run] += 1
            found += run
        # The diagonal of the last column ends here.
        last = count - 1 - i
        if open_lines[last] > 0:
            diagonals[open_lines[last]] += 1
            open_lines[last] = 0
    return found, diagonals, verticals
