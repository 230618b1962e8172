"""Dynamic time warping: exact distances, a lower bound, and the nearest of many series.

The distance is the root of the smallest sum of squared differences over all monotone
alignments (Sakoe & Chiba 1978), optionally kept within a band around the diagonal. `nearest`
skips work that cannot matter: candidates are taken in the order of LB_Keogh (Keogh & Ratana-
mahatana 2005), each distance is abandoned once it must exceed the k-th best so far (Rakthan-
manon et al. 2012), and the answer is the brute-force answer, ties broken by index.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kernels.compile import jit
from kernels.series import Floats, Integers, as_count, as_series, as_series_list

MAX_CELLS = 4_000_000_000
"""Cells of one alignment (about 4 s): a kernel cannot be interrupted, so it must be bounded."""

_SLACK = 1e-12
"""Two sums of the same squares in another order differ by less; a bound must not exceed by it."""


class Envelope(NamedTuple):
    """The lowest and highest value of a series within `window` samples of each sample."""

    lower: Floats
    upper: Floats


class Neighbours(NamedTuple):
    """The closest candidates, best first; equal distances in the order of their indices."""

    indices: Integers
    distances: Floats


def dtw_distance(
    x: ArrayLike, y: ArrayLike, window: int | None = None, upper_bound: float = np.inf
) -> float:
    """The warping distance of two series, or infinity as soon as it must exceed `upper_bound`.

    `window` (samples, None = unbounded) is how far an alignment may leave the diagonal; with
    unequal lengths it is measured from the diagonals through both corners, so a path always
    exists. Raises ValueError for NaN, infinity, empty or non-1-D input, or a negative window.
    """
    first, second = as_series(x, "x"), as_series(y, "y")
    band = _checked_window(window, first.size, second.size)
    bound = float(upper_bound)
    if math.isnan(bound) or bound < 0:
        raise ValueError(f"upper_bound is {bound}; pass a number >= 0, or leave it out")
    limit = bound * bound * (1 + _SLACK)
    if np.isinf(limit):
        squared = _full_distance(first, second, band)
    else:
        squared = _bounded_distance(first, second, band, limit, np.zeros(first.size + 1))
    distance = math.sqrt(squared)
    return distance if distance <= bound else math.inf


def envelope(x: ArrayLike, window: int) -> Envelope:
    """Running minimum and maximum over [i - window, i + window], clipped at the ends; O(n)."""
    series = as_series(x)
    return Envelope(*_envelope(series, _checked_window(window, series.size, series.size)))


def lb_keogh(query: ArrayLike, candidate: ArrayLike, window: int | None = None) -> float:
    """A lower bound of `dtw_distance(query, candidate, window)` in O(n); lengths must be equal."""
    first, second = as_series(query, "query"), as_series(candidate, "candidate")
    if first.size != second.size:
        raise ValueError(
            f"query has {first.size} samples and candidate {second.size}; "
            "LB_Keogh is defined for equal lengths, resample one of them"
        )
    lower, upper = _envelope(first, _checked_window(window, first.size, second.size))
    return math.sqrt(_outside(second, lower, upper, np.empty(first.size + 1)))


def nearest(
    query: ArrayLike, candidates: ArrayLike, window: int | None = None, k: int = 1
) -> Neighbours:
    """The `k` candidates closest to `query` (all of them if fewer), exactly as brute force finds.

    `candidates` is a 2-D array, one series per row, or a list of series; lengths may differ
    (such candidates are compared without the lower bound). Normalise first if scale is not to
    count. Raises ValueError for bad series, an empty list, a negative window or k < 1.
    """
    series = as_series(query, "query")
    others = as_series_list(candidates)
    wanted = min(as_count(k, "k", 1), len(others))
    longest = max(other.size for other in others)
    band = _checked_window(window, series.size, longest)
    offsets = np.zeros(len(others) + 1, np.int64)
    np.cumsum([other.size for other in others], out=offsets[1:])
    return Neighbours(*_nearest(series, np.concatenate(others), offsets, band, wanted))


def _checked_window(window: int | None, n: int, m: int) -> int:
    """The band in samples; refuses alignments too large to compute in one piece."""
    longest = max(n, m)
    band = longest if window is None else min(as_count(window, "window", 0), longest)
    if n * min(m, 2 * band + 1 + abs(n - m)) > MAX_CELLS:
        raise ValueError(
            f"aligning {n} with {m} samples at window {band} needs more than {MAX_CELLS:g} cells; "
            "pass a smaller window or shorter series"
        )
    return band


@jit
def _full_distance(x: Floats, y: Floats, window: int) -> float:
    """The smallest sum of squares, in two rows of the band."""
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
        left = np.inf
        diagonal = previous[start]
        xi = x[i]
        for j in range(start, stop):
            above = previous[j + 1]
            best = diagonal
            if above < best:
                best = above
            if left < best:
                best = left
            difference = xi - y[j]
            left = difference * difference + best
            current[j + 1] = left
            diagonal = above
        if stop < m:
            current[stop + 1] = np.inf
        previous, current = current, previous
    total: float = previous[m]
    return total


@jit
def _bounded_distance(x: Floats, y: Floats, window: int, limit: float, rest: Floats) -> float:
    """The same, or infinity once it must exceed `limit`; cells that cannot matter are skipped.

    rest[i] is a lower bound of what the samples of x from i on still cost (zeros if unknown),
    so a cell of row i is alive while its sum is at most limit - rest[i + 1]. Dead cells are cut
    off at both ends of a row (Silva & Batista 2016): `first` is the first column alive so far,
    `last` the end of those alive in the row before. Callers widen `limit` by _SLACK, since
    bounds add the same squares in another order.
    """
    n = x.size
    m = y.size
    before = window + max(0, n - m)
    after = window + max(0, m - n)
    previous = np.full(m + 1, np.inf)
    current = np.full(m + 1, np.inf)
    previous[0] = 0.0
    first = 0
    last = 0
    for i in range(n):
        start = max(first, i - before)
        stop = min(m, i + after + 1)
        alive = limit - rest[i + 1]
        current[start] = np.inf
        left = np.inf
        diagonal = previous[start] if start <= last else np.inf
        end = -1
        xi = x[i]
        j = start
        while j < min(stop, last):
            above = previous[j + 1]
            best = diagonal
            if above < best:
                best = above
            if left < best:
                best = left
            difference = xi - y[j]
            left = difference * difference + best
            current[j + 1] = left
            diagonal = above
            if left <= alive:
                end = j + 1
            elif end < 0:
                first = j + 1
            j += 1
        while j < stop:
            best = diagonal
            if left < best:
                best = left
            difference = xi - y[j]
            left = difference * difference + best
            if left > alive:
                break
            diagonal = np.inf
            current[j + 1] = left
            end = j + 1
            j += 1
        if end < 0:
            return np.inf
        last = end
        previous, current = current, previous
    return previous[m] if last == m else np.inf


@jit
def _envelope(x: Floats, window: int) -> tuple[Floats, Floats]:
    """Lemire's two monotone queues, held as index rings in plain arrays."""
    n = x.size
    lower = np.empty(n)
    upper = np.empty(n)
    highs = np.empty(n, np.int64)
    lows = np.empty(n, np.int64)
    high_head = high_tail = low_head = low_tail = 0
    entered = 0
    for i in range(n):
        while entered < n and entered <= i + window:
            value = x[entered]
            while high_tail > high_head and x[highs[high_tail - 1]] <= value:
                high_tail -= 1
            highs[high_tail] = entered
            high_tail += 1
            while low_tail > low_head and x[lows[low_tail - 1]] >= value:
                low_tail -= 1
            lows[low_tail] = entered
            low_tail += 1
            entered += 1
        while highs[high_head] < i - window:
            high_head += 1
        while lows[low_head] < i - window:
            low_head += 1
        upper[i] = x[highs[high_head]]
        lower[i] = x[lows[low_head]]
    return lower, upper


@jit
def _outside(x: Floats, lower: Floats, upper: Floats, rest: Floats) -> float:
    """The squared distance of x from the envelope; rest[i] gets the part due to samples >= i."""
    total = 0.0
    rest[x.size] = 0.0
    for i in range(x.size - 1, -1, -1):
        value = x[i]
        gap = 0.0
        if value > upper[i]:
            gap = value - upper[i]
        elif value < lower[i]:
            gap = lower[i] - value
        total += gap * gap
        rest[i] = total
    return total


@jit
def _nearest(
    query: Floats, flat: Floats, offsets: Integers, window: int, k: int
) -> tuple[Integers, Floats]:
    """Candidates by rising lower bound until the bound passes the k-th best distance.

    Roots are compared, not squares: two squares may differ in the last bit and share a root,
    and then the index must decide, as it does for brute force.
    """
    count = offsets.size - 1
    n = query.size
    lower, upper = _envelope(query, min(window, n))
    rest = np.zeros(n + 1)
    nothing = np.zeros(n + 1)
    bounds = np.zeros(count)
    for c in range(count):
        if offsets[c + 1] - offsets[c] == n:
            bounds[c] = _outside(flat[offsets[c] : offsets[c + 1]], lower, upper, rest)
    best = np.full(k, np.inf)
    indices = np.full(k, count, np.int64)
    for c in np.argsort(bounds):
        worst = best[k - 1] * best[k - 1] * (1.0 + 1e-12)
        if bounds[c] > worst:
            break
        other = flat[offsets[c] : offsets[c + 1]]
        if other.size == n:
            other_lower, other_upper = _envelope(other, min(window, n))
            if _outside(query, other_lower, other_upper, rest) > worst:
                continue
            squared = _bounded_distance(query, other, window, worst, rest)
        else:
            squared = _bounded_distance(query, other, window, worst, nothing)
        _insert(best, indices, np.sqrt(squared), c)
    return indices, best


@jit
def _insert(best: Floats, indices: Integers, distance: float, index: int) -> None:
    """Keep the k smallest in order of (distance, index)."""
    slot = best.size - 1
    if distance > best[slot] or (distance == best[slot] and index > indices[slot]):
        return
    while slot > 0 and (
        distance < best[slot - 1] or (distance == best[slot - 1] and index < indices[slot - 1])
    ):
        best[slot] = best[slot - 1]
        indices[slot] = indices[slot - 1]
        slot -= 1
    best[slot] = distance
    indices[slot] = index
