"""Divergence curves: how the distance of paired states grows as time runs on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.compile import jit
from kernels.series import Floats, Integers

BLOCKS = 16
"""Groups of pairs, left out one by one to see how far the slope depends on them."""

EXACT = 1e-26
"""Squared distance, in standard deviations, below which two vectors are equal up to rounding."""


_LANES = 16
"""Loops over samples and steps are rounded up to so many: what is left over would go one by one."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Per block of pairs (rows) and step (columns): sums of ln distance and how many they are."""

    steps: Integers
    sums: Floats
    counts: Integers

    def mean(self) -> Floats:
        mean: Floats = self.sums.sum(axis=0) / self.counts.sum(axis=0)
        return mean


def follow(standard: Floats, vectors: Floats, pairs: Integers, steps: Integers, lag: int) -> Curves:
    """The curves of pairs of delay `vectors`, shape (count, 2), `steps` samples later.

    In a flow (lag above 1) the partner is first moved along its own path to where it is closest,
    between two samples. What separates two points of one path never grows; left in, this offset
    of up to half a sample hides the start of the growth (Rössler's exponent came out a fifth low).
    """
    pairs = np.ascontiguousarray(pairs)
    shares = np.zeros(len(pairs))
    if lag > 1:
        pairs, shares = _align(vectors, pairs)
    # One sample more at the start and two at the end: a cubic needs four around each point. What
    # a group of lanes computes beyond its last step is not used.
    padded = np.concatenate([standard[:1], standard, np.full(2 + _LANES, standard[-1])])
    shape = (vectors.shape[1], lag)
    return Curves(steps, *_divergence(padded, pairs, shares, steps, shape, BLOCKS))


def spread_of_neighbourhoods(
    standard: Floats, references: Integers, neighbours: tuple[Integers, Integers], steps: Integers
) -> Curves:
    """As `follow`, of the mean distance of all neighbours of a reference, one sample each (Kantz).

    `references` point at the newest sample of each state, `neighbours` hold where the list of
    each begins, and the newest samples of the states in the lists.
    """
    return Curves(steps, *_spread(standard, references, *neighbours, steps, BLOCKS))


def unrelated(vectors: Floats) -> float:
    """Mean ln distance of vectors unrelated in time: where divergence curves saturate."""
    return float(_unrelated(vectors, min(len(vectors), 1000)))


def determinism(vectors: Floats, pairs: Integers, before: Floats, later: int) -> float:
    """Slope of ln distance, `later` samples on, on ln distance now; clipped to [-1, 1]."""
    return float(np.clip(_determinism(vectors, pairs, before, later), -1.0, 1.0))


def jackknife(coefficients: Floats, curves: Curves) -> float:
    """Standard error of the slope, from curves with one block of pairs left out each."""
    kept_sums = curves.sums.sum(axis=0) - curves.sums
    kept_counts = curves.counts.sum(axis=0) - curves.counts
    slopes = (kept_sums / np.maximum(kept_counts, 1)) @ coefficients
    return float(np.sqrt((BLOCKS - 1) / BLOCKS * np.sum((slopes - slopes.mean()) ** 2)))


@jit
def _align(vectors: Floats, pairs: Integers) -> tuple[Integers, Floats]:
    """The sample before the closest point of each partner's path, and the share of the way on."""
    count, dimension = vectors.shape
    moved = pairs.copy()
    shares = np.zeros(len(pairs))
    for p in range(len(pairs)):
        i, j = pairs[p, 0], pairs[p, 1]
        behind, ahead = max(j - 1, 0), min(j + 1, count - 1)
        along = square = 0.0
        for d in range(dimension):
            speed = (vectors[ahead, d] - vectors[behind, d]) / 2
            along += (vectors[i, d] - vectors[j, d]) * speed
            square += speed * speed
        share = min(0.5, max(-0.5, along / square)) if square > 0.0 else 0.0
        if share < 0.0 and j > 0:
            moved[p, 1] = j - 1
            share += 1.0
        shares[p] = max(0.0, share)
    return moved, shares


@jit
def _unrelated(vectors: Floats, size: int) -> float:
    """Pairs as a linear congruence throws them: the same in every run, near no diagonal."""
    count, dimension = vectors.shape
    total = 0.0
    used = 0
    for k in range(size):
        i = k * 7919 % count
        j = (k * 104729 + count // 2) % count
        squared = 0.0
        for d in range(dimension):
            difference = vectors[i, d] - vectors[j, d]
            squared += difference * difference
        if squared > EXACT:
            total += 0.5 * np.log(squared)
            used += 1
    return total / used if used > 0 else 0.0


@jit
def _determinism(vectors: Floats, pairs: Integers, before: Floats, later: int) -> float:
    """The least-squares slope; 0 when fewer than 16 pairs can be followed."""
    count, dimension = vectors.shape
    used = 0.0
    mean_x = mean_y = var_x = cov = 0.0
    followed = 0
    for p in range(len(pairs)):
        i, j = pairs[p, 0] + later, pairs[p, 1] + later
        if i >= count or j >= count:
            continue
        followed += 1
        squared = 0.0
        for d in range(dimension):
            difference = vectors[i, d] - vectors[j, d]
            squared += difference * difference
        if squared > EXACT:
            used += 1.0
            now, then = np.log(before[p]), np.log(squared)
            step = now - mean_x
            mean_x += step / used
            mean_y += (then - mean_y) / used
            var_x += step * (now - mean_x)
            cov += step * (then - mean_y)
    return cov / var_x if followed >= 16 and var_x > 0.0 else 0.0


@jit
def _divergence(
    padded: Floats,
    pairs: Integers,
    shares: Floats,
    steps: Integers,
    shape: tuple[int, int],
    blocks: int,
) -> tuple[Floats, Integers]:
    """Per block of pairs and step: the sum of ln distance, and how many distances were not zero.

    `steps` are evenly spaced. The squared differences of two stretches of the series are computed
    once (and vectorise); the squared distance of two delay vectors is a sum of some of them.
    Eight squared distances are multiplied before one logarithm is taken: each lies between 1e-26
    and about 1e6, so the product neither under- nor overflows.
    """
    dimension, lag = shape
    sums = np.zeros((blocks, steps.size))
    counts = np.zeros((blocks, steps.size), np.int64)
    stride = steps[1] - steps[0] if steps.size > 1 else 1
    width = (steps.size + _LANES - 1) // _LANES * _LANES
    length = (steps[-1] + (dimension - 1) * lag + _LANES) // _LANES * _LANES
    gaps = np.zeros(length + width)
    squared = np.zeros(width)
    products = np.ones(width)
    found = np.zeros(width, np.int64)
    count = pairs.shape[0]
    for block in range(blocks):
        start = block * count // blocks
        stop = (block + 1) * count // blocks
        total = sums[block]
        found[:] = 0
        for p in range(start, stop):
            # Slices, because an index that could be negative keeps a loop from vectorising.
            one = padded[pairs[p, 0] + 1 : pairs[p, 0] + 1 + length]
            other = padded[pairs[p, 1] : pairs[p, 1] + length + 3]
            share = shares[p]
            if share == 0.0:
                for t in range(length):
                    gap = one[t] - other[t + 1]
                    gaps[t] = gap * gap
            else:
                # Catmull-Rom: a straight line between coarse samples would miss the path by more
                # than neighbours are apart.
                before = share * (-0.5 + share * (1.0 - 0.5 * share))
                here = 1.0 + share * share * (1.5 * share - 2.5)
                after = share * (0.5 + share * (2.0 - 1.5 * share))
                beyond = share * share * 0.5 * (share - 1.0)
                for t in range(length):
                    gap = one[t] - before * other[t] - here * other[t + 1]
                    gap -= after * other[t + 2] + beyond * other[t + 3]
                    gaps[t] = gap * gap
            squared[:] = 0.0
            for d in range(dimension):
                part = gaps[steps[0] + d * lag :]
                if stride == 1:
                    for s in range(width):
                        squared[s] += part[s]
                else:
                    for s in range(steps.size):
                        squared[s] += part[s * stride]
            for s in range(width):
                apart = squared[s] > EXACT
                products[s] *= squared[s] if apart else 1.0
                found[s] += 1 if apart else 0
            if (p - start) % 8 == 7 or p == stop - 1:
                for s in range(steps.size):
                    total[s] += 0.5 * np.log(products[s])
                products[:] = 1.0
        counts[block] = found[: steps.size]
    return sums, counts


@jit
def _spread(
    x: Floats,
    references: Integers,
    starts: Integers,
    found: Integers,
    steps: Integers,
    blocks: int,
) -> tuple[Floats, Integers]:
    """Per block of references and step: the sum of ln(mean distance), and how many were not 0."""
    sums = np.zeros((blocks, steps.size))
    counts = np.zeros((blocks, steps.size), np.int64)
    count = references.size
    for block in range(blocks):
        for r in range(block * count // blocks, (block + 1) * count // blocks):
            if starts[r + 1] == starts[r]:
                continue
            for s in range(steps.size):
                value = x[references[r] + steps[s]]
                total = 0.0
                for p in range(starts[r], starts[r + 1]):
                    total += abs(x[found[p] + steps[s]] - value)
                if total > 1e-13:
                    sums[block, s] += np.log(total / (starts[r + 1] - starts[r]))
                    counts[block, s] += 1
    return sums, counts
