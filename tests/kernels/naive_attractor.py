"""Slow twins of the attractor kernels in plain Python, from the definitions."""

from __future__ import annotations

import math
import statistics
from itertools import groupby, pairwise

from tests.kernels.naive import embed, line


def standardise(x):
    mean, deviation = statistics.fmean(x), statistics.pstdev(x)
    return [(v - mean) / deviation for v in x]


def mutual_information(codes, bins, lag):
    pairs = list(zip(codes, codes[lag:], strict=False))
    n = len(pairs)
    total = 0.0
    for a in range(bins):
        for b in range(bins):
            joint = pairs.count((a, b)) / n
            if joint:
                left = sum(p == a for p, _ in pairs) / n
                right = sum(q == b for _, q in pairs) / n
                total += joint * math.log(joint / (left * right))
    return total


def close_pairs(vectors, references, theiler, radii):
    """Shares of pairs (reference, other) at most each radius apart; each pair once if all are."""
    every = len(references) == len(vectors)
    distances = [
        math.dist(vectors[i], vectors[j])
        for i in references
        for j in range(len(vectors))
        if abs(i - j) > theiler and (j > i or not every)
    ]
    return [sum(d <= r for d in distances) / max(1, len(distances)) for r in radii]


def alike(x, dimension, lag, radius):
    """Pairs of stretches alike for dimension + 1 and for dimension samples."""
    n = len(x) - dimension * lag
    stretches = [x[i : i + dimension * lag + 1 : lag] for i in range(n)]
    counts = [0, 0]
    for i in range(n):
        for j in range(i):
            gaps = [abs(a - b) for a, b in zip(stretches[i], stretches[j], strict=True)]
            counts[0] += max(gaps) <= radius
            counts[1] += max(gaps[:-1]) <= radius
    return tuple(counts)


def rescaled_range(x, size):
    ratios = []
    for start in range(0, len(x) - size + 1, size):
        part = x[start : start + size]
        mean = statistics.fmean(part)
        if max(part) - min(part) < 1e-9:
            continue
        walk = [sum(v - mean for v in part[: i + 1]) for i in range(size)]
        ratios.append((max(walk) - min(walk)) / statistics.stdev(part))
    return statistics.fmean(ratios) if ratios else 0.0


def fluctuation(walk, size, *, overlap):
    """Straight lines taken out of windows of a walk."""
    step = size // 2 if overlap else size
    stop = len(walk) - size + (0 if overlap else 1)
    squares = [line(range(size), walk[i : i + size])[1] ** 2 for i in range(0, stop, step)]
    return math.sqrt(sum(squares) / len(squares)) if squares else 0.0


def recurrences(vectors, radius, theiler):
    """Recurrences in the upper triangle, and the lengths of diagonal and of horizontal runs."""
    n = len(vectors)
    matrix = [[math.dist(a, b) <= radius for b in vectors] for a in vectors]
    diagonals = [[matrix[i][i + k] for i in range(n - k)] for k in range(theiler, n)]
    rows = [[matrix[i][j] for j in range(i + theiler, n)] for i in range(n)]
    runs = [
        sorted(len(list(run)) for cells in lists for on, run in groupby(cells) if on)
        for lists in (diagonals, rows)
    ]
    return sum(map(sum, rows)), *runs


def wander(x, c):
    """Correlation of the damped mean square displacement with time."""
    n = len(x)
    p = [sum(x[k] * math.cos((k + 1) * c) for k in range(j + 1)) for j in range(n)]
    q = [sum(x[k] * math.sin((k + 1) * c) for k in range(j + 1)) for j in range(n)]
    steps = n // 10
    mean = sum(x) / n
    moved = []
    for s in range(1, steps + 1):
        squares = [(p[j + s] - p[j]) ** 2 + (q[j + s] - q[j]) ** 2 for j in range(n - steps)]
        damped = mean * mean * (1 - math.cos(s * c)) / (1 - math.cos(c))
        moved.append(sum(squares) / len(squares) - damped)
    return statistics.correlation(range(1, steps + 1), moved)


def growth(x, dimension, lag, theiler):
    """Cao's mean growth and mean step, and the share of false neighbours."""
    vectors = embed(x, dimension, lag)[: len(x) - dimension * lag]
    ahead = dimension * lag
    ratios, steps, false = [], [], 0
    for i, vector in enumerate(vectors):
        others = [j for j in range(len(vectors)) if abs(i - j) > theiler]
        if not others:
            continue
        j = min(others, key=lambda j, v=vector: math.dist(v, vectors[j]))
        distance, added = math.dist(vector, vectors[j]), abs(x[i + ahead] - x[j + ahead])
        steps.append(added)
        ratios.append(math.hypot(distance, added) / distance)
        false += added > 15 * distance or math.hypot(distance, added) > 2
    return statistics.fmean(ratios), statistics.fmean(steps), false / len(steps)


def spread(x, references, lists, steps):
    """Kantz: mean over references of ln(mean distance to the neighbours), per step."""
    curve = []
    for k in steps:
        means = [
            statistics.fmean([abs(x[j + k] - x[i + k]) for j in found])
            for i, found in zip(references, lists, strict=True)
            if found
        ]
        logs = [math.log(mean) for mean in means if mean > 1e-12]
        curve.append(statistics.fmean(logs) if logs else None)
    return curve


def falling(values):
    return all(later <= earlier for earlier, later in pairwise(values))
