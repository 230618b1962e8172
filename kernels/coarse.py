"""A first look at int8 codes through four bits of each: half the memory to read.

A scan of many rows waits for memory. So every code is also kept in four bits, and only rows whose
rough score comes near the best are scored by their codes. What four bits lose is made random, by
subtractive dithering (Roberts 1962): a code v from -127 to 127 is kept as (v + 127 + u) // 17
with u from 0 to 16 drawn once per row and column, and 17 times that + 8 - u - 127 is off by a whole
number from -8 to 8, each as likely as the other, whatever v is. The error of a product with a query
q is then a sum of independent terms of mean 0 and standard deviation sqrt(24)·|q|, and since such
terms are sub-Gaussian it passes five of these with a probability below e^-12.5 = 4e-6, whatever
the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.compile import jit
from kernels.products import LANES, dot_bytes, dot_nibbles
from kernels.rows import Vectors
from kernels.scans import keep
from kernels.series import Integers

STEP = 17
"""Of a code; sixteen of them hold all from -127 to 127 and the dither."""

DEVIATIONS = 5.0
"""Of the error, by which a row's rough score may be below one that counts."""

_ROUNDING = np.float32(1e-6)
"""Of scores in float32, relative."""

_BLOCK = 128
"""Rows whose scores are looked at together."""

_DITHERS = 32
"""Rows of dither; row i of the codes has number i modulo so many."""

_SPREAD = float(np.sqrt((STEP**2 - 1) / 12))
_START = 20_261_120
"""Where the dither comes from. Any other would do."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Four bits of every int8 code: `words` (n, w), value c·w + j in bits 4c to 4c + 3 of word j.

    `dither` has shape (32, 4w); columns beyond the codes' dimension are there but mean nothing.
    """

    words: NDArray[np.uint16]
    dither: NDArray[np.int8]


def plane_of(values: NDArray[np.int8]) -> Plane:
    """The plane of codes of shape (n, d): about half their size, 40 ms for 100 000 × 384."""
    n, d = values.shape
    width = -(-d // (4 * LANES)) * LANES
    random = np.random.default_rng(_START)
    dither = random.integers(0, STEP, (_DITHERS, 4 * width), np.int8)
    words = np.zeros((n, width), np.uint16)
    _fill(values, dither, words)
    return Plane(words, dither)


@jit
def _fill(values: NDArray[np.int8], dither: NDArray[np.int8], words: NDArray[np.uint16]) -> None:
    n, d = values.shape
    width = words.shape[1]
    for i in range(n):
        row = dither[i % dither.shape[0]]
        for c in range(4):
            first = c * width
            source = values[i, first : min(d, first + width)]
            noise = row[first : first + width]
            target = words[i]
            for j in range(source.size):
                level = (np.int32(source[j]) + 127 + np.int32(noise[j])) // STEP
                target[j] |= np.uint16(level << (4 * c))


@jit
def scan(
    plane: tuple[NDArray[np.uint16], NDArray[np.int8]],
    values: NDArray[np.int8],
    factors: NDArray[np.int16],
    unit: np.float32,
    scales: Vectors,
    offsets: Vectors,
    use: NDArray[np.bool_],
    indices: Integers,
    scores: Vectors,
) -> int:
    """The best rows for one query into a heap, as `scans.scan_int8` finds them; how many.

    `factors` (1, 4w) is the query by `scans.round_queries`, as wide as the dither. The exact
    scores of the rows that look best give a bound that few others come near.
    """
    n, k = len(values), indices.size
    rough = np.empty(n, np.float32)
    _look(plane, factors, use, rough)
    count = none = k - indices.size  # 0, but typed: a literal would compile `keep` twice
    for start in range(0, n, _BLOCK):
        stop = min(n, start + _BLOCK)
        block, scale, offset = rough[start:stop], scales[start:stop], offsets[start:stop]
        for i in range(block.size):
            block[i] = block[i] * unit * scale[i] + offset[i]
        if _any_above(block, scores[0] if count == k else np.float32(-np.inf)):
            for i in range(start, stop):
                if use[i] and (count < k or rough[i] > scores[0]):
                    count = keep(indices, scores, count, rough[i], i)
    best = indices[:count].copy()
    exact = _scores(values, best, factors, unit, scales, offsets)
    floor = exact.min() if count == k else np.float32(-np.inf)
    floor -= abs(floor) * _ROUNDING
    square = 0.0
    for j in range(factors.shape[1]):
        square += np.float64(factors[0, j]) ** 2
    margin = np.float32(DEVIATIONS * _SPREAD * np.sqrt(square)) * unit
    near = _near(rough, scales, margin, use, floor)
    exact = _scores(values, near, factors, unit, scales, offsets)
    count = none
    for place in range(near.size):
        if count < k or exact[place] > scores[0]:
            count = keep(indices, scores, count, exact[place], near[place])
    return count


@jit
def _look(
    plane: tuple[NDArray[np.uint16], NDArray[np.int8]],
    factors: NDArray[np.int16],
    use: NDArray[np.bool_],
    rough: Vectors,
) -> None:
    """The product of each row with the query, as four bits tell it; 0 for rows not in use."""
    words, dither = plane
    width = words.shape[1]
    shifts = np.zeros(_DITHERS, np.int64)
    for t in range(_DITHERS):
        for j in range(4 * width):
            shifts[t] += np.int64(factors[0, j]) * (127 - STEP // 2 + np.int64(dither[t, j]))
    for i in range(len(words)):
        total = np.int64(0)
        if use[i]:
            total = STEP * dot_nibbles(words, i, factors, 0, width) - shifts[i % _DITHERS]
        rough[i] = np.float32(total)


@jit
def _near(
    rough: Vectors, scales: Vectors, margin: np.float32, use: NDArray[np.bool_], floor: np.float32
) -> Integers:
    """Rows whose score may reach the floor, in their order."""
    n = rough.size
    found = np.empty(n, np.int64)
    count = 0
    for start in range(0, n, _BLOCK):
        stop = min(n, start + _BLOCK)
        block, scale = rough[start:stop], scales[start:stop]
        for i in range(block.size):
            block[i] += margin * abs(scale[i])
        if _any_above(block, floor):
            for i in range(start, stop):
                if use[i] and rough[i] >= floor:
                    found[count] = i
                    count += 1
    return found[:count].copy()


@jit
def _scores(
    values: NDArray[np.int8],
    chosen: Integers,
    factors: NDArray[np.int16],
    unit: np.float32,
    scales: Vectors,
    offsets: Vectors,
) -> Vectors:
    """Of some rows, by their codes; nothing else is done here, so that many rows come at once."""
    d = values.shape[1]
    whole = d // LANES * LANES
    scores = np.empty(chosen.size, np.float32)
    for place in range(chosen.size):
        i = chosen[place]
        total = np.int64(dot_bytes(values, i, factors, 0, whole))
        for j in range(whole, d):
            total += np.int64(values[i, j]) * np.int64(factors[0, j])
        scores[place] = np.float32(total) * unit * scales[i] + offsets[i]
    return scores


@jit
def _any_above(block: Vectors, bound: np.float32) -> bool:
    """Whether any score reaches the bound: most blocks have none, and need no branch per row."""
    near = 0
    for i in range(block.size):
        near += 1 if block[i] >= bound else 0
    return near > 0
