"""Codes are close to what they stand for, and scans find what exact search finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import vectors
from kernels.vectors import Codes, quantize_int4, quantize_int8, rerank, sign_codes, top_k
from tests.kernels import naive_vectors as naive
from tests.kernels.strategies import checked

METRICS = ["dot", "cosine", "euclidean"]


def matrices(low=1, high=30, wide=20):
    """Random, repeated, constant and zero rows; whole numbers, so that sums are exact."""

    def build(seed, n, d, kind):
        random = np.random.default_rng(seed)
        rows = random.integers(-9, 10, (n, d)).astype(float)
        if kind == "repeated":
            rows = rows[random.integers(0, max(1, n // 3), n)]
        if kind == "zero":
            rows[::2] = 0
        if kind == "constant":
            rows[:] = 3
        return rows

    kinds = st.sampled_from(["random", "repeated", "constant", "zero"])
    return st.builds(build, st.integers(0, 99), st.integers(low, high), st.integers(1, wide), kinds)


def clothes(rows):
    spread = np.zeros((2 * len(rows), rows.shape[1]))
    spread[::2] = rows
    frozen = rows.copy()
    frozen.flags.writeable = False
    return [
        spread[::2], frozen, np.asfortranarray(rows), rows.tolist(), rows.astype(np.float32),
        rows.astype(np.int16), rows.astype(">f4"),
    ]  # fmt: skip


@checked
@given(matrices())
def test_an_int8_code_is_half_a_step_from_its_value(rows):
    codes = quantize_int8(rows)

    for row, code, scale in zip(rows, codes.values, codes.scales, strict=True):
        whole, step = naive.int8(row)
        assert scale == pytest.approx(step)
        assert np.abs(code - np.array(whole)).max() <= 1  # a tie may round either way in float32
        assert np.abs(code * scale - row).max() <= scale * 0.5001


@checked
@given(matrices(wide=9))
def test_an_int4_code_holds_value_j_and_value_j_plus_half_in_one_byte(rows):
    codes = quantize_int4(rows)
    d = rows.shape[1]

    unpacked = np.concatenate([codes.values & 15, codes.values >> 4], axis=1)[:, :d].astype(int) - 8
    clip = 2.5 * np.sqrt((rows**2).mean(axis=1, keepdims=True))
    wanted = np.clip(rows, -clip, clip)
    assert np.abs(unpacked * codes.scales[:, None] - wanted).max() <= codes.scales.max() * 0.5001
    assert codes.values.shape == (len(rows), (d + 1) // 2)


@checked
@given(matrices(), st.integers(1, 12), st.integers(0, 99), st.booleans())
def test_a_scan_ranks_as_its_codes_say_it_should(rows, k, seed, masked):
    query = np.random.default_rng(seed).integers(-9, 10, rows.shape[1]).astype(float)
    mask = np.random.default_rng(seed).random(len(rows)) < 0.5 if masked else None
    codes = quantize_int8(rows)

    found = top_k(codes, query, k, mask)

    whole, step = naive.int8(query)
    scores = np.array(
        [
            np.float32(naive.dot(code.tolist(), whole)) * np.float32(step) * scale
            for code, scale in zip(codes.values, codes.scales, strict=True)
        ]
    )
    wanted = naive.best(scores.tolist(), k, mask)
    assert found.scores == pytest.approx(scores[wanted], rel=1e-5, abs=1e-5)
    assert len(set(found.indices.tolist())) == len(wanted)
    assert mask is None or mask[found.indices].all()
    assert scores[found.indices] == pytest.approx(found.scores, rel=1e-5, abs=1e-5)


def test_equal_scores_are_ranked_by_row():
    codes = quantize_int8(np.ones((2000, 3)))

    assert top_k(codes, np.ones(3), 70).indices.tolist() == list(range(70))
    assert top_k(codes, np.ones(3), 3, np.arange(2000) % 2 == 1).indices.tolist() == [1, 3, 5]


@checked
@given(matrices(), st.integers(1, 12), st.integers(0, 99))
def test_bits_that_differ_are_counted(rows, k, seed):
    query = np.random.default_rng(seed).integers(-9, 10, rows.shape[1]).astype(float)

    found = top_k(sign_codes(rows), query, k)

    scores = 1 - 2 * ((rows > 0) != (query > 0)).mean(axis=1)
    assert found.indices.tolist() == naive.best(np.round(scores, 6).tolist(), k)
    assert found.scores == pytest.approx(scores[found.indices], abs=1e-6)


@checked
@given(matrices(wide=200), st.integers(1, 9), st.integers(0, 99))
def test_a_scan_of_four_bits_ranks_as_its_codes_say(rows, k, seed):
    d = rows.shape[1]
    query = np.random.default_rng(seed).integers(-9, 10, d).astype(float)
    codes = quantize_int4(rows)

    found = top_k(codes, query, k)

    unpacked = np.concatenate([codes.values & 15, codes.values >> 4], axis=1)[:, :d].astype(int) - 8
    whole, step = naive.int8(query)
    scores = unpacked @ np.array(whole) * step * codes.scales
    assert found.scores == pytest.approx(np.sort(scores)[::-1][:k], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("metric", METRICS)
@checked
@given(matrices(), st.integers(1, 12), st.integers(0, 99))
def test_reranked_scores_are_exact(metric, rows, k, seed):
    query = np.random.default_rng(seed).integers(-9, 10, rows.shape[1]).astype(float)

    found = rerank(rows, query, np.arange(len(rows)), k, metric)

    scores = [naive.score(row, query, metric) for row in rows.tolist()]
    assert found.scores == pytest.approx(np.sort(scores)[::-1][:k], rel=1e-5, abs=1e-6)
    assert [scores[i] for i in found.indices] == pytest.approx(found.scores, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_a_scan_and_a_rerank_find_the_ten_nearest(metric):
    random = np.random.default_rng(5)
    rows = random.normal(size=(1000, 48)) * random.uniform(0.5, 2, (1000, 1))
    queries = rows[::100] + 0.1 * random.normal(size=(10, 48))
    asked = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    asked = asked if metric == "cosine" else queries

    found = rerank(rows, queries, top_k(quantize_int8(rows, metric), asked, 64).indices, 10, metric)

    for query, indices in zip(queries, found.indices, strict=True):
        scores = [naive.score(row, query, metric) for row in rows]
        assert indices.tolist() == naive.best(scores, 10)


@checked
@given(matrices(low=2), st.integers(1, 5))
def test_a_batch_is_its_queries_one_by_one(rows, k):
    for codes in (quantize_int8(rows), quantize_int4(rows), sign_codes(rows)):
        together = top_k(codes, rows, k)
        for number, row in enumerate(rows):
            alone = top_k(codes, row, k)
            assert together.indices[number, : alone.indices.size].tolist() == alone.indices.tolist()
            assert np.array_equal(together.scores[number, : alone.scores.size], alone.scores)


def test_unused_places_of_a_batch_name_no_row():
    codes = quantize_int8(np.eye(3))

    found = top_k(codes, np.eye(3)[:2], 3, np.array([True, False, False]))

    assert found.indices.tolist() == [[0, -1, -1]] * 2
    assert np.isneginf(found.scores[:, 1:]).all()
    again = rerank(np.eye(3), np.eye(3)[:2], found.indices, 2)
    assert again.indices.tolist() == [[0, -1]] * 2


@checked
@given(matrices())
def test_dtype_and_layout_of_vectors_do_not_matter(rows):
    plain = quantize_int8(rows, "cosine")

    for other in clothes(rows):
        codes = quantize_int8(other, "cosine")
        assert np.array_equal(codes.values, plain.values)
        assert np.array_equal(top_k(codes, other[0], 3).indices, top_k(plain, rows[0], 3).indices)


def test_more_than_a_block_of_rows_is_scanned_to_its_end():
    rows = np.random.default_rng(1).normal(size=(1500, 8))

    for codes in (quantize_int8(rows), quantize_int4(rows), sign_codes(rows)):
        assert sorted(top_k(codes, rows[7], 1500).indices) == list(range(1500))


def test_the_largest_dimension_does_not_overflow():
    rows = np.full((2, 16_384), 1e15)

    assert top_k(quantize_int8(rows), rows[0], 1).scores[0] == pytest.approx(16_384e30, rel=0.01)


def test_tiny_rows_count_as_zero_and_small_ones_do_not():
    rows = np.array([[1e-40, -1e-40], [1e-20, -1e-20], [-1.0, 1.0]])

    codes = quantize_int8(rows, "cosine")

    assert codes.scales[0] == 0
    assert top_k(codes, np.array([1.0, -1.0]), 3).indices.tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quantize_int8([[1.0, np.nan]]), "NaN, infinity .* in row 0"),
        (lambda: quantize_int8([[1.0], [np.inf]]), "row 1"),
        (lambda: quantize_int4([[1e16]]), "above 1e"),
        (lambda: sign_codes([[1e300]]), "above 1e"),
        (lambda: quantize_int8([1.0, 2.0]), "one vector per row"),
        (lambda: quantize_int8([]), "one vector per row"),
        (lambda: quantize_int8([[1.0], [1.0, 2.0]]), "ragged"),
        (lambda: quantize_int8([["a"]]), "real numbers"),
        (lambda: quantize_int8(np.zeros((1, 20_000))), "16384"),
        (lambda: top_k(quantize_int8([[1.0]]), [1.0, 2.0], 1), "query has 2 dimensions"),
        (lambda: top_k(quantize_int8([[1.0]]), [np.nan], 1), "query has NaN"),
        (lambda: top_k(quantize_int8([[1.0]]), [1.0], 0), "k is 0"),
        (lambda: top_k(quantize_int8([[1.0]]), [1.0], 1, [1]), "one boolean per row"),
        (lambda: rerank([[1.0]], [1.0], [1], 1), "rows up to 1"),
        (lambda: rerank([[1.0]], [1.0], [0], 1, "angle"), "one of dot, cosine"),
        (lambda: quantize_int8([[1.0]], "angle"), "one of dot, cosine, euclidean"),
        (lambda: rerank([1.0], [1.0], [0], 1), "pass rows"),
        (lambda: Codes("int8", 2, np.zeros((1, 3), np.int8), *[np.ones(1, "f4")] * 2), "shape"),
        (lambda: Codes("int8", 3, np.zeros((1, 3), np.int8), *[np.ones(2, "f4")] * 2), "one float"),
    ],
)
def test_bad_input_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_names_of_the_contract_are_here():
    names = {"quantize_int8", "quantize_int4", "sign_codes", "top_k", "rerank", "near_duplicates"}

    assert names <= set(vectors.__all__)
