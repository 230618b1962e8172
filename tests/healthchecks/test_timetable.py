from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from healthchecks.timetable import FIRST_WITHIN, JITTER, Timetable


@given(interval=st.floats(1, 86_400), seed=st.integers())
def test_a_new_check_is_due_soon_and_then_every_interval_with_jitter(interval, seed):
    table = Timetable(random.Random(seed))
    table.follow({1: interval}, now=0.0)

    assert table.take_due(FIRST_WITHIN) == [1]
    assert table.take_due(FIRST_WITHIN + interval * (1 - JITTER) * 0.999) == []
    assert table.take_due(FIRST_WITHIN + interval * (1 + JITTER) * 1.001) == [1]


def test_missed_times_are_left_out():
    table = Timetable(random.Random(1))
    table.follow({1: 1.0}, now=0.0)

    assert table.take_due(1000.0) == [1]
    assert table.take_due(1000.0) == []


def test_a_removed_check_is_not_due_and_a_changed_interval_counts_at_once():
    table = Timetable(random.Random(1))
    table.follow({1: 3600.0, 2: 3600.0}, now=0.0)
    table.take_due(10.0)

    table.follow({2: 5.0}, now=10.0)

    assert table.take_due(10.0 + FIRST_WITHIN) == [2]


def test_the_longest_overdue_comes_first_and_one_put_back_is_due_again():
    table = Timetable(random.Random(1))
    table.follow({1: 60.0}, now=100.0)
    table.follow({1: 60.0, 2: 60.0}, now=200.0)

    assert table.take_due(300.0) == [1, 2]
    table.again(2, 300.0)
    assert table.take_due(300.0) == [2]
