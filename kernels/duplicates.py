"""Which vectors of a collection say the same as an earlier one.

All pairs would cost a full product each. The share of random planes that separate two vectors
is their angle / π (Goemans & Williamson 1995; Charikar 2002), so 384 sign bits settle nearly
every pair: those whose bits differ in more places than the threshold's angle explains, by seven
standard deviations, are left out (a chance of about one in a trillion each to be wrong), and all
others are decided by their exact cosine.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels import rows
from kernels.compile import jit
from kernels.rows import Vectors
from kernels.series import Integers

MAX_ROWS = 200_000
"""Two hundred thousand take about half a minute; a compiled loop cannot be interrupted."""

_BITS = 384
_DEVIATIONS = 7.0
_PLANES = 20_261_120
"""Where the planes come from. Other planes would find the same: pairs are decided exactly."""


def near_duplicates(vectors: ArrayLike, threshold: float = 0.98) -> Integers:
    """For each row of (n, d), the earlier row that it repeats, or itself: shape (n,), int64.

    A row repeats the most similar of the earlier rows that repeat none themselves, if the
    cosine of their angle is at least `threshold` (0 < threshold ≤ 1). Rows of zeros have no
    direction and repeat each other. Raises ValueError for NaN, infinity and n > 200 000.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}; pass a cosine above 0, at most 1")
    matrix = rows.as_rows(vectors, "vectors")
    if len(matrix) > MAX_ROWS:
        raise ValueError(
            f"vectors has {len(matrix)} rows, at most {MAX_ROWS} are compared; go by parts"
        )
    unit = rows.unit(matrix)
    share = math.acos(threshold) / math.pi
    limit = _BITS * share + _DEVIATIONS * math.sqrt(_BITS * share * (1 - share)) + 1
    # Two equal vectors have a cosine of 1 up to rounding.
    least = threshold - 4e-7
    owners = np.arange(len(unit), dtype=np.int64)
    with np.errstate(over="ignore"):  # counting bits multiplies modulo 2**64
        _find(_signatures(unit), unit, int(limit), least, owners)
    zeros = np.flatnonzero(~unit.any(axis=1))
    if zeros.size:
        owners[zeros] = zeros[0]
    return owners


def _signatures(unit: Vectors) -> NDArray[np.uint64]:
    """On which side of each random plane a row lies: shape (n, 6)."""
    planes = np.random.default_rng(_PLANES).standard_normal((unit.shape[1], _BITS))
    signs = np.empty((len(unit), _BITS // 8), np.uint8)
    for start in range(0, len(unit), 4096):
        sides = unit[start : start + 4096] @ planes.astype(np.float32)
        signs[start : start + 4096] = np.packbits(sides > 0, axis=1)
    return signs.view(np.uint64)


@jit
def _find(
    signs: NDArray[np.uint64], unit: Vectors, limit: int, least: float, owners: Integers
) -> None:
    """Each row against the rows that repeat none, oldest first; of equals the oldest wins."""
    n, words = signs.shape
    d = unit.shape[1]
    kept = np.empty(n, np.int64)
    count = 0
    pairs = np.uint64(0x5555555555555555)
    fours = np.uint64(0x3333333333333333)
    eights = np.uint64(0x0F0F0F0F0F0F0F0F)
    ones = np.uint64(0x0101010101010101)
    compact = np.empty_like(signs)
    for i in range(n):
        best = least
        for c in range(count):
            total = np.uint64(0)
            for w in range(words):
                x = signs[i, w] ^ compact[c, w]
                x = x - ((x >> np.uint64(1)) & pairs)
                x = (x & fours) + ((x >> np.uint64(2)) & fours)
                x = (x + (x >> np.uint64(4))) & eights
                total += (x * ones) >> np.uint64(56)
            if total > limit:
                continue
            other = kept[c]
            cosine = 0.0
            for j in range(d):
                cosine += np.float64(unit[i, j]) * np.float64(unit[other, j])
            if cosine >= least and (cosine > best or owners[i] == i):
                best = cosine
                owners[i] = other
        if owners[i] == i:
            kept[count] = i
            compact[count] = signs[i]
            count += 1
