"""The 0-1 test for chaos (Gottwald & Melbourne 2004, 2009): near 0 regular, near 1 chaotic.

The series drives a point in the plane: p and q grow by x cos(c j) and x sin(c j). Regular motion
keeps the point bounded, chaos lets it wander like a Brownian particle; the correlation of its mean
square displacement with time tells which, and the median over many frequencies c avoids those
that resonate. It sees no noise: white noise wanders too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kernels.compile import jit
from kernels.delay import choose_lag
from kernels.series import Floats, as_count, as_series, standardise

SHORTEST = 64
MOST_SAMPLES = 4000
"""The latest samples that are used; more change nothing and the cost is quadratic."""

MOST_FREQUENCIES = 1000
"""About a second; the median of fifty changes little with more."""

_GOLDEN = 0.6180339887498949


def zero_one_chaos(x: ArrayLike, *, frequencies: int = 50, every: int | None = None) -> float:
    """K between -1 and 1: the median correlation over `frequencies`; 0 for a constant series.

    A flow must be sampled coarsely for this test, so only each `every`-th sample is used: by
    default the lag at which its autocorrelation has fallen (1 for maps), but at least 64 remain.
    """
    series = as_series(x, minimum=SHORTEST)
    count = as_count(frequencies, "frequencies", 1)
    if count > MOST_FREQUENCIES:
        raise ValueError(f"frequencies is {count}; pass at most {MOST_FREQUENCIES}")
    step = choose_lag(series) if every is None else as_count(every, "every", 1)
    step = min(step, series.size // SHORTEST)
    standard = standardise(series[::-step][:MOST_SAMPLES][::-1])
    if not standard.any():
        return 0.0
    # Evenly spread by the golden ratio, always the same, away from 0 and the alias at pi.
    spread: Floats = np.modf(np.arange(1.0, count + 1.0) * _GOLDEN)[0]
    values = _wander(standard, spread * (np.pi * 3 / 5) + np.pi / 5)
    return float(np.median(values))


@jit
def _wander(x: Floats, frequencies: Floats) -> Floats:
    """Per frequency, the correlation of the damped mean square displacement with time."""
    count = x.size
    steps = count // 10
    kept = count - steps
    mean = x.mean()
    out = np.empty(frequencies.size)
    p = np.empty(count)
    q = np.empty(count)
    for f in range(frequencies.size):
        c = frequencies[f]
        across = along = 0.0
        for j in range(count):
            across += x[j] * np.cos((j + 1) * c)
            along += x[j] * np.sin((j + 1) * c)
            p[j] = across
            q[j] = along
        mean_n = (steps + 1) / 2
        sum_d = sum_nd = sum_dd = 0.0
        for n in range(1, steps + 1):
            later_p, later_q = p[n : n + kept], q[n : n + kept]
            # Two sums, because each addition to one waits for the last.
            total = other = 0.0
            for j in range(kept):
                dp = later_p[j] - p[j]
                dq = later_q[j] - q[j]
                total += dp * dp
                other += dq * dq
            # What oscillates with a known amplitude is no wandering.
            moved = (total + other) / kept - mean * mean * (1 - np.cos(n * c)) / (1 - np.cos(c))
            sum_d += moved
            sum_dd += moved * moved
            sum_nd += (n - mean_n) * moved
        spread = sum_dd - sum_d * sum_d / steps
        time = steps * (steps * steps - 1) / 12
        out[f] = sum_nd / np.sqrt(spread * time) if spread > 0.0 else 0.0
    return out
