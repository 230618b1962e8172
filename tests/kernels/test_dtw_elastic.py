"""Alignments, relatives of warping and several channels equal their slow twins."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import dtw
from tests.kernels import naive, naive_elastic
from tests.kernels.strategies import checked, in_other_clothes, series

windows = st.one_of(st.none(), st.integers(0, 26))


def random_points(seed, samples, channels):
    return np.round(np.random.default_rng(seed).normal(size=(samples, channels)), 2)


def pairs_cost(x, y, pairs):
    return math.sqrt(sum((x[i] - y[j]) ** 2 for i, j in pairs))


@checked
@given(series(), series(), windows)
def test_a_path_is_a_monotone_alignment_within_the_window_that_has_the_distance(x, y, window):
    found = dtw.dtw_path(x, y, window)

    steps = np.diff(found.pairs, axis=0)
    assert found.distance == dtw.dtw_distance(x, y, window)
    assert pairs_cost(x, y, found.pairs) == pytest.approx(found.distance, abs=1e-9)
    assert found.pairs[0].tolist() == [0, 0]
    assert found.pairs[-1].tolist() == [x.size - 1, y.size - 1]
    assert {tuple(step) for step in steps} <= {(0, 1), (1, 0), (1, 1)}
    assert all(naive_elastic.allowed(i, j, x.size, y.size, window) for i, j in found.pairs)


@checked
@given(series(low=3), series(low=3), windows)
def test_ddtw_is_the_distance_of_the_slopes(x, y, window):
    expected = naive_elastic.ddtw(x.tolist(), y.tolist(), window)

    assert dtw.ddtw(x, y, window) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@checked
@given(series(), series(), windows, st.floats(0, 1))
def test_wdtw_is_its_definition(x, y, window, g):
    expected = naive_elastic.wdtw(x.tolist(), y.tolist(), window, g)

    assert dtw.wdtw(x, y, window, g) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@checked
@given(series(), series(), windows, st.floats(0, 5))
def test_msm_is_its_definition(x, y, window, c):
    expected = naive_elastic.msm(x.tolist(), y.tolist(), window, c)

    assert dtw.msm(x, y, window, c) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@checked
@given(series(), series(), series(), st.floats(0.01, 5))
def test_msm_is_a_metric(x, y, z, c):
    xy, yz, xz = dtw.msm(x, y, c=c), dtw.msm(y, z, c=c), dtw.msm(x, z, c=c)

    assert xy == pytest.approx(dtw.msm(y, x, c=c), abs=1e-9)
    assert xz <= xy + yz + 1e-9


@pytest.mark.parametrize("distance", [dtw.ddtw, dtw.wdtw, dtw.msm])
def test_a_bound_keeps_what_is_within_and_gives_infinity_beyond(distance):
    walks = np.cumsum(np.random.default_rng(8).normal(size=(12, 40)), axis=1)

    for x, y in itertools.pairwise(walks):
        whole = distance(x, y, 8)
        assert distance(x, y, 8, upper_bound=whole * 1.001) == whole
        assert distance(x, y, 8, upper_bound=whole * 0.99) == math.inf
        assert distance(x, y, 8, upper_bound=np.nextafter(whole, 0)) == math.inf


@checked
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 20), st.integers(2, 4), windows
)
def test_several_channels_are_warped_together(seed, n, m, channels, window):
    x, y = random_points(seed, n, channels), random_points(seed + 1, m, channels)
    expected = naive_elastic.dtw(x, y, window)

    assert dtw.dtw_distance(x, y, window) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert dtw.dtw_path(x, y, window).distance == pytest.approx(expected, abs=1e-12)
    assert dtw.dtw_distance(x[:, :1], y[:, :1], window) == dtw.dtw_distance(
        x[:, 0], y[:, 0], window
    )


@checked
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 3), windows, st.integers(1, 4))
def test_nearest_is_brute_force_with_several_channels(seed, length, channels, window, k):
    block = np.random.default_rng(seed).integers(0, 4, (20, length, channels)) * 0.5
    distances = [dtw.dtw_distance(block[0], other, window) for other in block[1:]]
    order = sorted(range(19), key=lambda i: (distances[i], i))[:k]

    for candidates in (block[1:], list(block[1:]), block[1:].tolist()):
        found = dtw.nearest(block[0], candidates, window, k)
        assert found.indices.tolist() == order
        assert found.distances.tolist() == [distances[i] for i in order]


@checked
@given(st.lists(series(), min_size=1, max_size=6), windows, st.integers(1, 3))
def test_many_queries_are_answered_as_one_by_one(rows, window, k):
    ready = dtw.collect(rows)

    for query, found in zip(rows, dtw.nearest_each(rows, ready, window, k), strict=True):
        alone = dtw.nearest(query, rows, window, k)
        assert found.indices.tolist() == alone.indices.tolist()
        assert found.distances.tolist() == alone.distances.tolist()


@checked
@given(
    st.lists(series(), min_size=1, max_size=5), st.lists(series(), min_size=1, max_size=4), windows
)
def test_pairwise_holds_every_distance(rows, others, window):
    square, oblong = dtw.pairwise(rows, window), dtw.pairwise(rows, window, others)

    assert square.tolist() == [[dtw.dtw_distance(a, b, window) for b in rows] for a in rows]
    assert oblong.tolist() == [[dtw.dtw_distance(a, b, window) for b in others] for a in rows]


@checked
@given(series(), st.integers(0, 26), st.data())
def test_lb_improved_lies_between_lb_keogh_and_the_distance(x, window, data):
    y = data.draw(series(low=x.size, high=x.size))
    bound = dtw.lb_improved(x, y, window)

    expected = naive_elastic.lb_improved(x.tolist(), y.tolist(), window)
    assert bound == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert dtw.lb_keogh(x, y, window) <= bound * (1 + 1e-12)
    assert bound <= dtw.dtw_distance(x, y, window) * (1 + 1e-12)


@checked
@given(series(high=5), series(high=10))
def test_the_best_match_is_the_best_of_all_stretches(query, long):
    costs = naive_elastic.best_stretches(query.tolist(), long.tolist())
    matches = dtw.subsequence(query, long, 3)

    assert matches[0].distance == pytest.approx(min(costs), abs=1e-9)
    for match in matches:
        assert match.distance == pytest.approx(costs[match.stop - 1], abs=1e-9)
        stretch = long[match.start : match.stop].tolist()
        assert naive.dtw(query.tolist(), stretch) == pytest.approx(match.distance, abs=1e-9)
    taken = [i for match in matches for i in range(match.start, match.stop)]
    assert len(taken) == len(set(taken))


def test_a_pattern_is_found_wherever_it_was_put_without_idle_ends():
    pattern = np.sin(np.linspace(0, 2 * np.pi, 40))
    long = np.full(400, 3.0)
    long[50:90], long[200:280] = pattern, np.repeat(pattern, 2)  # twice as slow

    matches = dtw.subsequence(pattern, long, 2)

    assert {(m.start, m.stop) for m in matches} == {(50, 90), (201, 279)}
    assert [m.distance for m in matches] == [0.0, 0.0]


@checked
@given(series(low=3))
def test_dtype_and_layout_do_not_matter(x):
    y = x[::-1].copy()

    for other in in_other_clothes(x):
        assert dtw.ddtw(other, y) == dtw.ddtw(x, y)
        assert dtw.wdtw(other, y) == dtw.wdtw(x, y)
        assert dtw.msm(other, y) == dtw.msm(x, y)
        assert dtw.dtw_path(other, y).distance == dtw.dtw_path(x, y).distance
        assert dtw.subsequence(other, y) == dtw.subsequence(x, y)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dtw.ddtw([1.0, 2.0], [1.0, 2.0, 3.0]), "x has 2 samples, at least 3"),
        (lambda: dtw.wdtw([1.0], [math.nan]), "y has nan"),
        (lambda: dtw.wdtw([1.0], [1.0], None, math.inf), "g is inf"),
        (lambda: dtw.wdtw([1.0], [1.0], upper_bound=math.nan), "upper_bound is nan"),
        (lambda: dtw.msm([1.0], [1.0], None, -1.0), "c is -1"),
        (lambda: dtw.msm([1.0], [[1.0, 2.0]]), "shape"),
        (lambda: dtw.wdtw([1.0], [1.0], upper_bound=-5), "upper_bound is -5"),
        (lambda: dtw.msm([1.0], [1.0], upper_bound=-1), "upper_bound is -1"),
        (lambda: dtw.pairwise([]), "series is empty"),
        (lambda: dtw.pairwise([[1.0, math.inf]]), r"series\[0\] has inf at index 1"),
        (lambda: dtw.pairwise([[1.0]], -1), "window is -1"),
        (lambda: dtw.pairwise(np.zeros((8000, 1))), "fewer rows"),
        (lambda: dtw.subsequence([1.0], [math.nan]), "series has nan"),
        (lambda: dtw.subsequence([1.0], [1.0], 0), "k is 0"),
        (lambda: dtw.subsequence([1.0], [1.0], 5000), "at most 1000 matches"),
        (lambda: dtw.subsequence(np.zeros(10**5), np.zeros(10**5)), "cells"),
        (lambda: dtw.dtw_path(np.zeros(10**5), np.zeros(10**5)), "cells"),
        (lambda: dtw.dtw_path(np.zeros((3, 2)), np.zeros((3, 1))), "2 channels and y 1"),
        (lambda: dtw.lb_improved([1.0, 2.0], [1.0]), "equal lengths"),
        (lambda: dtw.nearest(np.zeros((3, 2)), np.zeros((2, 3)), 1), "2 channels and candidates 1"),
        (lambda: dtw.nearest([1.0], np.zeros((2, 0, 1))), "at least one series of one"),
        (lambda: dtw.collect([[[1.0, 2.0]], [[1.0]]]), "channels"),
        (lambda: dtw.collect([[[1.0, 2.0], [1.0]]]), "ragged"),
        (lambda: dtw.collect(np.full((1, 2, 2), math.nan)), "nan at index 0, 0"),
    ],
)
def test_bad_input_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
