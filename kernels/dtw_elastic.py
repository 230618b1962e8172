"""Cores of the distances beside plain warping: weighted, and move-split-merge; one channel."""

from __future__ import annotations

import numpy as np

from kernels.compile import jit
from kernels.series import Floats


@jit
def weighted(x: Floats, y: Floats, weights: Floats, window: int, limit: float) -> float:
    """The smallest sum of squares, each times weights[|i - j|]; infinity above `limit`."""
    n = x.size
    m = y.size
    before = window + max(0, n - m)
    after = window + max(0, m - n)
    previous = np.full(m + 1, np.inf)
    current = np.full(m + 1, np.inf)
    previous[0] = 0.0
    for i in range(n):
        start = max(0, i - before)
        stop = min(m, i + after + 1)
        current[start] = np.inf
        smallest = np.inf
        for j in range(start, stop):
            best = previous[j]
            if previous[j + 1] < best:
                best = previous[j + 1]
            if current[j] < best:
                best = current[j]
            difference = x[i] - y[j]
            cell = best + weights[abs(i - j)] * difference * difference
            current[j + 1] = cell
            if cell < smallest:
                smallest = cell
        if smallest > limit:
            return np.inf
        if stop < m:
            current[stop + 1] = np.inf
        previous, current = current, previous
    total: float = previous[m]
    return total if total <= limit else np.inf


@jit
def move_split_merge(x: Floats, y: Floats, cost: float, window: int, limit: float) -> float:
    """The cheapest edits from x to y (Stefan, Athitsos & Das 2013); infinity above `limit`.

    A move costs the difference, a split or merge `cost`, plus how far the value lies outside
    its two neighbours.
    """
    n = x.size
    m = y.size
    before = window + max(0, n - m)
    after = window + max(0, m - n)
    previous = np.full(m + 1, np.inf)
    current = np.full(m + 1, np.inf)
    for i in range(n):
        start = max(0, i - before)
        stop = min(m, i + after + 1)
        current[start] = np.inf
        smallest = np.inf
        for j in range(start, stop):
            if i == 0 and j == 0:
                cell = abs(x[0] - y[0])
            else:
                cell = previous[j] + abs(x[i] - y[j]) if i > 0 and j > 0 else np.inf
                if i > 0:
                    merge = previous[j + 1] + _edit(x[i], x[i - 1], y[j], cost)
                    cell = min(cell, merge)
                if j > 0:
                    split = current[j] + _edit(y[j], x[i], y[j - 1], cost)
                    cell = min(cell, split)
            current[j + 1] = cell
            if cell < smallest:
                smallest = cell
        if smallest > limit:
            return np.inf
        if stop < m:
            current[stop + 1] = np.inf
        previous, current = current, previous
    total: float = previous[m]
    return total if total <= limit else np.inf


@jit
def _edit(value: float, one: float, other: float, cost: float) -> float:
    """`cost`, and the way from `value` to the nearer neighbour unless it lies between them."""
    low = min(other, one)
    high = max(one, other)
    if value < low:
        return cost + low - value
    if value > high:
        return cost + value - high
    return cost
