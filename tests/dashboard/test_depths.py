"""Bars of what waits: one scale for both pools, bands that fill their bar."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coordination.selectors import COUNT_BOUND, QueueDepth
from dashboard.depths import pool_depths

depths = st.lists(
    st.builds(
        QueueDepth,
        st.sampled_from(["cpu", "io"]),
        st.integers(0, 9),
        st.integers(0, COUNT_BOUND),
        st.integers(0, 100),
        st.none() | st.floats(0, 1e6),
    ),
    unique_by=lambda depth: (depth.pool, depth.priority),
)


@given(depths)
def test_the_longest_bar_is_full_and_the_others_are_in_proportion(found):
    pools = pool_depths(found)
    longest = max(pool.ready for pool in pools)
    for pool in pools:
        length = sum(band.width for band in pool.bands)
        assert abs(length - (100.0 * pool.ready / longest if longest else 0.0)) < 0.02


@given(depths)
def test_bands_touch_and_the_most_urgent_comes_first(found):
    for pool in pool_depths(found):
        end = 0.0
        for band in pool.bands:
            assert abs(band.offset - end) < 0.02
            end = band.offset + band.width
        priorities = [band.priority for band in pool.bands]
        assert priorities == sorted(priorities, reverse=True)


def test_both_pools_are_there_without_any_work():
    pools = pool_depths([])
    assert [(pool.pool, pool.ready, pool.oldest_seconds) for pool in pools] == [
        ("cpu", 0, None),
        ("io", 0, None),
    ]


def test_the_oldest_of_a_pool_is_the_oldest_of_its_priorities():
    found = pool_depths([QueueDepth("cpu", 5, 1, 0, 3.0), QueueDepth("cpu", 1, 2, 4, 80.0)])
    assert (found[0].oldest_seconds, found[0].ready, found[0].dispatched) == (80.0, 3, 4)


def test_a_count_that_stopped_at_the_bound_says_so():
    assert pool_depths([QueueDepth("io", 5, COUNT_BOUND, 0, 1.0)])[1].bounded
