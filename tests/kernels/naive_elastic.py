"""Slow twins of warping and its relatives in plain Python."""

from __future__ import annotations

import math

from tests.kernels import naive


def points(x):
    """Samples as tuples, whether there is one channel or more."""
    return [tuple(p) if hasattr(p, "__len__") else (p,) for p in x]


def allowed(i, j, n, m, window):
    window = max(n, m) if window is None else window
    return -window - max(0, n - m) <= j - i <= window + max(0, m - n)


def table(x, y, window, square):
    """Accumulated cost by cell (i, j), counted from 1."""
    n, m = len(x), len(y)
    cells = {(0, 0): 0.0}
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            if allowed(i, j, n, m, window):
                before = [(i - 1, j), (i, j - 1), (i - 1, j - 1)]
                cells[i, j] = square(i - 1, j - 1) + min(
                    cells.get(cell, math.inf) for cell in before
                )
    return cells


def dtw(x, y, window=None):
    """Of several channels."""
    x, y = points(x), points(y)
    cells = table(x, y, window, lambda i, j: math.dist(x[i], y[j]) ** 2)
    return math.sqrt(cells[len(x), len(y)])


def wdtw(x, y, window, g):
    longest = max(len(x), len(y))

    def square(i, j):
        weight = 1 / (1 + math.exp(-g * (abs(i - j) - longest / 2)))
        return weight * (x[i] - y[j]) ** 2

    return math.sqrt(table(x, y, window, square)[len(x), len(y)])


def ddtw(x, y, window):
    return naive.dtw(slopes(x), slopes(y), window)


def slopes(x):
    return [((x[i] - x[i - 1]) + (x[i + 1] - x[i - 1]) / 2) / 2 for i in range(1, len(x) - 1)]


def edit(value, one, other, c):
    if min(one, other) <= value <= max(one, other):
        return c
    return c + min(abs(value - one), abs(value - other))


def msm(x, y, window, c):
    n, m = len(x), len(y)
    cells = {(0, 0): abs(x[0] - y[0])}
    for i in range(n):
        for j in range(m):
            if (i, j) == (0, 0) or not allowed(i, j, n, m, window):
                continue
            options = []
            if i and j:
                options.append(cells.get((i - 1, j - 1), math.inf) + abs(x[i] - y[j]))
            if i:
                options.append(cells.get((i - 1, j), math.inf) + edit(x[i], x[i - 1], y[j], c))
            if j:
                options.append(cells.get((i, j - 1), math.inf) + edit(y[j], x[i], y[j - 1], c))
            cells[i, j] = min(options)
    return cells[n - 1, m - 1]


def lb_improved(x, y, window):
    lower, upper = naive.envelope(x, window)
    clipped = [min(max(v, lo), up) for v, lo, up in zip(y, lower, upper, strict=True)]
    first = naive.lb_keogh(x, y, window)
    second = naive.lb_keogh(clipped, x, window)
    return math.sqrt(first**2 + second**2)


def best_stretches(query, series):
    """For each end the smallest distance of the query to a stretch that ends there."""
    query, series = points(query), points(series)
    return [
        min(dtw(query, series[start:end]) for start in range(end))
        for end in range(1, len(series) + 1)
    ]
