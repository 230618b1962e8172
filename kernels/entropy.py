"""Permutation entropy: how evenly a series uses the possible orders of neighbouring samples."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from kernels.compile import jit
from kernels.series import Floats, Integers, as_count, as_series

LARGEST_ORDER = 8
"""8! = 40 320 patterns; counting more needs millions of samples."""


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
