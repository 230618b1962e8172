"""Which vectors of a collection say the same as an earlier one.

All pairs would cost a full product each. The share of random planes that separate two vectors
is their angle / π (Goemans & Williamson 1995; Charikar 2002), so 384 sign bits settle nearly
every pair: those whose bits differ in more places than the threshold's angle explains, by seven
standard deviations, are left out (a chance of about one in a trillion each to be wrong), and all
others are decided by their exact cosine.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels import rows
from kernels.compile import jit
from kernels.rows import Vectors
from kernels.series import Integers

MAX_ROWS = 200_000
"""Two hundred thousand of 384 take a minute, ten where all are alike and yet none the same."""

_BITS = 384
_DEVIATIONS = 7.0
_PLANES = 20_261_120
"""Where the planes come from. Other planes would find the same: pairs are decided exactly."""

_TOGETHER = 64
"""Rows that are held against each kept one at a time: side by side they vectorise, and a kept row
is fetched from memory once for all of them."""

_FEW = 8
"""Of them, from which on all are measured at once."""

_ROUNDING = 1.2e-7
"""Twice what a sum of products of unit rows in float32 may be off, per dimension."""

Watch = Callable[[int, int], None]


def near_duplicates(
    vectors: ArrayLike, threshold: float = 0.98, *, watch: Watch | None = None
) -> Integers:
    """For each row of (n, d), the earlier row that it repeats, or itself: shape (n,), int64.

    A row repeats the most similar of the earlier rows that repeat none themselves, if the
    cosine of their angle is at least `threshold` (0 < threshold ≤ 1). Rows of zeros have no
    direction and repeat each other. `watch(done, n)` is called before every 64 rows and may
    raise. Raises ValueError for NaN, infinity and n > 200 000.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}; pass a cosine above 0, at most 1")
    matrix = rows.as_rows(vectors, "vectors")
    if len(matrix) > MAX_ROWS:
        raise ValueError(
            f"vectors has {len(matrix)} rows, at most {MAX_ROWS} are compared; go by parts"
        )
    unit = rows.unit(matrix)
    owners = np.arange(len(unit), dtype=np.int64)
    signs = _signatures(unit)
    bounds = _bounds(threshold, unit.shape[1])
    kept, compact, count = np.empty(len(unit), np.int64), np.empty_like(signs), 0
    for start in range(0, len(unit), _TOGETHER):
        if watch is not None:
            watch(start, len(unit))
        stop = min(start + _TOGETHER, len(unit))
        with np.errstate(over="ignore"):  # counting bits multiplies modulo 2**64
            count = _find((start, stop, count), signs, unit, bounds, kept, compact, owners)
    zeros = np.flatnonzero(~unit.any(axis=1))
    if zeros.size:
        owners[zeros] = zeros[0]
    return owners


def _bounds(threshold: float, dimension: int) -> tuple[int, float, float]:
    """Bits that may differ, the least cosine in float32 worth a second look, and the least."""
    share = math.acos(threshold) / math.pi
    limit = _BITS * share + _DEVIATIONS * math.sqrt(_BITS * share * (1 - share)) + 1
    # Two equal vectors have a cosine of 1 up to rounding.
    least = threshold - 4e-7
    return int(limit), least - _ROUNDING * dimension, least


def _signatures(unit: Vectors) -> NDArray[np.uint64]:
    """On which side of each random plane a row lies: shape (n, 6)."""
    planes = np.random.default_rng(_PLANES).standard_normal((unit.shape[1], _BITS))
    planes = planes.astype(np.float32)
    signs = np.empty((len(unit), _BITS // 8), np.uint8)
    for start in range(0, len(unit), 4096):
        sides = unit[start : start + 4096] @ planes
        signs[start : start + 4096] = np.packbits(sides > 0, axis=1)
    return signs.view(np.uint64)


@jit
def _find(
    place: tuple[int, int, int],
    signs: NDArray[np.uint64],
    unit: Vectors,
    bounds: tuple[int, float, float],
    kept: Integers,
    compact: NDArray[np.uint64],
    owners: Integers,
) -> int:
    """Rows start to stop against those that repeat none, oldest first; of equals the oldest wins.

    `kept` and `compact` are the numbers and signs of these, `count` of them before; returns how
    many there are afterwards.
    """
    start, stop, count = place
    limit, rough, least = bounds
    size = stop - start
    words = signs.shape[1]
    d = unit.shape[1]
    sides = np.empty((words, size), np.uint64)
    block = np.empty((d, size), np.float32)
    for i in range(size):
        for w in range(words):
            sides[w, i] = signs[start + i, w]
        for j in range(d):
            block[j, i] = unit[start + i, j]
    differ = np.empty(size, np.int64)
    cosines = np.empty(size, np.float32)
    best = np.full(size, least)
    for c in range(count):
        close = _differing(sides, compact[c], differ, limit)
        if close == 0:
            continue
        other = unit[kept[c]]
        measured = close >= _FEW
        if measured:
            cosines[:] = np.float32(0.0)
            for j in range(d):
                value = other[j]
                column = block[j]
                for i in range(size):
                    cosines[i] += value * column[i]
        for i in range(size):
            if differ[i] > limit or (measured and cosines[i] < rough):
                continue
            cosine = _cosine(unit[start + i], other)
            row = start + i
            if cosine >= least and (cosine > best[i] or owners[row] == row):
                best[i] = cosine
                owners[row] = kept[c]
    # Those before were whole rows of old ones; now these among themselves, in their order.
    first = count
    for i in range(size):
        row = start + i
        for c in range(first, count):
            if _apart(signs[row], compact[c]) > limit:
                continue
            cosine = _cosine(unit[row], unit[kept[c]])
            if cosine >= least and (cosine > best[i] or owners[row] == row):
                best[i] = cosine
                owners[row] = kept[c]
        if owners[row] == row:
            kept[count] = row
            compact[count] = signs[row]
            count += 1
    return count


@jit
def _differing(
    sides: NDArray[np.uint64], other: NDArray[np.uint64], differ: Integers, limit: int
) -> int:
    """In how many bits each column of `sides` differs from `other`; how many are within the limit.

    Bits are counted in parallel within each word (Warren, Hacker's Delight 5-1).
    """
    differ[:] = 0
    for w in range(sides.shape[0]):
        side = sides[w]
        for i in range(differ.size):
            differ[i] += _ones(side[i] ^ other[w])
    within = 0
    for i in range(differ.size):
        within += differ[i] <= limit
    return within


@jit
def _apart(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> np.int64:
    total = np.int64(0)
    for w in range(first.size):
        total += _ones(first[w] ^ second[w])
    return total


@jit
def _ones(x: np.uint64) -> np.int64:
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@jit
def _cosine(first: Vectors, second: Vectors) -> float:
    """Of unit rows, in float64; four sums, because each addition to one waits for the last."""
    d = first.size
    a = b = c = e = 0.0
    whole = d - d % 4
    for j in range(0, whole, 4):
        a += np.float64(first[j]) * np.float64(second[j])
        b += np.float64(first[j + 1]) * np.float64(second[j + 1])
        c += np.float64(first[j + 2]) * np.float64(second[j + 2])
        e += np.float64(first[j + 3]) * np.float64(second[j + 3])
    for j in range(whole, d):
        a += np.float64(first[j]) * np.float64(second[j])
    return (a + b) + (c + e)
