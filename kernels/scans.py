"""Scans of codes for the best rows of each query: what `vectors.top_k` compiles.

All share their last seven arguments: the codes' scales and offsets, the rows to look at, and per
query the heap of the best so far (rows, scores, and how many there are).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.compile import jit
from kernels.products import LANES, dot_bytes
from kernels.rows import Vectors
from kernels.series import Integers

_BLOCK = 512
"""Rows that stay in the first cache levels while every query of a batch is held against them."""


@jit
def round_queries(queries: Vectors, width: int, largest: float, tiny: float) -> tuple[Any, Vectors]:
    """Rows as whole numbers up to `largest` in int16, zeros beyond them, and the unit of each.

    As the int8 codes are made, but at once: for one query the steps in numpy cost more.
    """
    m, d = queries.shape
    factors = np.zeros((m, width), np.int16)
    units = np.zeros(m, np.float32)
    for i in range(m):
        peak = np.float32(0)
        for j in range(d):
            peak = max(peak, abs(queries[i, j]))
        if peak > tiny:
            units[i] = peak / np.float32(largest)
            inverse = np.float32(1) / units[i]
            for j in range(d):
                value = np.rint(np.float32(queries[i, j] * inverse))
                factors[i, j] = np.int16(min(max(value, -largest), largest))
    return factors, units


@jit
def keep(indices: Integers, scores: Vectors, count: int, score: np.float32, row: int) -> int:
    """Put a row into the heap of the best so far, its worst on top; the new count.

    Of equal scores the later row is the worse: rows come in order, so it never gets in.
    """
    place = count
    if count < indices.size:
        while place > 0 and scores[(place - 1) // 2] >= score:
            above = (place - 1) // 2
            # Of equals the earlier row must not rise above a later one.
            if scores[above] == score and indices[above] > row:
                break
            scores[place] = scores[above]
            indices[place] = indices[above]
            place = above
        scores[place] = score
        indices[place] = row
        return count + 1
    place = 0
    while True:
        below = 2 * place + 1
        if below >= count:
            break
        other = below + 1
        if other < count and (
            scores[other] < scores[below]
            or (scores[other] == scores[below] and indices[other] > indices[below])
        ):
            below = other
        if scores[below] > score or (scores[below] == score and indices[below] < row):
            break
        scores[place] = scores[below]
        indices[place] = indices[below]
        place = below
    scores[place] = score
    indices[place] = row
    return count


@jit
def scan_int8(
    values: NDArray[np.int8],
    queries: NDArray[np.int16],
    units: Vectors,
    scales: Vectors,
    offsets: Vectors,
    use: NDArray[np.bool_],
    indices: Integers,
    scores: Vectors,
    counts: Integers,
) -> None:
    """Products of int8 in int32, block by block."""
    n, d = values.shape
    k = indices.shape[1]
    whole = d // LANES * LANES
    products = np.empty(_BLOCK, np.int32)
    found = np.empty(_BLOCK, np.float32)
    for start in range(0, n, _BLOCK):
        stop = min(n, start + _BLOCK)
        for m in range(queries.shape[0]):
            for i in range(start, stop):
                total = np.int32(0)
                if use[i]:
                    total = dot_bytes(values, i, queries, m, whole)
                    for j in range(whole, d):
                        total = np.int32(total + np.int32(values[i, j]) * np.int32(queries[m, j]))
                products[i - start] = total
            size = stop - start
            unit, scale, offset = units[m], scales[start:stop], offsets[start:stop]
            for i in range(size):
                found[i] = np.float32(products[i]) * unit * scale[i] + offset[i]
            # Most blocks hold nothing better, and to know that needs no branch per row.
            worst = scores[m, 0] if counts[m] == k else np.float32(-np.inf)
            better = np.int32(0)
            for i in range(size):
                better = np.int32(better + np.int32(found[i] > worst))
            if better == 0:
                continue
            for i in range(size):
                score = found[i]
                if use[start + i] and (counts[m] < k or score > scores[m, 0]):
                    counts[m] = keep(indices[m], scores[m], counts[m], score, start + i)


@jit
def scan_int4(
    values: NDArray[Any],
    queries: NDArray[Any],
    units: Vectors,
    scales: Vectors,
    offsets: Vectors,
    use: NDArray[np.bool_],
    indices: Integers,
    scores: Vectors,
    counts: Integers,
) -> None:
    """Both halves of each byte against both halves of the query; the 8 is taken off at the end."""
    n, half = values.shape
    d = queries.shape[1]
    k = indices.shape[1]
    low = np.zeros(half, np.int8)
    high = np.zeros(half, np.int8)
    for m in range(queries.shape[0]):
        shift = np.int32(0)
        for j in range(d):
            shift = np.int32(shift + 8 * np.int32(queries[m, j]))
        low[:] = queries[m, :half]
        high[: d - half] = queries[m, half:]
        for i in range(n):
            if not use[i]:
                continue
            row = values[i]
            total = np.int32(0)
            other = np.int32(0)
            for j in range(half):
                total = np.int32(total + np.int32(row[j] & np.uint8(15)) * np.int32(low[j]))
            for j in range(half):
                other = np.int32(other + np.int32(row[j] >> np.uint8(4)) * np.int32(high[j]))
            score = np.float32(total + other - shift) * units[m] * scales[i] + offsets[i]
            if counts[m] < k or score > scores[m, 0]:
                counts[m] = keep(indices[m], scores[m], counts[m], score, i)


@jit
def scan_signs(
    values: NDArray[Any],
    queries: NDArray[Any],
    scales: Vectors,
    offsets: Vectors,
    use: NDArray[np.bool_],
    indices: Integers,
    scores: Vectors,
    counts: Integers,
) -> None:
    """Bits that differ, counted in parallel within each word (Warren, Hacker's Delight 5-1)."""
    n, words = values.shape
    k = indices.shape[1]
    pairs = np.uint64(0x5555555555555555)
    fours = np.uint64(0x3333333333333333)
    eights = np.uint64(0x0F0F0F0F0F0F0F0F)
    ones = np.uint64(0x0101010101010101)
    for m in range(queries.shape[0]):
        for i in range(n):
            if not use[i]:
                continue
            total = np.uint64(0)
            for w in range(words):
                x = values[i, w] ^ queries[m, w]
                x = x - ((x >> np.uint64(1)) & pairs)
                x = (x & fours) + ((x >> np.uint64(2)) & fours)
                x = (x + (x >> np.uint64(4))) & eights
                total += (x * ones) >> np.uint64(56)
            score = np.float32(total) * scales[i] + offsets[i]
            if counts[m] < k or score > scores[m, 0]:
                counts[m] = keep(indices[m], scores[m], counts[m], score, i)
