"""The compiled part of `kernels.trees`: rows down the trees, eight at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.compile import jit
from kernels.series import Floats


@jit
def prepare(
    nodes: NDArray[np.int64], values: Floats, roots: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Floats, Floats, NDArray[np.int64]]:
    """Links, thresholds and leaf values of the trees laid out for `score`, and (root, depth)s.

    Siblings are neighbours, and a leaf leads to itself: so a tree can be walked for a fixed
    number of steps without asking where it ends. A link holds the left child, the feature and
    whether a missing value goes left.
    """
    count = nodes.shape[0]
    links = np.zeros(count, np.int64)
    thresholds = np.full(count, np.inf)
    leaves = np.zeros(count)
    places = np.zeros((roots.size, 2), np.int64)
    order = np.empty(count, np.int64)
    level = np.zeros(count, np.int64)
    tail = 0
    for t in range(roots.size):
        places[t, 0] = tail
        head = tail
        order[tail] = roots[t]
        level[tail] = 0
        tail += 1
        while head < tail:
            node = order[head]
            if nodes[node, 0] < 0:
                links[head] = head << 24 | 1
                leaves[head] = values[node]
            else:
                links[head] = tail << 24 | nodes[node, 0] << 1 | nodes[node, 3]
                thresholds[head] = values[node]
                for k in range(2):
                    order[tail] = nodes[node, 1 + k]
                    level[tail] = level[head] + 1
                    tail += 1
            places[t, 1] = level[head]
            head += 1
    return links, thresholds, leaves, places


@jit
def score(
    table: Floats,
    links: NDArray[np.int64],
    thresholds: Floats,
    leaves: Floats,
    places: NDArray[np.int64],
    start: Floats,
) -> Floats:
    """Sums of leaf values. Eight trees are walked at once: each waits for memory, not the others.

    Written out, since an array of places would live in memory instead of registers.
    """
    columns = start.size
    trees = places.shape[0]
    last = trees - 1
    out = np.empty((table.shape[0], columns))
    for i in range(table.shape[0]):
        x = table[i]
        out[i] = start
        column = 0
        for t in range(0, trees, 8):
            a = places[t, 0]
            b = places[min(t + 1, last), 0]
            c = places[min(t + 2, last), 0]
            d = places[min(t + 3, last), 0]
            e = places[min(t + 4, last), 0]
            f = places[min(t + 5, last), 0]
            g = places[min(t + 6, last), 0]
            h = places[min(t + 7, last), 0]
            deepest = 0
            for k in range(t, min(t + 8, trees)):
                if places[k, 1] > deepest:
                    deepest = places[k, 1]
            for _ in range(deepest):
                a = _child(x, links, thresholds, a)
                b = _child(x, links, thresholds, b)
                c = _child(x, links, thresholds, c)
                d = _child(x, links, thresholds, d)
                e = _child(x, links, thresholds, e)
                f = _child(x, links, thresholds, f)
                g = _child(x, links, thresholds, g)
                h = _child(x, links, thresholds, h)
            for k, leaf in enumerate((a, b, c, d, e, f, g, h)):
                if t + k < trees:
                    out[i, column] += leaves[leaf]
                    column += 1
                    if column == columns:
                        column = 0
    return out


@jit
def _child(x: Floats, links: NDArray[np.int64], thresholds: Floats, node: int) -> int:
    link = links[node]
    value = x[(link >> 1) & 0x7FFFFF]
    left = (value <= thresholds[node]) | ((value != value) & (link & 1 == 1))  # noqa: PLR0124
    child: int = (link >> 24) + 1 - left
    return child


@jit
def score_sets(
    table: Floats,
    nodes: NDArray[np.int64],
    values: Floats,
    sets: NDArray[np.uint64],
    roots: NDArray[np.int64],
    start: Floats,
) -> Floats:
    """The same where some nodes ask whether a category is in a set."""
    columns = start.size
    out = np.empty((table.shape[0], columns))
    for i in range(table.shape[0]):
        out[i] = start
        for t in range(roots.size):
            node = roots[t]
            while nodes[node, 0] >= 0:
                x = table[i, nodes[node, 0]]
                group = nodes[node, 4]
                if np.isnan(x):
                    left = nodes[node, 3] == 1
                elif group >= 0:
                    code = int(x)
                    left = (sets[group, code >> 6] >> np.uint64(code & 63)) & np.uint64(1) == 1
                else:
                    left = x <= values[node]
                node = nodes[node, 1] if left else nodes[node, 2]
            out[i, t % columns] += values[node]
    return out
