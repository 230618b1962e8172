"""Permutation entropy is its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.attractor import permutation_entropy
from tests.kernels import naive
from tests.kernels.strategies import checked, in_other_clothes, series


@checked
@given(series(low=16, high=60), st.integers(2, 5), st.integers(1, 3))
def test_it_counts_ordinal_patterns(x, order, delay):
    found = permutation_entropy(x, order, delay)

    assert found == pytest.approx(naive.permutation_entropy(x.tolist(), order, delay), abs=1e-12)
    assert all(permutation_entropy(o, order, delay) == found for o in in_other_clothes(x))


def test_order_and_disorder_are_the_ends_of_the_scale():
    assert permutation_entropy(np.arange(100)) == 0.0
    assert permutation_entropy(np.ones(100)) == 0.0
    assert permutation_entropy(np.random.default_rng(0).random(50_000), 4) > 0.999


def test_the_example_of_the_paper():
    # Bandt & Pompe (2002): 4 7 9 10 6 11 3 has H(2) = 0.918 and H(3) = 1.522 bits.
    series = [4, 7, 9, 10, 6, 11, 3]

    assert permutation_entropy(series, 2, normalize=False) == pytest.approx(0.918, abs=1e-3)
    assert permutation_entropy(series, 3, normalize=False) == pytest.approx(1.522, abs=1e-3)


@checked
@given(series(low=16, high=40))
def test_a_growing_function_of_the_series_has_the_same_entropy(x):
    ranks = np.unique(x, return_inverse=True)[1]

    assert permutation_entropy(ranks) == permutation_entropy(x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: permutation_entropy([1.0, 2.0], 3), "at least 3"),
        (lambda: permutation_entropy(np.arange(50), 1), "order is 1"),
        (lambda: permutation_entropy(np.arange(50), 9), "order is 9"),
        (lambda: permutation_entropy(np.arange(50), 3, 0), "delay is 0"),
        (lambda: permutation_entropy([1.0, math.nan, 2.0]), "nan at index 1"),
    ],
)
def test_bad_input_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
