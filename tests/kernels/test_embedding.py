"""Feature vectors are finite, repeatable and close for like shapes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import embedding
from kernels.embedding import seed_features, transform
from kernels.entropy import permutation_entropy
from kernels.prototypes import prototype_columns
from kernels.shapes import shapes_of
from tests.kernels.strategies import checked, in_other_clothes, series


@checked
@given(series(low=8, high=700))
def test_any_series_has_384_finite_features(x):
    features = seed_features(x)

    assert features.shape == (384,)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


@checked
@given(st.lists(series(low=8, high=40), min_size=1, max_size=5))
def test_a_batch_is_its_series_one_by_one(xs):
    assert np.array_equal(transform(xs), np.stack([seed_features(x) for x in xs]))


def test_a_matrix_is_a_batch_of_its_rows():
    rows = np.random.default_rng(4).normal(size=(6, 50))

    assert np.array_equal(transform(rows), transform(list(rows)))


@checked
@given(series(low=8, high=40))
def test_dtype_and_layout_do_not_matter(x):
    features = seed_features(x)

    assert all(np.array_equal(seed_features(other), features) for other in in_other_clothes(x))


@checked
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1e4), st.floats(-100, 100))
def test_only_the_first_two_features_know_scale_and_offset(seed, scale, offset):
    x = np.cumsum(np.random.default_rng(seed).normal(size=100))

    plain, other = seed_features(x), seed_features(scale * x + offset)

    # Extremes may swap places when they are equal up to rounding; all else is smooth.
    smooth = np.r_[2:19, 20:25, 27:31, 32:384]
    assert np.allclose(plain[smooth], other[smooth], atol=1e-3)


def test_a_constant_series_has_no_shape():
    features = seed_features(np.full(100, 5.0))

    assert features[0] == pytest.approx(math.log1p(5))
    assert not features[embedding.SPECTRAL].any()
    assert not features[embedding.WAVELET].any()


def test_the_blocks_cover_every_dimension_once():
    blocks = [
        embedding.STATISTICAL,
        embedding.SPECTRAL,
        embedding.WARPING,
        embedding.WAVELET,
    ]

    assert [b.stop - b.start for b in blocks] == [32, 128, 64, 160]
    assert [b.start for b in blocks] == [0, 32, 160, 224]
    assert blocks[-1].stop == embedding.DIMENSIONS


def test_statistics_are_what_they_are_called():
    x = np.sin(2 * np.pi * np.arange(256) / 64) + np.arange(256) * 0.01
    z = (x - x.mean()) / x.std()
    f = seed_features(x)

    assert f[0] == pytest.approx(np.log1p(x.mean()), rel=1e-5)
    assert f[1] == pytest.approx(np.log1p(x.std()), rel=1e-5)
    assert f[2] == pytest.approx(np.sign((z**3).mean()) * np.log1p(abs((z**3).mean())), abs=1e-5)
    assert f[3] == pytest.approx(np.log1p((z**4).mean()), rel=1e-5)
    assert (f[4], f[5]) == pytest.approx((z.min(), z.max()), rel=1e-5)
    assert f[13] == pytest.approx(np.abs(z).mean(), rel=1e-5)
    assert f[14] == pytest.approx(np.abs(np.diff(z)).mean(), rel=1e-5)
    assert f[18] == pytest.approx(np.count_nonzero(np.diff(z > 0)) / 256)
    assert f[24] == pytest.approx((z[:-64] * z[64:]).mean(), rel=1e-4)
    assert f[31] == pytest.approx(
        permutation_entropy(shapes_of(x, np.array([0, 256]))[0][0], 4), abs=1e-6
    )
    assert (f[25], f[26]) == (z.argmax() / 256, z.argmin() / 256)


def test_the_spectrum_has_its_peak_where_the_tone_is():
    tone = np.sin(2 * np.pi * 9 * np.arange(256) / 256)

    assert seed_features(tone)[embedding.SPECTRAL].argmax() == 9 - 1


def test_like_shapes_are_closer_than_unlike_ones():
    random = np.random.default_rng(6)
    t = np.linspace(0, 1, 200)
    kinds = [np.sin(6 * t * np.pi), np.sign(t - 0.4), np.exp(-(((t - 0.5) / 0.1) ** 2)), t % 0.25]
    train = transform([k + 0.1 * random.normal(size=200) for k in kinds for _ in range(5)])
    test = transform([k + 0.1 * random.normal(size=200) for k in kinds for _ in range(5)])

    mean, deviation = train.mean(axis=0), train.std(axis=0) + 1e-6
    train, test = (train - mean) / deviation, (test - mean) / deviation
    found = [np.linalg.norm(train - row, axis=1).argmin() // 5 for row in test]

    assert found == [k for k in range(4) for _ in range(5)]


def test_prototypes_are_64_different_standard_shapes():
    columns = prototype_columns()

    assert columns.shape == (64, 64)
    assert columns.mean(axis=0) == pytest.approx(np.zeros(64), abs=1e-12)
    assert columns.std(axis=0) == pytest.approx(np.ones(64))
    assert len({tuple(np.round(c, 9)) for c in columns.T}) == 64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: seed_features(np.zeros(7)), "at least 8"),
        (lambda: seed_features([]), "at least 8"),
        (lambda: seed_features([math.inf] * 8), "inf at index 0"),
        (lambda: seed_features(np.zeros((8, 8))), "shape"),
        (lambda: transform(np.zeros(8)), "one series per row"),
        (lambda: transform([]), "xs is empty"),
        (lambda: transform([np.zeros(8), np.zeros(3)]), r"xs\[1\] has 3 samples"),
    ],
)
def test_bad_input_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
