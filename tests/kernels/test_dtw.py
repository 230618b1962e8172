"""Warping distances are exact, symmetric and abandoned only when they may be."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import dtw
from tests.kernels import naive
from tests.kernels.strategies import checked, in_other_clothes, series

windows = st.one_of(st.none(), st.integers(0, 26))


@checked
@given(series(), series(), windows)
def test_the_distance_is_that_of_the_full_matrix(x, y, window):
    expected = naive.dtw(x.tolist(), y.tolist(), window)

    assert dtw.dtw_distance(x, y, window) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@checked
@given(series(), series(), windows)
def test_swapping_the_series_changes_nothing(x, y, window):
    assert dtw.dtw_distance(x, y, window) == dtw.dtw_distance(y, x, window)


@checked
@given(series(), windows)
def test_a_series_is_at_no_distance_from_itself(x, window):
    assert dtw.dtw_distance(x, x, window) == 0.0


@checked
@given(series(), series(), windows)
def test_a_bound_at_the_distance_keeps_it_and_a_lower_one_gives_infinity(x, y, window):
    distance = dtw.dtw_distance(x, y, window)

    assert dtw.dtw_distance(x, y, window, distance) == distance
    assert dtw.dtw_distance(x, y, window, distance * 1.5 + 1) == distance
    if distance > 1e-100:
        assert dtw.dtw_distance(x, y, window, distance * 0.999) == math.inf


@checked
@given(series(high=16), st.data())
def test_a_wider_window_never_lengthens_the_distance(x, data):
    y = data.draw(series(low=x.size, high=x.size))
    distances = [dtw.dtw_distance(x, y, window) for window in range(x.size)]

    assert distances == sorted(distances, reverse=True)
    assert distances[0] == pytest.approx(np.linalg.norm(x - y), abs=1e-12)


def test_a_shifted_peak_costs_nothing_inside_the_window_and_all_outside():
    x, y = np.zeros(20), np.zeros(20)
    x[8], y[11] = 1.0, 1.0

    assert dtw.dtw_distance(x, y, 3) == 0.0
    assert dtw.dtw_distance(x, y, 2) == pytest.approx(math.sqrt(2))


def test_unequal_lengths_measure_the_window_from_both_corners():
    assert dtw.dtw_distance([1, 2, 3], [1, 2, 3, 3, 3], 0) == 0.0


def test_any_window_beyond_the_length_is_no_window():
    x, y = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0])

    assert {dtw.dtw_distance(x, y, window) for window in (None, 3, 10**6, 10**30)} == {1.0}


@checked
@given(series(), st.integers(0, 30))
def test_the_envelope_is_the_running_extreme(x, window):
    lower, upper = naive.envelope(x.tolist(), window)
    found = dtw.envelope(x, window)

    assert found.lower.tolist() == lower
    assert found.upper.tolist() == upper


@checked
@given(series(), st.integers(0, 26), st.data())
def test_lb_keogh_is_its_definition_and_never_above_the_distance(x, window, data):
    y = data.draw(series(low=x.size, high=x.size))
    bound = dtw.lb_keogh(x, y, window)

    assert bound == pytest.approx(naive.lb_keogh(x.tolist(), y.tolist(), window), abs=1e-12)
    assert bound <= dtw.dtw_distance(x, y, window) * (1 + 1e-12)


def brute_force(query, candidates, window, k):
    distances = [dtw.dtw_distance(query, c, window) for c in candidates]
    order = sorted(range(len(candidates)), key=lambda i: (distances[i], i))[:k]
    return order, [distances[i] for i in order]


@checked
@given(series(), st.lists(series(), min_size=1, max_size=12), windows, st.integers(1, 14))
def test_nearest_is_brute_force_for_any_lengths(query, candidates, window, k):
    found = dtw.nearest(query, candidates, window, k)

    assert (found.indices.tolist(), found.distances.tolist()) == brute_force(
        query, candidates, window, k
    )


@checked
@given(st.integers(1, 20), st.integers(0, 2**32 - 1), windows, st.integers(1, 5))
def test_nearest_is_brute_force_when_many_distances_are_equal(length, seed, window, k):
    random = np.random.default_rng(seed)
    candidates = random.integers(0, 3, (30, length))
    query = random.integers(0, 3, length)

    found = dtw.nearest(query, candidates, window, k)

    assert (found.indices.tolist(), found.distances.tolist()) == brute_force(
        query, candidates, window, k
    )


def test_nearest_is_brute_force_on_walks_of_realistic_length():
    walks = np.cumsum(np.random.default_rng(5).normal(size=(60, 150)), axis=1)
    walks = (walks - walks.mean(axis=1, keepdims=True)) / walks.std(axis=1, keepdims=True)

    for window in (0, 7, 15, None):
        found = dtw.nearest(walks[0], walks[1:], window, 4)
        assert (found.indices.tolist(), found.distances.tolist()) == brute_force(
            walks[0], walks[1:], window, 4
        )


@checked
@given(series(), series())
def test_dtype_and_layout_do_not_matter(x, y):
    expected = dtw.dtw_distance(x, y)

    assert all(dtw.dtw_distance(other, y) == expected for other in in_other_clothes(x))
    halves = np.round(x * 2) / 2
    expected = dtw.dtw_distance(halves, y)
    assert dtw.dtw_distance(halves.astype(np.float32), y) == expected


def test_integers_are_numbers_too():
    assert dtw.dtw_distance([1, 2, 3], np.array([2, 3, 4], dtype=np.int16)) == pytest.approx(
        math.sqrt(2)
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dtw.dtw_distance([], [1.0]), "x has 0 samples"),
        (lambda: dtw.dtw_distance([1.0, math.nan], [1.0]), "x has nan at index 1"),
        (lambda: dtw.dtw_distance([1.0], [-math.inf]), "y has -inf at index 0"),
        (lambda: dtw.dtw_distance([[1.0, 2.0]], [1.0]), "x has 2 channels and y 1"),
        (lambda: dtw.dtw_distance(np.zeros((2, 2, 2)), [1.0]), "shape"),
        (lambda: dtw.dtw_distance([[1.0, math.nan]], [[1.0, 2.0]]), "nan at index 1, 0"),
        (lambda: dtw.dtw_distance(1.0, [1.0]), "shape"),
        (lambda: dtw.dtw_distance(["a"], [1.0]), "real numbers"),
        (lambda: dtw.dtw_distance([1j], [1.0]), "real numbers"),
        (lambda: dtw.dtw_distance([1e200], [1.0]), "overflow"),
        (lambda: dtw.dtw_distance([1.0], [1.0], -1), "window is -1"),
        (lambda: dtw.dtw_distance([1.0], [1.0], None, math.nan), "upper_bound is nan"),
        (lambda: dtw.dtw_distance(np.zeros(100_000), np.zeros(100_000)), "smaller window"),
        (lambda: dtw.lb_keogh([1.0, 2.0], [1.0], 1), "equal lengths"),
        (lambda: dtw.nearest([math.nan], [[1.0]], 1), "query has nan at index 0"),
        (lambda: dtw.nearest([1.0], [], 1), "candidates is empty"),
        (lambda: dtw.nearest([1.0], "abc", 1), "list of series"),
        (lambda: dtw.nearest([1.0], [[1.0], [math.nan]], 1), r"candidates\[1\] has nan"),
        (lambda: dtw.nearest([1.0], np.array([[1.0], [math.nan]]), 1), "nan at index 1, 0"),
        (lambda: dtw.nearest([1.0], np.zeros(3), 1), "one series per row"),
        (lambda: dtw.nearest([1.0], [[1.0]], 1, 0), "k is 0"),
        (lambda: dtw.nearest([1.0], [[1.0]], 2.5), "window is 2.5; pass a whole number"),
        (lambda: dtw.envelope([1.0], -2), "window is -2"),
    ],
)
def test_bad_input_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("kind", ["alike", "unlike", "alike at last"])
def test_the_nearest_are_exact_where_bounds_spare_nothing(kind):
    random = np.random.default_rng(5)
    count = 200 if not numba.config.DISABLE_JIT else 40
    rows = 0.1 * random.normal(size=(count, 32))
    if kind != "unlike":
        rows[: count // 2 if kind == "alike at last" else count] += np.sin(np.arange(32) / 2)
    brute = dtw.pairwise(rows[:3], 3, rows[3:])

    for query, distances in zip(rows[:3], brute, strict=True):
        found = dtw.nearest(query, rows[3:], 3, 7)
        assert found.indices.tolist() == np.argsort(distances, kind="stable")[:7].tolist()
        assert found.distances.tolist() == np.sort(distances)[:7].tolist()
