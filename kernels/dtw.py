"""Dynamic time warping: exact distances, alignments, bounds, and the nearest of many series.

The distance is the root of the smallest sum of squared differences over all monotone
alignments (Sakoe & Chiba 1978), optionally kept within a band around the diagonal. A series is
a vector, or a matrix of shape (samples, channels): then a sample's difference is that of all its
channels (dependent warping). `nearest` skips work that cannot matter: the alignment along the
diagonal bounds the answer from above, LB_Keogh (Keogh & Ratanamahatana 2005) and LB_Improved
(Lemire 2009) from below, and each distance is abandoned once it must exceed the k-th best so far
(Herrmann & Webb 2021). The answer is the brute-force answer, ties broken by index.

Everywhere `window` is in samples (None = unbounded): how far an alignment may leave the
diagonal; with unequal lengths it is measured from the diagonals through both corners, so an
alignment always exists. Input that is NaN, infinite, empty, too large or of the wrong shape is a
ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kernels import dtw_align, dtw_elastic, dtw_search
from kernels.points import (
    Collection,
    are_plain,
    as_channels,
    check_alike,
    checked_channels,
    collect,
)
from kernels.series import Floats, Integers, as_count, as_series

__all__ = [
    "Collection",
    "Envelope",
    "Match",
    "Neighbours",
    "collect",
    "ddtw",
    "dtw_distance",
    "dtw_path",
    "envelope",
    "lb_improved",
    "lb_keogh",
    "msm",
    "nearest",
    "nearest_each",
    "pairwise",
    "subsequence",
    "wdtw",
]

MAX_CELLS = 4_000_000_000
"""Cells of one alignment (about 4 s): a kernel cannot be interrupted, so it must be bounded."""

MAX_PATH_CELLS = 400_000_000
"""Cells of an alignment whose path is wanted: one byte each."""

MAX_DISTANCES = 50_000_000
"""Distances in one matrix: 400 MB."""

MAX_MATCHES = 1000

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


class Alignment(NamedTuple):
    """The distance, and the aligned samples (i of x, j of y) in order, shape (pairs, 2)."""

    distance: float
    pairs: Integers


class Match(NamedTuple):
    """Where in a long series the query occurs: samples [start, stop), and how far off it is."""

    start: int
    stop: int
    distance: float


def dtw_distance(
    x: ArrayLike, y: ArrayLike, window: int | None = None, upper_bound: float = np.inf
) -> float:
    """The warping distance of two series, or infinity as soon as it must exceed `upper_bound`."""
    band = -1 if window is None else window
    if are_plain(x, y) and type(band) is int and (0 <= band < MAX_CELLS or window is None):
        distance: float = dtw_search.vector_distance(x, y, band, float(upper_bound), MAX_CELLS)  # type: ignore[arg-type]
        if distance >= 0:
            return distance
    return _checked_distance(x, y, window, float(upper_bound))


def dtw_path(x: ArrayLike, y: ArrayLike, window: int | None = None) -> Alignment:
    """The warping distance and an alignment that has it; of equal ones, the most diagonal."""
    first, second = checked_channels(x, "x"), checked_channels(y, "y")
    check_alike(("x", first), ("y", second))
    band = _checked_window(window, first.shape[1], second.shape[1], MAX_PATH_CELLS)
    squared, pairs = dtw_align.path(first, second, band)
    return Alignment(math.sqrt(squared), pairs)


def ddtw(
    x: ArrayLike, y: ArrayLike, window: int | None = None, upper_bound: float = np.inf
) -> float:
    """The warping distance of the slopes (Keogh & Pazzani 2001); at least 3 samples each.

    A slope is the mean of the step into a sample and half the step across it; the first and
    last sample have none, so `window` counts on series shorter by two.
    """
    return dtw_distance(
        _slopes(as_series(x, "x", 3)), _slopes(as_series(y, "y", 3)), window, upper_bound
    )


def wdtw(
    x: ArrayLike,
    y: ArrayLike,
    window: int | None = None,
    g: float = 0.05,
    upper_bound: float = np.inf,
) -> float:
    """The warping distance with squares weighted by how far they leave the diagonal.

    The weight of |i - j| = a is 1 / (1 + exp(-g (a - n / 2))), n being the longer length (Jeong,
    Jeong & Omitaomu 2011); g = 0 halves all squares. One channel.
    """
    longest = max(np.size(x), np.size(y))
    if not math.isfinite(g):
        raise ValueError(f"g is {g}; pass a finite steepness, usually 0.01 to 0.6")
    exponents = np.clip(-g * (np.arange(longest) - longest / 2), -700, 700)
    weights = 1 / (1 + np.exp(exponents))
    bound = _checked_bound(upper_bound)
    squared = _elastic(
        lambda a, b, band, limit: dtw_elastic.weighted(a, b, weights, band, limit),
        (x, y),
        window,
        bound * bound * (1 + _SLACK),
    )
    distance = math.sqrt(squared)
    return distance if distance <= bound else math.inf


def msm(
    x: ArrayLike,
    y: ArrayLike,
    window: int | None = None,
    c: float = 1.0,
    upper_bound: float = np.inf,
) -> float:
    """The move-split-merge distance, a metric; `c` per split or merge (Stefan et al. 2013).

    A sum of absolute differences: no root is taken. One channel.
    """
    if not (math.isfinite(c) and c >= 0):
        raise ValueError(f"c is {c}; pass a finite cost >= 0")
    return _elastic(
        lambda a, b, band, limit: dtw_elastic.move_split_merge(a, b, float(c), band, limit),
        (x, y),
        window,
        _checked_bound(upper_bound),
    )


def envelope(x: ArrayLike, window: int) -> Envelope:
    """Running minimum and maximum over [i - window, i + window], clipped at the ends."""
    series = as_series(x)
    band = _checked_window(window, series.size, series.size)
    lower, upper = dtw_search.envelopes(series[None], band)
    return Envelope(lower[0], upper[0])


def lb_keogh(query: ArrayLike, candidate: ArrayLike, window: int | None = None) -> float:
    """A lower bound of `dtw_distance(query, candidate, window)`; lengths must be equal."""
    return _lower_bounds(query, candidate, window)[0]


def lb_improved(query: ArrayLike, candidate: ArrayLike, window: int | None = None) -> float:
    """A lower bound that is never below LB_Keogh, for twice its work (Lemire 2009)."""
    return _lower_bounds(query, candidate, window)[1]


def nearest(
    query: ArrayLike, candidates: ArrayLike | Collection, window: int | None = None, k: int = 1
) -> Neighbours:
    """The `k` candidates closest to `query` (all of them if fewer), exactly as brute force finds.

    `candidates` is a 2-D array (one series per row), a 3-D array (series, samples, channels), a
    list of series of any lengths, or what `collect` made of one. Lengths other than the query's
    are compared without most bounds. Normalise first if scale is not to count.
    """
    others = collect(candidates)
    series = as_channels(query, "query")
    if not dtw_search.all_valid(series):
        checked_channels(query, "query")
    return _nearest(series, others, window, k)


def nearest_each(
    queries: ArrayLike | Collection,
    candidates: ArrayLike | Collection,
    window: int | None = None,
    k: int = 1,
) -> list[Neighbours]:
    """`nearest` for each of many queries; the candidates are read once."""
    others, asked = collect(candidates), collect(queries, "queries")
    return [_nearest(asked.series(i), others, window, k) for i in range(len(asked))]


def pairwise(
    series: ArrayLike | Collection,
    window: int | None = None,
    others: ArrayLike | Collection | None = None,
) -> Floats:
    """All distances: shape (n, n), symmetric, zero on the diagonal; or (n, m) to `others`."""
    first = collect(series, "series")
    second = first if others is None else collect(others, "others")
    check_alike(("series", first.flat), ("others", second.flat))
    band = _checked_window(window, first.longest, second.longest)
    n, m = len(first), len(second)
    if n * m > MAX_DISTANCES:
        raise ValueError(f"{n} times {m} distances are more than {MAX_DISTANCES}; pass fewer rows")
    matrix = np.zeros((n, m))
    for row in range(n):
        start = row + 1 if others is None else 0
        dtw_search.distances(
            first.series(row), second.flat, second.offsets, start, band, matrix[row]
        )
    return matrix + matrix.T if others is None else matrix


def subsequence(query: ArrayLike, series: ArrayLike, k: int = 1) -> list[Match]:
    """The `k` best places in `series` where `query` occurs, best first; none share a sample.

    The query is aligned whole with a stretch of any length (Müller 2007, chapter 4); a match is
    chosen before all that overlap with it. Fewer than `k` when no more fit.
    """
    wanted = as_count(k, "k", 1)
    if wanted > MAX_MATCHES:
        raise ValueError(f"k is {wanted}; ask for at most {MAX_MATCHES} matches")
    short, long = checked_channels(query, "query"), checked_channels(series, "series")
    check_alike(("query", short), ("series", long))
    _checked_window(None, short.shape[1], long.shape[1])
    costs, starts = dtw_align.ends(short, long)
    chosen, count = dtw_align.pick(costs, starts, wanted)
    return [Match(int(starts[end]), int(end) + 1, math.sqrt(costs[end])) for end in chosen[:count]]


def _checked_distance(x: ArrayLike, y: ArrayLike, window: int | None, bound: float) -> float:
    first, second = checked_channels(x, "x"), checked_channels(y, "y")
    check_alike(("x", first), ("y", second))
    band = _checked_window(window, first.shape[1], second.shape[1])
    bound = _checked_bound(bound)
    distance = math.sqrt(dtw_search.distance(first, second, band, bound * bound * (1 + _SLACK)))
    return distance if distance <= bound else math.inf


def _nearest(query: Floats, others: Collection, window: int | None, k: int) -> Neighbours:
    check_alike(("query", query), ("candidates", others.flat))
    wanted = min(as_count(k, "k", 1), len(others))
    band = _checked_window(window, query.shape[1], others.longest)
    return Neighbours(*dtw_search.search(query, others.flat, others.offsets, band, wanted))


def _lower_bounds(
    query: ArrayLike, candidate: ArrayLike, window: int | None
) -> tuple[float, float]:
    first, second = checked_channels(query, "query"), checked_channels(candidate, "candidate")
    check_alike(("query", first), ("candidate", second))
    n, m = first.shape[1], second.shape[1]
    if n != m:
        raise ValueError(
            f"query has {n} samples and candidate {m}; "
            "the bounds are defined for equal lengths, resample one of them"
        )
    band = _checked_window(window, n, m)
    keogh, whole = dtw_search.lower_bounds(first, second, band)
    return math.sqrt(keogh), math.sqrt(whole)


def _elastic(
    core: Callable[[Floats, Floats, int, float], float],
    pair: tuple[ArrayLike, ArrayLike],
    window: int | None,
    limit: float,
) -> float:
    first, second = as_series(pair[0], "x"), as_series(pair[1], "y")
    return core(first, second, _checked_window(window, first.size, second.size), limit)


def _checked_bound(bound: float) -> float:
    if not bound >= 0:
        raise ValueError(f"upper_bound is {bound}; pass a number >= 0, or leave it out")
    return float(bound)


def _slopes(x: Floats) -> Floats:
    return ((x[1:-1] - x[:-2]) + (x[2:] - x[:-2]) / 2) / 2


def _checked_window(window: int | None, n: int, m: int, most: int = MAX_CELLS) -> int:
    """The band in samples; refuses alignments too large to compute in one piece."""
    longest = max(n, m)
    band = longest if window is None else min(as_count(window, "window", 0), longest)
    if n * min(m, 2 * band + 1 + abs(n - m)) > most:
        raise ValueError(
            f"aligning {n} with {m} samples at window {band} needs more than {most:g} cells; "
            "pass a smaller window or shorter series"
        )
    return band
