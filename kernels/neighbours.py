"""The nearest vector that is not close in time, or all near ones, by a kd-tree (Bentley 1975).

Delay vectors of a deterministic system fill few dimensions, so a tree visits a small share of
them: at 5 000 vectors it takes a tenth of the time of comparing all.
"""

from __future__ import annotations

import numpy as np

from kernels.compile import jit
from kernels.series import Floats, Integers

_LEAF = 32
"""Vectors of a leaf, compared side by side; smaller leaves cost more bookkeeping than they save."""

MOST_DIFFERENCES = 100_000_000_000
"""Coordinates that a search may compare, about a minute: a kernel cannot be interrupted."""


def check_work(vectors: int, references: int, dimension: int) -> None:
    """ValueError when the neighbours of so many references could take longer than about a minute.

    A tree over few dimensions spares most vectors even in noise; over many it spares none.
    """
    visited = min(vectors, 2 * _LEAF << min(dimension, 40))
    if references * visited * dimension > MOST_DIFFERENCES:
        raise ValueError(
            f"the neighbours of {references} among {vectors} vectors of dimension {dimension} "
            "would take too long; pass fewer references, a smaller dimension or a shorter series"
        )


@jit
def nearest_apart(
    vectors: Floats, references: Integers, limit: int, theiler: int
) -> tuple[Integers, Floats]:
    """For each reference the closest of the first `limit` vectors more than `theiler` away in time.

    Returns indices (-1 when there is none) and squared Euclidean distances. Neighbours stay
    neighbours for a while, so what followed the last winner bounds the search from the start.
    """
    order, points, edges, axes, cuts, children, boxes = _build(vectors, limit)
    found = np.empty(references.size, np.int64)
    distances = np.empty(references.size)
    nodes = np.empty(128, np.int64)
    gaps = np.empty(128)
    squared = np.empty(limit)
    for r in range(references.size):
        i = references[r]
        state = vectors[i]
        best = np.inf
        winner = -1
        if r > 0 and found[r - 1] >= 0:
            guess = found[r - 1] + i - references[r - 1]
            if 0 <= guess < limit and abs(guess - i) > theiler:
                best = 0.0
                for d in range(vectors.shape[1]):
                    difference = state[d] - vectors[guess, d]
                    best += difference * difference
                winner = guess
        nodes[0] = 0
        gaps[0] = 0.0
        depth = 1
        while depth > 0:
            depth -= 1
            node = nodes[depth]
            if gaps[depth] >= best:
                continue
            while children[node] >= 0:
                offset = state[axes[node]] - cuts[node]
                near = children[node] + (1 if offset > 0.0 else 0)
                far = 2 * children[node] + 1 - near
                # From the state to the box around the other half's vectors.
                gap = 0.0
                low, high = boxes[far, 0], boxes[far, 1]
                for d in range(state.size):
                    beyond = max(low[d] - state[d], state[d] - high[d], 0.0)
                    gap += beyond * beyond
                if gap < best:
                    nodes[depth] = far
                    gaps[depth] = gap
                    depth += 1
                node = near
            first, stop = edges[node, 0], edges[node, 1]
            leaf = squared[: stop - first]
            leaf[:] = 0.0
            for d in range(vectors.shape[1]):
                value = state[d]
                column = points[d, first:stop]
                for p in range(leaf.size):
                    difference = value - column[p]
                    leaf[p] += difference * difference
            for p in range(leaf.size):
                if leaf[p] < best and abs(order[first + p] - i) > theiler:
                    best = leaf[p]
                    winner = order[first + p]
            if best == 0.0:
                break
        found[r] = winner
        distances[r] = best
    return found, distances


@jit
def within_apart(
    vectors: Floats,
    references: Integers,
    limit: int,
    theiler: int,
    squared_radius: float,
    most: int,
) -> tuple[Integers, Integers]:
    """For each reference up to `most` of the first `limit` vectors within a radius, as a list.

    Those of reference r are `found[starts[r]:starts[r + 1]]`: the first ones met in the tree, so
    a full list is an arbitrary, not a nearest, choice.
    """
    order, points, edges, axes, cuts, children, _boxes = _build(vectors, limit)
    starts = np.zeros(references.size + 1, np.int64)
    found = np.empty(references.size * most, np.int64)
    nodes = np.empty(128, np.int64)
    used = 0
    for r in range(references.size):
        i = references[r]
        nodes[0] = 0
        depth = 1
        room = used + most
        while depth > 0 and used < room:
            depth -= 1
            node = nodes[depth]
            while children[node] >= 0:
                offset = vectors[i, axes[node]] - cuts[node]
                near = children[node] + (1 if offset > 0.0 else 0)
                if offset * offset <= squared_radius:
                    nodes[depth] = 2 * children[node] + 1 - near
                    depth += 1
                node = near
            for p in range(edges[node, 0], edges[node, 1]):
                if used == room:
                    break
                if abs(order[p] - i) <= theiler:
                    continue
                squared = 0.0
                for d in range(vectors.shape[1]):
                    difference = vectors[i, d] - points[d, p]
                    squared += difference * difference
                if squared <= squared_radius:
                    found[used] = order[p]
                    used += 1
        starts[r + 1] = used
    return starts, found[:used].copy()


@jit
def _build(
    vectors: Floats, limit: int
) -> tuple[Integers, Floats, Integers, Integers, Floats, Integers, Floats]:
    """Split at the median of the widest axis until leaves are small or hold equal vectors."""
    dimension = vectors.shape[1]
    room = 4 * (limit // _LEAF + 2)
    order = np.arange(limit)
    edges = np.zeros((room, 2), np.int64)
    axes = np.zeros(room, np.int64)
    cuts = np.zeros(room)
    children = np.full(room, -1, np.int64)
    boxes = np.empty((room, 2, dimension))
    edges[0, 1] = limit
    used = 1
    node = 0
    while node < used:
        start, stop = edges[node, 0], edges[node, 1]
        axis = axes[node]  # 0, but typed: a literal would compile _select twice
        width = 0.0
        for d in range(dimension):
            low = high = vectors[order[start], d]
            for p in range(start + 1, stop):
                value = vectors[order[p], d]
                low = min(low, value)
                high = max(high, value)
            boxes[node, 0, d] = low
            boxes[node, 1, d] = high
            if high - low > width and stop - start > _LEAF:
                axis, width = d, high - low
        if width > 0.0:
            middle = (start + stop) // 2
            _select(order, vectors, axis, start, stop - 1, middle)
            axes[node] = axis
            cuts[node] = vectors[order[middle], axis]
            children[node] = used
            edges[used, 0], edges[used, 1] = start, middle
            edges[used + 1, 0], edges[used + 1, 1] = middle, stop
            used += 2
        node += 1
    points = np.empty((dimension, limit))
    for p in range(limit):
        for d in range(dimension):
            points[d, p] = vectors[order[p], d]
    return order, points, edges, axes, cuts, children, boxes


@jit
def _select(
    order: Integers, vectors: Floats, axis: int, start: int, stop: int, middle: int
) -> None:
    """Hoare's quickselect on `order`, by one coordinate; halves equal values evenly."""
    low, high = start, stop
    while low < high:
        pivot = vectors[order[(low + high) // 2], axis]
        i, j = low, high
        while i <= j:
            while vectors[order[i], axis] < pivot:
                i += 1
            while vectors[order[j], axis] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            return
