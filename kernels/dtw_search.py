"""Cores of warping: the distance, its lower bounds, and the scan of many candidates.

Series come as (channels, samples), so that one loop serves one channel and many. The distance
runs over anti-diagonals: their cells do not wait for each other, so the compiler takes four or
eight in one instruction (2 to 4 times the speed of a row at bands wider than 25). Each cell is
the same sum whichever loop computes it, so all of them agree to the last bit.
"""

from __future__ import annotations

import numpy as np

from kernels.compile import jit
from kernels.series import Floats, Integers

_TRIED = 16
"""Candidates on which the lower bounds must have spared a sixth of the work to be asked further."""


@jit
def distance(x: Floats, y: Floats, window: int, limit: float) -> float:
    """The smallest sum of squares, infinity once it must exceed `limit`, or -1 if invalid."""
    if not (all_valid(x) and all_valid(y)):
        return -1.0
    if x.shape[0] == 1 and window < 10 and limit == np.inf:
        return _by_rows(x[0], y[0], window)
    n = x.shape[1]
    return _by_diagonals(x, y[:, ::-1].copy(), window, limit, np.zeros(n + 1), np.empty(3 * n + 9))


@jit
def vector_distance(x: Floats, y: Floats, window: int, bound: float, cells: int) -> float:
    """The root of `distance` for one channel, with every check: -1 if one fails.

    `window` -1 is unbounded; more than `cells` cells are refused. One call instead of several
    lines of Python, which for short series take longer than the distance.
    """
    n, m = x.size, y.size
    longest = max(n, m)
    band = longest if window == -1 or window > longest else window
    if n == 0 or m == 0 or band < 0 or not bound >= 0.0:
        return -1.0
    if n * min(m, 2 * band + 1 + abs(n - m)) > cells:
        return -1.0
    squared = distance(x.reshape((1, n)), y.reshape((1, m)), band, bound * bound * (1.0 + 1e-12))
    if squared < 0.0:
        return -1.0
    root: float = np.sqrt(squared)
    return root if root <= bound else np.inf


@jit
def distances(
    x: Floats, flat: Floats, offsets: Integers, start: int, window: int, out: Floats
) -> None:
    """out[c] = the distance of x and series c, from `start` on; all input is valid."""
    for c in range(start, offsets.size - 1):
        other = flat[:, offsets[c] : offsets[c + 1]].copy()
        out[c] = np.sqrt(distance(x, other, window, np.inf))


@jit
def all_valid(x: Floats) -> bool:
    """Whether every value is finite and can be squared."""
    bad = 0
    for channel in range(x.shape[0]):
        row = x[channel]
        for i in range(row.size):
            bad += not abs(row[i]) <= 1e150
    return bad == 0


@jit
def _by_rows(x: Floats, y: Floats, window: int) -> float:
    """One channel, no limit, in one row of the band: faster than diagonals when it is narrow."""
    n, m = x.size, y.size
    before = window + max(0, n - m)
    after = window + max(0, m - n)
    row = np.full(m + 1, np.inf)
    row[0] = 0.0
    for i in range(n):
        start = max(0, i - before)
        stop = min(m, i + after + 1)
        diagonal = row[start]
        row[start] = np.inf
        left = np.inf
        xi = x[i]
        for j in range(start, stop):
            above = row[j + 1]
            best = diagonal
            if above < best:
                best = above
            if left < best:
                best = left
            difference = xi - y[j]
            left = difference * difference + best
            row[j + 1] = left
            diagonal = above
    total: float = row[m]
    return total


@jit
def _by_diagonals(
    x: Floats, reverse: Floats, window: int, limit: float, rest: Floats, work: Floats
) -> float:
    """The smallest sum of squares of x and y = reverse[::-1], or infinity above `limit`.

    rest[i] is a lower bound of what the samples of x from i on still cost (zeros if unknown),
    so a cell in the row of sample i is alive while its sum is at most limit - rest[i + 1]. A
    diagonal begins and ends at what can be reached from cells alive on the two before (after
    Silva & Batista 2016 and Herrmann & Webb 2021, who go by rows). `work` holds
    n + 3 cells for each of the diagonals s - 2, s - 1 and s: that of sample i at i + 1, and an
    infinite one at both ends.
    """
    n = x.shape[1]
    m = reverse.shape[1]
    before = window + max(0, n - m)
    after = window + max(0, m - n)
    length = n + 3
    a, b = x[0], reverse[0]
    for i in range(3 * length):
        work[i] = np.inf
    two, one, now = 0, length, 2 * length
    work[two] = 0.0
    first, last, first_two, last_two = 0, -1, -1, -1
    for s in range(n + m - 1):
        low = max(min(first, first_two + 1), s - m + 1, (s - after + 1) // 2)
        high = min(max(last, last_two) + 1, n - 1, (s + before) // 2)
        first_two, last_two = first, last
        if low <= high:
            # Unsigned, since a signed index may be negative, and is asked every time.
            size = np.uint64(high - low + 1)
            at, corner = np.uint64(low), np.uint64(two + low)
            side, out = np.uint64(one + low), np.uint64(now + low + 1)
            back = np.uint64(low - s + m - 1)
            for t in range(size):
                best = min(work[side + t], work[side + t + np.uint64(1)])
                best = min(work[corner + t], best)
                difference = a[at + t] - b[back + t]
                work[out + t] = difference * difference + best
            if x.shape[0] > 1:
                cells = work[now + low + 1 : now + high + 2]
                _add_channels(x, reverse, cells, low, low - s + m - 1)
            work[now + low], work[now + high + 2] = np.inf, np.inf
            if s == 0:
                work[two] = np.inf
            while low <= high and work[now + low + 1] > limit - rest[low + 1]:
                low += 1
            while low <= high and work[now + high + 1] > limit - rest[high + 1]:
                high -= 1
        if low > high:
            if last < first:
                return np.inf
            for i in range(now, now + length):
                work[i] = np.inf
            low, high = n + m, -2
        first, last = low, high
        two, one, now = one, now, two
    total = work[one + n]
    return total if total <= limit else np.inf


@jit
def _add_channels(x: Floats, reverse: Floats, out: Floats, low: int, start: int) -> None:
    """What the channels after the first add to the cells of one diagonal."""
    for channel in range(1, x.shape[0]):
        a = x[channel][low : low + out.size]
        b = reverse[channel][start : start + out.size]
        for t in range(out.size):
            difference = a[t] - b[t]
            out[t] += difference * difference


@jit
def envelopes(x: Floats, window: int) -> tuple[Floats, Floats]:
    """Running minima and maxima per channel over [i - window, i + window].

    Each pass doubles the width (the minimum of two neighbouring windows is that of both), so
    there are log2(window) of them, all free of branches.
    """
    channels, n = x.shape
    lower = np.empty((channels, n))
    upper = np.empty((channels, n))
    if window >= n - 1:
        for channel in range(channels):
            lower[channel, :] = x[channel].min()
            upper[channel, :] = x[channel].max()
        return lower, upper
    reach = window
    size = n + 2 * reach
    work = np.empty((4, size))
    passes = 0
    while 2 << passes <= 2 * reach + 1:
        passes += 1
    for channel in range(channels):
        row = x[channel]
        low, high, low_next, high_next = work[0], work[1], work[2], work[3]
        for i in range(size):
            low[i] = np.inf
            high[i] = -np.inf
        for i in range(n):
            low[reach + i] = row[i]
            high[reach + i] = row[i]
        for step in range(passes):
            _fold(low, low_next, high, high_next, (size - (2 << step) + 1, 1 << step))
            low, low_next, high, high_next = low_next, low, high_next, high
        _fold(low, lower[channel], high, upper[channel], (n, 2 * reach + 1 - (1 << passes)))
    return lower, upper


@jit
def _fold(
    low: Floats, low_next: Floats, high: Floats, high_next: Floats, how: tuple[int, int]
) -> None:
    """Minima and maxima with what comes later, given how = (how many, how much later)."""
    size, shift = how
    first, second, out = low[:size], low[shift : shift + size], low_next[:size]
    for i in range(size):
        out[i] = min(first[i], second[i])
    first, second, out = high[:size], high[shift : shift + size], high_next[:size]
    for i in range(size):
        out[i] = max(first[i], second[i])


@jit
def improved(
    x: Floats, y: Floats, lower: Floats, upper: Floats, window: int, rest: Floats, own: Floats
) -> float:
    """Lemire's second bound for x within its envelope; parts per sample of x and y are left.

    Every cell costs at least (y - h)² + (x - h)², h being y clipped into the envelope of x. The
    first part counts once for each sample of y (in `own`), the second for each of x (`rest`).
    """
    channels, n = x.shape
    clipped = np.empty((channels, n))
    own[:], rest[:] = 0.0, 0.0
    for channel in range(channels):
        a, low, high, out = y[channel], lower[channel], upper[channel], clipped[channel]
        for i in range(n):
            value = min(max(a[i], low[i]), high[i])
            out[i] = value
            own[i] += (a[i] - value) * (a[i] - value)
    lows, highs = envelopes(clipped, window)
    for channel in range(channels):
        _add_gaps(rest, x[channel], lows[channel], highs[channel])
    return _total(own.copy()) + _total(rest.copy())


@jit
def _add_gaps(out: Floats, x: Floats, lower: Floats, upper: Floats) -> None:
    """The squared distance of each sample from the envelope."""
    for i in range(x.size):
        over = x[i] - upper[i]
        under = lower[i] - x[i]
        gap = max(under, over)
        gap = max(0.0, gap)
        out[i] += gap * gap


@jit
def _accumulate(rest: Floats, own: Floats, window: int) -> None:
    """From parts to sums: rest[i] becomes a bound of what samples >= i of x still cost.

    A sample of y from i + window on meets only samples of x from i on, so it may count.
    """
    n = rest.size - 1
    for i in range(n - 1, -1, -1):
        own[i] += own[i + 1]
        rest[i] += rest[i + 1]
    for i in range(max(0, n - window)):
        rest[i] += own[i + window]


@jit
def lower_bounds(x: Floats, y: Floats, window: int) -> tuple[float, float]:
    """LB_Keogh and LB_Improved, squared."""
    n = x.shape[1]
    lower, upper = envelopes(x, window)
    own = np.empty(n + 1)
    both = improved(x, y, lower, upper, window, np.empty(n + 1), own)
    return _total(own), both


@jit
def _screen(
    query: Floats, flat: Floats, offsets: Integers, lower: Floats, upper: Floats
) -> tuple[Floats, Floats]:
    """For each candidate a lower and an upper bound of the squared distance.

    Below: what lies outside the query's envelope (Keogh & Ratanamahatana 2005), and the first
    and last pair, which every alignment holds. Above: the alignment along the diagonal, that is
    the squared Euclidean distance. Other lengths than the query's get the corners and infinity.
    """
    channels, n = query.shape
    count = offsets.size - 1
    below, above = np.zeros(count), np.full(count, np.inf)
    work = np.empty(n)
    for c in range(count):
        begins, stops = offsets[c], offsets[c + 1]
        m = stops - begins
        begin = end = 0.0
        for channel in range(channels):
            begin += (query[channel, 0] - flat[channel, begins]) ** 2
            end += (query[channel, n - 1] - flat[channel, stops - 1]) ** 2
        below[c] = begin if n == m == 1 else begin + end
        if n == m and n > 1:
            work[:] = 0.0
            for channel in range(channels):
                other = flat[channel][begins:stops]
                _add_gaps(work, other, lower[channel], upper[channel])
            work[0] = begin
            work[n - 1] = end
            below[c] = _total(work)
        if n == m:
            above[c] = 0.0
            for channel in range(channels):
                a, b = flat[channel][begins:stops], query[channel]
                for i in range(n):
                    work[i] = (a[i] - b[i]) * (a[i] - b[i])
                above[c] += _total(work)
    return below, above


@jit
def _total(work: Floats) -> float:
    """The sum, halves added onto halves, which need not wait for each other. Spoils `work`."""
    size = work.size
    while size > 4:
        half = size // 2
        head, tail = work[:half], work[size - half : size]
        for i in range(half):
            head[i] += tail[i]
        size -= half
    total: float = work[:size].sum()
    return total


@jit
def search(
    query: Floats, flat: Floats, offsets: Integers, window: int, k: int
) -> tuple[Integers, Floats]:
    """The k nearest of the candidates, at most all; every array is valid.

    k candidates are known not to be farther than the k-th smallest upper bound, so nothing
    farther is looked for, from the first on. Roots are compared, not squares: two squares may
    differ in the last bit and share a root, and then the index must decide, as it does for
    brute force.
    """
    n = query.shape[1]
    lower, upper = envelopes(query, window)
    below, above = _screen(query, flat, offsets, lower, upper)
    limit = np.sort(above)[k - 1]
    order = np.argsort(below + np.where(above < np.inf, above, below))
    rest, own, nothing = np.zeros(n + 1), np.zeros(n + 1), np.zeros(n + 1)
    work = np.empty(3 * n + 9)
    slack = 1.0 + 1e-12 + 1e-15 * n
    best, indices = np.full(k, np.inf), np.full(k, offsets.size, np.int64)
    tried = spared = plain = 0
    for c in order:
        worst = min(best[k - 1] * best[k - 1], limit) * slack
        if below[c] > worst:
            continue
        other = flat[:, offsets[c] : offsets[c + 1]].copy()
        known = nothing
        if other.shape[1] == n and 2 * window < n:
            # Where all are alike, or nothing is, bounds only cost: then few are looked at.
            if tried >= _TRIED and 6 * spared < tried:
                plain += 1
                if plain == 4 * _TRIED:
                    tried, spared, plain = _TRIED // 2, 0, 0
                _insert(best, indices, np.sqrt(distance(query, other, window, np.inf)), c)
                continue
            if tried == 2 * _TRIED:
                tried, spared = _TRIED, spared // 2
            tried += 1
            if improved(query, other, lower, upper, window, rest, own) > worst:
                spared += 1
                continue
            _accumulate(rest, own, window)
            known = rest
        squared = _by_diagonals(query, other[:, ::-1].copy(), window, worst, known, work)
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
