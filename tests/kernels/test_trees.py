"""Packed trees say what scikit-learn says, of any row, and a damaged file is refused."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from kernels import trees
from tests.kernels.strategies import checked, in_other_clothes

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(200, 4))
ROWS[:, 3] = RANDOM.integers(0, 6, 200) * 3
GAPS = np.where(RANDOM.random(ROWS.shape) < 0.15, np.nan, ROWS)
SCORE = ROWS[:, 0] + np.sin(3 * ROWS[:, 1]) + (ROWS[:, 3] == 6)
CLASSES = np.digitize(SCORE, [-1, 0.3, 1.2])
NAMES = np.array(["a", "b", "c", "d"])[CLASSES]

MODELS = {
    "two classes": (HistGradientBoostingClassifier(max_iter=5), GAPS, CLASSES > 1),
    "four classes": (HistGradientBoostingClassifier(max_iter=5), GAPS, NAMES),
    "categories": (
        HistGradientBoostingClassifier(max_iter=5, categorical_features=[3]),
        GAPS,
        CLASSES,
    ),
    "regression": (HistGradientBoostingRegressor(max_iter=5), GAPS, SCORE),
    "counts": (
        HistGradientBoostingRegressor(max_iter=5, loss="poisson", categorical_features=[3]),
        GAPS,
        SCORE.clip(0),
    ),
    "stages of two": (GradientBoostingClassifier(n_estimators=5), ROWS, CLASSES > 1),
    "stages of four": (GradientBoostingClassifier(n_estimators=5, init="zero"), ROWS, CLASSES),
    "stages of values": (GradientBoostingRegressor(n_estimators=5, loss="huber"), ROWS, SCORE),
}


@cache
def fitted(name):
    model, rows, target = MODELS[name]
    with threadpool_limits(limits=1):
        model.fit(rows, target)
    return model, trees.pack(model), rows


@pytest.fixture(params=MODELS)
def pair(request):
    return fitted(request.param)


def unseen(rows):
    """New rows: between the old ones, beyond them, on a threshold, of unknown categories."""
    fresh = np.random.default_rng(7).normal(size=(300, 4)) * 3
    fresh[:, 3] = np.random.default_rng(8).integers(-2, 30, 300)
    if np.isnan(rows).any():
        fresh[::5, 1] = np.nan
        fresh[::7, 3] = np.nan
        fresh[0, :3] = np.inf
        fresh[1, :3] = -np.inf
    return np.concatenate([rows, fresh])


def test_every_row_gets_what_the_library_gives_it(pair):
    model, packed, rows = pair
    table = unseen(rows)

    given = table.astype(np.float32) if packed.single_precision else table
    assert packed.raw(table).squeeze().tolist() == model._raw_predict(given).squeeze().tolist()
    if packed.labels:
        assert packed.predict(table).tolist() == model.predict(table).tolist()
        found = packed.probabilities(table)
        assert found == pytest.approx(model.predict_proba(table), rel=1e-14, abs=1e-300)
    else:
        assert packed.predict(table) == pytest.approx(model.predict(table), rel=1e-15)


def test_one_row_gets_what_it_gets_in_a_table(pair):
    _, packed, rows = pair
    whole = packed.raw(rows)

    for at in (0, 5, 77):
        assert packed.raw(rows[at]).tolist() == whole[at].tolist()
        assert packed.predict(rows[at]) == packed.predict(rows)[at]
        assert all(
            packed.raw(other).tolist() == whole[at].tolist() for other in in_other_clothes(rows[at])
        )


def test_json_and_bytes_bring_back_the_same(pair):
    _, packed, rows = pair
    expected = packed.raw(rows).tolist()

    for again in (
        trees.from_dict(json.loads(json.dumps(packed.as_dict()))),
        trees.from_bytes(packed.to_bytes()),
    ):
        assert again.raw(rows).tolist() == expected
        assert again.labels == packed.labels


def test_a_model_that_cannot_be_packed_is_refused_in_words():
    text = np.where(CLASSES > 1, "yes", "no").astype(object)
    table = np.column_stack([ROWS[:, 0].astype(object), text])
    named = HistGradientBoostingClassifier(max_iter=2, categorical_features=[1])
    started = GradientBoostingClassifier(n_estimators=2, init=DecisionTreeClassifier())
    for model, says in (
        (RandomForestClassifier(), "RandomForestClassifier is not known"),
        (HistGradientBoostingClassifier(), "call fit first"),
        (GradientBoostingRegressor(), "call fit first"),
        (named.fit(table, CLASSES), "categories that are no numbers"),
        (started.fit(ROWS, CLASSES), "begins with a DecisionTreeClassifier"),
    ):
        with pytest.raises(ValueError, match=says):
            trees.pack(model)


def test_rows_that_do_not_fit_are_refused_in_words(pair):
    _, packed, rows = pair

    with pytest.raises(ValueError, match="one row of 4 features"):
        packed.raw([1.0, 2.0])
    with pytest.raises(ValueError, match="real numbers"):
        packed.raw([["a", "b", "c", "d"]])
    if packed.single_precision:
        for value in (np.nan, np.inf, 1e39):
            with pytest.raises(ValueError, match="no missing values"):
                packed.raw([value, 0, 0, 0])
    if not packed.labels:
        with pytest.raises(ValueError, match="no probabilities"):
            packed.probabilities(rows)


@checked
@given(st.data())
def test_a_damaged_ensemble_is_refused_or_still_safe_to_run(data):
    _, packed, rows = fitted("categories")
    parts = packed.as_dict()
    name = data.draw(st.sampled_from(sorted(parts["arrays"])))
    flat = np.array(parts["arrays"][name])
    place = data.draw(st.integers(0, max(0, flat.size - 1)))
    if flat.size:
        flat.flat[place] = data.draw(st.sampled_from([-2, -1, 0, 1, 3, 10**6]))
    parts["arrays"][name] = flat.tolist() if data.draw(st.booleans()) else flat.tolist()[:-1]

    try:
        changed = trees.from_dict(parts)
    except ValueError:
        return
    assert changed.raw(rows).shape == (200, 4)


@pytest.mark.parametrize(
    "damaged",
    [b"", b"PK", b"no zip", trees.__doc__.encode()],
    ids=["empty", "short", "text", "doc"],
)
def test_bytes_that_are_no_ensemble_are_refused(damaged):
    with pytest.raises(ValueError, match="no packed ensemble"):
        trees.from_bytes(damaged)


@settings(checked, max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_flipped_bytes_are_refused_or_harmless(seed, count):
    _, packed, rows = fitted("categories")
    random = np.random.default_rng(seed)
    data = np.frombuffer(packed.to_bytes(), np.uint8).copy()
    places = random.integers(0, data.size, count)
    data[places] ^= random.integers(1, 256, count).astype(np.uint8)

    try:
        changed = trees.from_bytes(data.tobytes())
    except ValueError:
        return
    assert changed.raw(rows).shape == (200, 4)


def test_another_format_is_refused():
    parts = fitted("regression")[1].as_dict()

    with pytest.raises(ValueError, match="format 2"):
        trees.from_dict({**parts, "format": 2})
    for link in ("cubic", ["identity"], {}):
        with pytest.raises(ValueError, match="description is damaged"):
            trees.from_dict({**parts, "link": link})
    with pytest.raises(ValueError, match="as_dict"):
        trees.from_dict({"format": 1})
