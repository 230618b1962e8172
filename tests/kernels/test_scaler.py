"""Scalers are values: fitted once, stored as JSON, and refused where they do not belong."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given

from kernels import embedding
from kernels.embedding import MINIROCKET, SEED, Scaler, fit_scaler, transform
from tests.kernels.strategies import checked, in_other_clothes, series

WALKS = np.cumsum(np.random.default_rng(12).normal(size=(30, 90)), axis=1)


@checked
@given(series(low=8, high=700))
def test_any_series_has_384_finite_minirocket_features(x):
    features = embedding.minirocket_features(x)

    assert features.shape == (384,)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert (features[embedding.SHARES] >= 0).all()
    assert (features[embedding.SHARES] <= 1).all()
    assert all(
        np.array_equal(embedding.minirocket_features(other), features)
        for other in in_other_clothes(x)
    )


@pytest.mark.parametrize("encoder", [SEED, MINIROCKET])
def test_a_batch_is_its_series_one_by_one(encoder):
    alone = {SEED: embedding.seed_features, MINIROCKET: embedding.minirocket_features}[encoder]
    scaler = fit_scaler(WALKS, encoder)

    assert np.array_equal(transform(WALKS, encoder), np.stack([alone(x) for x in WALKS]))
    assert np.array_equal(
        transform(WALKS, encoder, scaler), np.stack([alone(x, scaler) for x in WALKS])
    )


@pytest.mark.parametrize("encoder", [SEED, MINIROCKET])
def test_its_own_collection_is_standard_under_a_scaler(encoder):
    scaler = fit_scaler(WALKS, encoder)
    raw, scaled = transform(WALKS, encoder), transform(WALKS, encoder, scaler)

    varies = raw.std(axis=0) > 0.01
    inside = varies & (np.abs(scaled) < 5).all(axis=0)
    assert inside.sum() > 300
    assert scaled[:, inside].mean(axis=0) == pytest.approx(np.zeros(inside.sum()), abs=1e-4)
    assert scaled[:, inside].std(axis=0) == pytest.approx(np.ones(inside.sum()), abs=1e-3)
    assert (np.abs(scaled) <= 5).all()


def test_what_does_not_vary_in_a_collection_says_nothing_there():
    standard = (WALKS - WALKS.mean(1, keepdims=True)) / WALKS.std(1, keepdims=True)
    scaler = fit_scaler(standard, MINIROCKET)

    near = transform(standard[:1], MINIROCKET, scaler)
    far = transform(standard[:1] * 4096 + 1e4, MINIROCKET, scaler)

    assert np.abs(near - far).max() < 0.05


def test_the_last_figures_are_octaves_and_levels():
    tone = np.sin(2 * np.pi * 9 * np.arange(256) / 256)

    features = embedding.minirocket_features(tone)[embedding.FIGURES]

    assert features[32:40].argmax() == 3
    assert features[:32] == pytest.approx(embedding.seed_features(tone)[embedding.STATISTICAL])
    assert features[40:] == pytest.approx(embedding.seed_features(tone)[352:384:4])


def test_a_stored_scaler_is_the_same_scaler():
    scaler = fit_scaler(WALKS, MINIROCKET, version=3)

    stored = Scaler.from_dict(json.loads(json.dumps(scaler.as_dict())))

    assert (stored.encoder, stored.version, stored.samples) == (MINIROCKET, 3, 30)
    assert np.array_equal(
        transform(WALKS, MINIROCKET, stored), transform(WALKS, MINIROCKET, scaler)
    )


GOOD = {"encoder": "e", "version": 1, "mean": [0.0], "deviation": [1.0]}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Scaler.from_dict({"mean": []}), "lacks deviation, encoder, version"),
        (lambda: Scaler.from_dict({**GOOD, "mean": [math.nan]}), "mean is not a list of finite"),
        (lambda: Scaler.from_dict({**GOOD, "mean": "abc"}), "mean is not a list of finite"),
        (lambda: Scaler.from_dict({**GOOD, "deviation": [-1.0]}), "deviations are not"),
        (lambda: Scaler.from_dict({**GOOD, "deviation": [1.0, 1.0]}), "deviations are not"),
        (lambda: Scaler.from_dict({**GOOD, "version": 0}), "version is 0"),
        (lambda: Scaler.from_dict({**GOOD, "encoder": 7}), "must be a name"),
        (lambda: Scaler.from_dict(GOOD).apply(np.zeros((2, 3))), "takes 1 dimensions"),
        (lambda: transform(WALKS, "word2vec"), "choose one of minirocket-384, seed-384"),
        (lambda: transform(WALKS, SEED, Scaler.from_dict(GOOD)), "fitted for 'e', not 'seed-384'"),
        (lambda: Scaler.fit(np.full((2, 2), math.nan), SEED), "row 0"),
        (lambda: Scaler.fit(np.ones((2, 2)), SEED, 0), "version is 0"),
        (lambda: embedding.minirocket_features(np.zeros(7)), "at least 8"),
    ],
)
def test_bad_input_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
