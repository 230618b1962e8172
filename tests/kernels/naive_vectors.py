"""Slow twins of the vector kernels in plain Python."""

from __future__ import annotations

import math


def int8(row):
    """Whole numbers and their scale."""
    scale = max(abs(v) for v in row) / 127
    return [round(v / scale) if scale else 0 for v in row], scale


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def length(a):
    return math.sqrt(dot(a, a))


def score(a, b, metric):
    if metric == "dot":
        return dot(a, b)
    if metric == "euclidean":
        return -math.dist(a, b)
    lengths = length(a) * length(b)
    return dot(a, b) / lengths if lengths else 0.0


def best(scores, k, mask=None):
    """Rows by falling score, then by rising row."""
    rows = [i for i in range(len(scores)) if mask is None or mask[i]]
    return sorted(rows, key=lambda i: (-scores[i], i))[:k]


def owners(rows, threshold):
    """The earlier row that each row repeats, or itself."""
    found = []
    for i, row in enumerate(rows):
        if not any(row):
            found.append(next((j for j in range(i) if not any(rows[j])), i))
            continue
        kept = [j for j in range(i) if found[j] == j and any(rows[j])]
        close = {j: score(row, rows[j], "cosine") for j in kept}
        close = {j: c for j, c in close.items() if c >= threshold - 4e-7}
        found.append(max(close, key=lambda j: (close[j], -j)) if close else i)
    return found
