"""Vectors tell classes apart better than warping does, on sets that nothing was fitted to."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import dtw, embedding
from tests.kernels import ucr
from tests.kernels.strategies import compiled_only


@pytest.fixture(scope="module")
def sets():
    return [(*ucr.read(name, "TRAIN"), *ucr.read(name, "TEST")) for name in ucr.SETS]


def accuracy_of_vectors(encoder, train, classes, test, expected):
    scaler = embedding.fit_scaler(train, encoder)
    stored = embedding.transform(train, encoder, scaler)
    asked = embedding.transform(test, encoder, scaler)
    squared = (asked**2).sum(1)[:, None] - 2 * asked @ stored.T + (stored**2).sum(1)
    return np.mean(classes[squared.argmin(axis=1)] == expected)


def accuracy_of_warping(train, classes, test, expected):
    found = dtw.nearest_each(test, dtw.collect(train))
    return np.mean([classes[f.indices[0]] for f in found] == expected)


@compiled_only
def test_minirocket_vectors_reach_nine_of_ten_and_beat_full_warping(sets):
    vectors = np.mean([accuracy_of_vectors(embedding.MINIROCKET, *parts) for parts in sets])
    warping = np.mean([accuracy_of_warping(*parts) for parts in sets])

    assert vectors >= 0.90
    assert vectors >= warping


@compiled_only
def test_explainable_vectors_come_close(sets):
    assert np.mean([accuracy_of_vectors(embedding.SEED, *parts) for parts in sets]) >= 0.85
