"""A first look at four bits of each code leaves nothing out that a full scan finds."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import coarse, scans
from kernels.vectors import Codes, quantize_int4, quantize_int8, top_k
from tests.kernels.strategies import checked

COUNT = 3000 if not numba.config.DISABLE_JIT else 150


def clustered(random, n, d):
    centres = random.normal(size=(max(1, n // 50), d))
    return centres[random.integers(0, len(centres), n)] + 0.2 * random.normal(size=(n, d))


KINDS = {
    "random": lambda random, n, d: random.normal(size=(n, d)),
    "clustered": clustered,
    "signs": lambda random, n, d: random.choice([-1.0, 1.0], (n, d)),
    "sparse": lambda random, n, d: (random.random((n, d)) < 0.05) * random.random((n, d)),
    "positive": lambda random, n, d: random.choice([0.3, 1.0], (n, d)),
    "repeated": lambda random, n, d: random.normal(size=(n, d))[random.integers(0, 9, n)],
    "constant": lambda _, n, d: np.ones((n, d)),
}


def planned(codes):
    for _ in range(2):
        plane = codes.plane(fewest=0)
    assert plane is not None
    return codes


@pytest.mark.parametrize("metric", ["dot", "cosine", "euclidean"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_first_look_changes_no_result(kind, metric):
    random = np.random.default_rng(3)
    rows = KINDS[kind](random, COUNT, 150)
    mask = random.random(COUNT) < 0.7
    once, looked = quantize_int8(rows, metric), planned(quantize_int8(rows, metric))

    for query in [*rows[:6] + 0.1, *random.normal(size=(4, 150)), np.zeros(150)]:
        for k, use in [(1, None), (10, mask), (64, None)]:
            wanted, found = top_k(once, query, k, use), top_k(looked, query, k, use)
            assert found.indices.tolist() == wanted.indices.tolist()
            assert found.scores.tolist() == wanted.scores.tolist()


@checked
@given(st.integers(1, 700), st.integers(1, 200), st.integers(1, 90), st.integers(0, 99))
def test_any_shape_and_mask_gives_what_a_full_scan_gives(n, d, k, seed):
    n = n if not numba.config.DISABLE_JIT else 1 + n // 10
    random = np.random.default_rng(seed)
    rows, mask = random.normal(size=(n, d)), random.random(n) < random.random()
    query = random.normal(size=d)

    wanted = top_k(quantize_int8(rows), query, k, mask)
    found = top_k(planned(quantize_int8(rows)), query, k, mask)

    assert found.indices.tolist() == wanted.indices.tolist()
    assert found.scores.tolist() == wanted.scores.tolist()


def test_what_four_bits_lose_is_even_whatever_the_codes_are():
    values = np.repeat(np.array([[-127], [-1], [0], [56], [127]], np.int8), 128, axis=1)
    values = np.repeat(values, 400 if not numba.config.DISABLE_JIT else 64, axis=0)
    plane = coarse.plane_of(values)

    levels = np.concatenate([(plane.words >> 4 * c) & 15 for c in range(4)], axis=1)
    noise = plane.dither[np.arange(len(values)) % len(plane.dither)]
    errors = levels * 17.0 + 8 - noise - 127 - values

    assert set(np.unique(errors).tolist()) == set(range(-8, 9))
    assert np.abs(errors.reshape(5, -1).mean(axis=1)).max() < 0.3


@pytest.mark.parametrize("width", [32, 4096])
def test_products_of_four_bits_are_exact_up_to_the_largest(width):
    words = np.array([[0xFFFF] * width, [0x8421] * width, [0] * width], np.uint16)
    factors = np.full((1, 4 * width), 127, np.int16)
    factors[0, ::3] = -127
    rough = np.empty(3, np.float32)

    silent = np.zeros((32, 4 * width), np.int8)
    coarse._look((words, silent), factors, np.ones(3, np.bool_), rough)

    levels = np.concatenate([(words >> 4 * c) & 15 for c in range(4)], axis=1).astype(np.int64)
    wanted = (17 * levels - 119) @ factors[0].astype(np.int64)
    assert rough.tolist() == wanted.astype(np.float32).tolist()


def test_a_query_is_rounded_as_codes_are():
    rows = np.random.default_rng(4).normal(size=(40, 33)).astype(np.float32)
    rows[3], rows[5] = 0, 1e-35

    factors, units = scans.round_queries(rows, 40, 127.0, 1e-30)

    codes = quantize_int8(rows)
    assert np.array_equal(factors[:, :33], codes.values)
    assert not factors[:, 33:].any()
    assert np.array_equal(units, codes.scales)


def test_the_plane_is_made_for_many_bytes_and_from_the_second_time_on():
    few, many = quantize_int8(np.eye(9)), quantize_int8(np.ones((9, 200)))

    assert [few.plane(100) for _ in range(3)] == [None] * 3
    assert many.plane(1000) is None
    assert many.plane(1000) is many.plane() is not None
    assert [quantize_int4(np.ones((9, 200))).plane(0) for _ in range(3)] == [None] * 3


def test_equal_scores_beyond_the_first_look_are_ranked_by_row():
    codes = planned(quantize_int8(np.ones((2000, 40))))

    assert top_k(codes, np.ones(40), 70).indices.tolist() == list(range(70))
    assert top_k(codes, np.ones(40), 3, np.arange(2000) % 2 == 1).indices.tolist() == [1, 3, 5]


def test_a_scale_may_be_negative():
    random = np.random.default_rng(6)
    values = random.integers(-127, 128, (500, 64)).astype(np.int8)
    scales = random.normal(size=500).astype(np.float32)
    codes = [Codes("int8", 64, values, scales, np.zeros(500, np.float32)) for _ in range(2)]
    query = random.normal(size=64)

    assert top_k(planned(codes[0]), query, 20).indices.tolist() == (
        top_k(codes[1], query, 20).indices.tolist()
    )
