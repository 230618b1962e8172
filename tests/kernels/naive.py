"""Slow twins of the kernels in plain Python: the definition, with no thought of speed."""

from __future__ import annotations

import math


def embed(x, dimension, lag):
    count = len(x) - (dimension - 1) * lag
    return [[x[i + j * lag] for j in range(dimension)] for i in range(count)]


def autocorrelation(z):
    n = len(z)
    return [sum(z[i] * z[i + lag] for i in range(n - lag)) / (n - lag) for lag in range(n)]


def nearest_apart(vectors, references, limit, theiler):
    """Squared distance to the nearest of the first `limit` vectors outside the window."""
    found = []
    for i in references:
        others = [
            sum((a - b) ** 2 for a, b in zip(vectors[i], vectors[j], strict=True))
            for j in range(limit)
            if abs(i - j) > theiler
        ]
        found.append(min(others, default=math.inf))
    return found


def divergence(x, pairs, shares, steps, dimension, lag):
    """Mean ln distance of delay vectors per step, over the pairs whose distance is not zero.

    A share of 0.3 puts the partner three tenths of the way to its next sample, on a cubic.
    """

    def partner(j, s):
        p0, p1, p2, p3 = (x[max(0, min(j + k, len(x) - 1))] for k in (-1, 0, 1, 2))
        return 0.5 * (
            2 * p1
            + (p2 - p0) * s
            + (2 * p0 - 5 * p1 + 4 * p2 - p3) * s**2
            + (3 * p1 - p0 - 3 * p2 + p3) * s**3
        )

    curve = []
    for k in steps:
        distances = [
            math.hypot(
                *(x[i + k + d * lag] - partner(j + k + d * lag, s) for d in range(dimension))
            )
            for (i, j), s in zip(pairs, shares, strict=True)
        ]
        logs = [math.log(d) for d in distances if d * d > 1e-26]
        curve.append(sum(logs) / len(logs) if logs else None)
    return curve


def line(times, values):
    mean_t, mean_v = sum(times) / len(times), sum(values) / len(values)
    slope = sum((t - mean_t) * (v - mean_v) for t, v in zip(times, values, strict=True)) / sum(
        (t - mean_t) ** 2 for t in times
    )
    residuals = [v - mean_v - slope * (t - mean_t) for t, v in zip(times, values, strict=True)]
    return slope, math.sqrt(sum(r * r for r in residuals) / len(residuals))


def straightest(times, curve, first, ceiling, shortest):
    """The score of the best window (0 if there is none) and the weighted mean of the slopes."""
    windows = []
    for a in range(first, len(times)):
        for b in range(a + shortest - 1, len(times)):
            if max(curve[a : b + 1]) > ceiling:
                break
            slope, residual = line(times[a : b + 1], curve[a : b + 1])
            rise = max(0.0, slope * (times[b] - times[a]))
            windows.append((rise**1.5 / (residual + 0.02), slope))
    best = max((score for score, _ in windows), default=0.0)
    if best == 0.0:
        return 0.0, 0.0
    good = [((score / best) ** 8, slope) for score, slope in windows if score > 0.4 * best]
    return best, sum(w * s for w, s in good) / sum(w for w, _ in good)


def permutation_entropy(x, order, delay):
    counts = {}
    for i in range(len(x) - (order - 1) * delay):
        window = [x[i + j * delay] for j in range(order)]
        pattern = tuple(sorted(range(order), key=lambda j, w=window: (w[j], j)))
        counts[pattern] = counts.get(pattern, 0) + 1
    total = sum(counts.values())
    bits = -sum(c / total * math.log2(c / total) for c in counts.values())
    return bits / math.log2(math.factorial(order))


def mismatch(x, shift):
    whole = math.floor(shift)
    part = shift - whole
    difference = energy = 0.0
    for i in range(len(x) - whole - 1):
        later = x[i + whole] * (1 - part) + x[i + whole + 1] * part
        difference += (x[i] - later) ** 2
        energy += x[i] ** 2 + later**2
    return difference / energy if energy else 1.0


def dtw(x, y, window=None):
    n, m = len(x), len(y)
    window = max(n, m) if window is None else window
    cells = {(0, 0): 0.0}
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            if not -window - max(0, n - m) <= j - i <= window + max(0, m - n):
                continue
            before = [(i - 1, j), (i, j - 1), (i - 1, j - 1)]
            cells[i, j] = (x[i - 1] - y[j - 1]) ** 2 + min(
                cells.get(cell, math.inf) for cell in before
            )
    return math.sqrt(cells[n, m])


def envelope(x, window):
    around = [x[max(0, i - window) : i + window + 1] for i in range(len(x))]
    return [min(a) for a in around], [max(a) for a in around]


def lb_keogh(query, candidate, window):
    lower, upper = envelope(query, window)
    gaps = [max(lo - c, c - up, 0.0) for c, lo, up in zip(candidate, lower, upper, strict=True)]
    return math.sqrt(sum(gap * gap for gap in gaps))


def resample(x, points):
    n = len(x)
    if n >= 2 * points:
        cells = [x[p * n // points : (p + 1) * n // points] for p in range(points)]
        return [sum(cell) / len(cell) for cell in cells]
    out = []
    for p in range(points):
        position = p * (n - 1) / (points - 1)
        i = min(int(position), n - 2)
        out.append(x[i] + (position - i) * (x[i + 1] - x[i]))
    return out


def haar(x):
    """Coefficients from coarse to fine, orthonormal; len(x) is a power of two."""
    details = []
    while len(x) > 1:
        pairs = list(zip(x[::2], x[1::2], strict=True))
        details = [(a - b) / math.sqrt(2) for a, b in pairs] + details
        x = [(a + b) / math.sqrt(2) for a, b in pairs]
    return [*x, *details]
