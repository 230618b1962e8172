"""Cores of the encoders equal their slow twins."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import blocks, embedding, minirocket, prototypes, shapes
from kernels.series import standardise
from tests.kernels import naive
from tests.kernels.strategies import checked, series


@checked
@given(series(low=2, high=90), st.integers(2, 20))
def test_resampling_averages_long_and_interpolates_short_series(x, points):
    assert shapes._resample(x, points) == pytest.approx(naive.resample(x.tolist(), points))


@checked
@given(st.integers(0, 2**32 - 1))
def test_wavelet_features_hold_the_haar_transform(seed):
    standard = np.random.default_rng(seed).normal(size=(2, 256))
    features = np.zeros((2, embedding.DIMENSIONS))
    blocks.wavelets(standard, features)

    for shape, row in zip(standard, features, strict=True):
        coarse = np.array(naive.haar(shape.tolist())[:128])
        assert row[224:352] * 16 == pytest.approx(coarse, abs=1e-12)


def test_warping_features_are_distances_to_each_prototype():
    standard = np.random.default_rng(3).normal(size=(3, 256))
    columns = prototypes.prototype_columns()
    features = np.zeros((3, embedding.DIMENSIONS))
    blocks.warp(standard, columns, embedding.WARPING_WINDOW, features)

    for shape, row in zip(standard, features, strict=True):
        points = shape.reshape(64, 4).mean(axis=1)
        for p in range(0, 64, 9):
            expected = naive.dtw(points, columns[:, p], embedding.WARPING_WINDOW) / 8
            assert row[160 + p] == pytest.approx(expected)


@checked
@given(st.lists(series(low=8, high=40), min_size=1, max_size=4))
def test_shapes_are_standardised_resampled_and_standardised_again(xs):
    offsets = np.cumsum([0, *(x.size for x in xs)])
    found, levels = shapes.shapes_of(np.concatenate(xs), offsets)

    for x, shape, level in zip(xs, found, levels, strict=True):
        resampled = np.array(naive.resample(standardise(x).tolist(), shapes.POINTS))
        assert shape == pytest.approx(standardise(resampled), abs=1e-6)
        assert level[0] == pytest.approx(np.sign(x.mean()) * np.log1p(abs(x.mean())), abs=1e-9)
        assert level[1] == pytest.approx(np.log1p(x.std()), abs=1e-9)


def responses(rows, dilation):
    """Of the 84 kernels at every position, rows padded with zeros: (84, count, POINTS)."""
    points = rows.shape[1]
    padded = np.pad(rows, ((0, 0), (4 * dilation, 4 * dilation)))
    taps = [padded[:, k * dilation : k * dilation + points] for k in range(9)]
    return [
        sum((2 if k in twos else -1) * taps[k] for k in range(9))
        for twos in itertools.combinations(range(9), 3)
    ]


def counted(rows, dilation, kernel, response):
    """Positions that count: all, or for every other kernel those where it fits."""
    odd = (kernel + minirocket.DILATIONS.index(dilation)) % 2
    edge = 4 * dilation if odd else 0
    return response[:, edge : rows.shape[1] - edge]


@checked
@given(st.integers(0, 2**32 - 1))
def test_minirocket_features_are_shares_of_positions_above_a_threshold(number):
    rows = np.cumsum(np.random.default_rng(number).normal(size=(2, 256)), axis=1)
    rows = np.round(np.stack([standardise(row) for row in rows]) * 64) / 64
    found = minirocket.shares(rows)

    column = 0
    for dilation in minirocket.DILATIONS:
        for kernel, response in enumerate(responses(rows, dilation)):
            above = counted(rows, dilation, kernel, response) > minirocket.BIASES[column]
            assert found[:, column] == pytest.approx(above.mean(axis=1))
            column += 1


def test_thresholds_are_quantiles_of_responses_to_walks_and_sines():
    random = np.random.RandomState(0)
    walks = np.cumsum(random.normal(size=(128, 256)), axis=1)
    cycles = 2 ** random.uniform(-1, 5, (128, 1))
    sines = np.sin(2 * np.pi * (cycles * np.arange(256) / 256 + random.random_sample((128, 1))))
    rows = np.stack([standardise(row) for row in np.concatenate([walks, sines])])

    golden = (np.sqrt(5) + 1) / 2
    column = 0
    for dilation in minirocket.DILATIONS:
        for kernel, response in enumerate(responses(rows, dilation)):
            share = (column + 1) * golden % 1
            expected = np.quantile(counted(rows, dilation, kernel, response), share)
            assert minirocket.BIASES[column] == pytest.approx(expected, abs=6e-4)
            column += 1
    assert column == minirocket.BIASES.size == minirocket.COUNT
