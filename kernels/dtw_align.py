"""Cores that tell which samples are aligned: the path, and matches inside a long series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.compile import jit
from kernels.series import Floats, Integers


@jit
def path(x: Floats, y: Floats, window: int) -> tuple[float, Integers]:
    """The smallest sum of squares, and its aligned pairs (i, j) in order; prefers diagonals.

    Keeps one byte per cell of the band.
    """
    channels, n = x.shape
    m = y.shape[1]
    before = window + max(0, n - m)
    after = window + max(0, m - n)
    width = min(m, before + after + 1)
    steps = np.zeros((n, width), np.uint8)
    previous = np.full(m + 1, np.inf)
    current = np.full(m + 1, np.inf)
    previous[0] = 0.0
    for i in range(n):
        start = max(0, i - before)
        stop = min(m, i + after + 1)
        current[start] = np.inf
        for j in range(start, stop):
            best = previous[j]
            step = 0
            if previous[j + 1] < best:
                best = previous[j + 1]
                step = 1
            if current[j] < best:
                best = current[j]
                step = 2
            square = 0.0
            for channel in range(channels):
                square += (x[channel, i] - y[channel, j]) ** 2
            current[j + 1] = best + square
            steps[i, j - start] = step
        if stop < m:
            current[stop + 1] = np.inf
        previous, current = current, previous
    total = float(previous[m])
    return total, _walk_back(steps, before, m)


@jit
def _walk_back(steps: NDArray[np.uint8], before: int, m: int) -> Integers:
    n = steps.shape[0]
    pairs = np.empty((n + m, 2), np.int64)
    count = 0
    i = n - 1
    j = m - 1
    while i >= 0 and j >= 0:
        pairs[count, 0] = i
        pairs[count, 1] = j
        count += 1
        step = steps[i, j - max(0, i - before)]
        if step != 2:
            i -= 1
        if step != 1:
            j -= 1
    return pairs[:count][::-1].copy()


@jit
def ends(query: Floats, series: Floats) -> tuple[Floats, Integers]:
    """For each sample the smallest sum of squares of a match that ends there, and its start.

    The query is aligned whole; the match begins and ends where it likes (Müller 2007). Of equal
    sums the latest start is told.
    """
    channels, n = query.shape
    m = series.shape[1]
    costs = np.empty(m)
    starts = np.empty(m, np.int64)
    for i in range(n):
        diagonal = 0.0 if i == 0 else np.inf
        diagonal_start = 0
        left = np.inf
        left_start = 0
        for j in range(m):
            above = costs[j] if i > 0 else np.inf
            above_start = starts[j] if i > 0 else j
            if i == 0:
                diagonal = 0.0
                diagonal_start = j
            best = diagonal
            start = diagonal_start
            if above < best or (above == best and above_start > start):
                best = above
                start = above_start
            if left < best or (left == best and left_start > start):
                best = left
                start = left_start
            square = 0.0
            for channel in range(channels):
                square += (query[channel, i] - series[channel, j]) ** 2
            diagonal = above
            diagonal_start = above_start
            left = best + square
            left_start = start
            costs[j] = left
            starts[j] = start
    return costs, starts


@jit
def pick(costs: Floats, starts: Integers, k: int) -> tuple[Integers, int]:
    """Ends of the k cheapest matches that share no sample, cheapest first; and how many."""
    chosen = np.empty(k, np.int64)
    count = 0
    for end in np.argsort(costs, kind="mergesort"):
        if count == k or costs[end] == np.inf:
            break
        free = True
        for c in range(count):
            if starts[end] <= chosen[c] and starts[chosen[c]] <= end:
                free = False
        if free:
            chosen[count] = end
            count += 1
    return chosen, count
