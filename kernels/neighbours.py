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

_SAMPLE = 16
"""Vectors of a node whose spread and mean decide how it is split."""

_START, _STOP, _AXIS, _CHILD, _PARENT = range(5)
"""Columns of a node: which vectors are its own, and its place in the tree."""

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
    neighbours for a while, so what followed the last winner bounds the search from the start; it
    begins in the leaf of the reference and climbs, because most other halves are then too far.
    """
    nodes, cuts, boxes, homes, rows, points = _build(vectors, limit)
    dimension = vectors.shape[1]
    found = np.empty(references.size, np.int64)
    distances = np.empty(references.size)
    stack = np.empty(128, np.int64)
    gaps = np.empty(128)
    state = np.empty(dimension)
    squared = np.empty(_LEAF)
    for r in range(references.size):
        i = references[r]
        for d in range(dimension):
            state[d] = vectors[i, d]
        best = np.inf
        winner = -1
        if r > 0 and found[r - 1] >= 0:
            guess = found[r - 1] + i - references[r - 1]
            if 0 <= guess < limit and abs(guess - i) > theiler:
                best = 0.0
                for d in range(dimension):
                    difference = state[d] - vectors[guess, d]
                    best += difference * difference
                winner = guess
        # All below `top` is searched, then the other half of its parent if that is near enough.
        top = homes[i] if i < limit else 0
        stack[0] = top
        gaps[0] = 0.0
        depth = 1
        while depth > 0:
            depth -= 1
            node = stack[depth]
            if gaps[depth] < best:
                while nodes[node, _CHILD] >= 0:
                    offset = state[nodes[node, _AXIS]] - cuts[node]
                    near = nodes[node, _CHILD] + (1 if offset > 0.0 else 0)
                    if offset * offset < best:
                        far = 2 * nodes[node, _CHILD] + 1 - near
                        gap = _gap(boxes, far, state)
                        if gap < best:
                            stack[depth] = far
                            gaps[depth] = gap
                            depth += 1
                    node = near
                leaf = -1 - nodes[node, _CHILD]
                squared[:] = 0.0
                for d in range(dimension):
                    value = state[d]
                    for p in range(_LEAF):
                        difference = value - points[leaf, d, p]
                        squared[p] += difference * difference
                # Most leaves hold nothing closer, and to know that needs no branch per vector.
                closer = 0
                for p in range(_LEAF):
                    apart = abs(rows[leaf, p] - i) > theiler
                    closer += 1 if (squared[p] < best) & apart else 0
                if closer > 0:
                    for p in range(_LEAF):
                        if squared[p] < best and abs(rows[leaf, p] - i) > theiler:
                            best = squared[p]
                            winner = rows[leaf, p]
            while depth == 0 and top > 0:
                parent = nodes[top, _PARENT]
                offset = state[nodes[parent, _AXIS]] - cuts[parent]
                if offset * offset < best:
                    far = 2 * nodes[parent, _CHILD] + 1 - top
                    gap = _gap(boxes, far, state)
                    if gap < best:
                        stack[0] = far
                        gaps[0] = gap
                        depth = 1
                top = parent
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
    nodes, cuts, _boxes, _homes, rows, points = _build(vectors, limit)
    starts = np.zeros(references.size + 1, np.int64)
    found = np.empty(references.size * most, np.int64)
    stack = np.empty(128, np.int64)
    used = 0
    for r in range(references.size):
        i = references[r]
        stack[0] = 0
        depth = 1
        room = used + most
        while depth > 0 and used < room:
            depth -= 1
            node = stack[depth]
            while nodes[node, _CHILD] >= 0:
                offset = vectors[i, nodes[node, _AXIS]] - cuts[node]
                near = nodes[node, _CHILD] + (1 if offset > 0.0 else 0)
                if offset * offset <= squared_radius:
                    stack[depth] = 2 * nodes[node, _CHILD] + 1 - near
                    depth += 1
                node = near
            leaf = -1 - nodes[node, _CHILD]
            for p in range(nodes[node, _STOP] - nodes[node, _START]):
                if used == room:
                    break
                if abs(rows[leaf, p] - i) <= theiler:
                    continue
                squared = 0.0
                for d in range(vectors.shape[1]):
                    difference = vectors[i, d] - points[leaf, d, p]
                    squared += difference * difference
                if squared <= squared_radius:
                    found[used] = rows[leaf, p]
                    used += 1
        starts[r + 1] = used
    return starts, found[:used].copy()


@jit
def _gap(boxes: Floats, node: int, state: Floats) -> float:
    """The squared distance from a state to the box around a node's vectors."""
    gap = 0.0
    for d in range(state.size):
        beyond = max(boxes[node, 0, d] - state[d], state[d] - boxes[node, 1, d], 0.0)
        gap += beyond * beyond
    return gap


@jit
def _build(
    vectors: Floats, limit: int
) -> tuple[Integers, Floats, Floats, Integers, Integers, Floats]:
    """Split near the median of the widest axis until leaves are small.

    Returns, per node, its columns (`_START` and so on), cut and box; per vector its leaf; and per
    leaf the numbers and coordinates of its vectors, with places left over at infinity. The left
    half of a node is its child, the right one comes next; leaf 0 is child -1, leaf 1 child -2.
    """
    dimension = vectors.shape[1]
    # Two fifths of more than a leaf are a dozen or more.
    room = 2 * (limit // 12 + 1)
    nodes = np.zeros((room, 5), np.int64)
    cuts = np.zeros(room)
    order = np.arange(limit)
    keys = np.empty(limit)
    nodes[0, _STOP] = limit
    used = 1
    leaves = 0
    node = 0
    while node < used:
        start, stop = nodes[node, _START], nodes[node, _STOP]
        if stop - start > _LEAF:
            axis = _widest(vectors, order, start, stop)
            for p in range(start, stop):
                keys[p] = vectors[order[p], axis]
            middle, cuts[node] = _halve(keys, order, start, stop)
            nodes[node, _AXIS] = axis
            nodes[node, _CHILD] = used
            nodes[used, _START], nodes[used, _STOP] = start, middle
            nodes[used + 1, _START], nodes[used + 1, _STOP] = middle, stop
            nodes[used, _PARENT] = nodes[used + 1, _PARENT] = node
            used += 2
        else:
            leaves += 1
            nodes[node, _CHILD] = -leaves
        node += 1
    boxes = np.empty((used, 2, dimension))
    homes = np.empty(limit, np.int64)
    rows = np.zeros((leaves, _LEAF), np.int64)
    points = np.full((leaves, dimension, _LEAF), np.inf)
    for node in range(used - 1, -1, -1):
        child = nodes[node, _CHILD]
        start = nodes[node, _START]
        size = nodes[node, _STOP] - start
        for p in range(size if child < 0 else 0):
            homes[order[start + p]] = node
            rows[-1 - child, p] = order[start + p]
        for d in range(dimension):
            if child >= 0:
                boxes[node, 0, d] = min(boxes[child, 0, d], boxes[child + 1, 0, d])
                boxes[node, 1, d] = max(boxes[child, 1, d], boxes[child + 1, 1, d])
                continue
            low, high = np.inf, -np.inf
            for p in range(size):
                value = vectors[rows[-1 - child, p], d]
                points[-1 - child, d, p] = value
                low = min(low, value)
                high = max(high, value)
            boxes[node, 0, d] = low
            boxes[node, 1, d] = high
    return nodes, cuts, boxes, homes, rows, points


@jit
def _widest(vectors: Floats, order: Integers, start: int, stop: int) -> int:
    """The axis along which some of the vectors lie farthest apart."""
    stride = (stop - start) // _SAMPLE
    axis = 0
    width = 0.0
    for d in range(vectors.shape[1]):
        low = high = vectors[order[start], d]
        for p in range(start + stride, stop, stride):
            value = vectors[order[p], d]
            low = min(low, value)
            high = max(high, value)
        if high - low > width:
            axis, width = d, high - low
    return axis


@jit
def _halve(keys: Floats, order: Integers, start: int, stop: int) -> tuple[int, float]:
    """Reorder so that keys before some place are at most, and from there on at least, the cut.

    Quickselect that ends when two fifths or more are on either side; equal keys are divided at
    will. Each pass swaps always and counts, because a branch on random keys is mostly mispredicted.
    """
    least = start + (stop - start) * 2 // 5
    most = stop - (stop - start) * 2 // 5
    low, high = start, stop
    cut = 0.0
    for p in range(_SAMPLE):
        cut += keys[start + p * (stop - start) // _SAMPLE] / _SAMPLE
    while True:
        at = low
        for p in range(low, high):
            key, row = keys[p], order[p]
            keys[p], order[p] = keys[at], order[at]
            keys[at], order[at] = key, row
            at += 1 if key < cut else 0
        if least <= at <= most:
            return at, cut
        if at > most:
            high = at
        else:
            low = at
            for p in range(low, high):
                key, row = keys[p], order[p]
                keys[p], order[p] = keys[at], order[at]
                keys[at], order[at] = key, row
                at += 1 if key <= cut else 0
            if at >= least:
                return min(max(low, (start + stop) // 2), at), cut
            low = at
        # The mean was off: go on with the middle one of three of those that are left.
        quarter = (high - low) // 4
        a, b, c = keys[low + quarter], keys[low + 2 * quarter], keys[high - 1 - quarter]
        cut = max(min(a, b), min(max(a, b), c))
