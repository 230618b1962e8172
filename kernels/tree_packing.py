"""From scikit-learn's own tree tables to the arrays of `kernels.trees`; nothing is imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.series import Floats, Integers

LEAF = -1
"""Instead of a feature."""
NO_SET = -1

_WORDS = 4
MAX_CATEGORIES = 64 * _WORDS
"""Of one feature; scikit-learn allows 255."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """All trees after one another; a child stands behind its parent."""

    nodes: Integers
    """(feature or LEAF, left, right, whether a missing value goes left, set or NO_SET)."""
    values: Floats
    """A leaf's value, an inner node's threshold (x <= threshold goes left)."""
    sets: NDArray[np.uint64]
    """The categories that go left, as bits."""
    roots: Integers
    """The first node of each tree; tree t adds to column t % columns."""
    start: Floats
    """What the sums begin with, one per column."""
    categorical: Integers
    """The features whose values are categories."""
    offsets: Integers
    """Where the categories of each of them begin, and the end."""
    categories: Floats
    """Rising within a feature; a category's number is its place."""

    def items(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Every array with its name."""
        for field in fields(self):
            yield field.name, getattr(self, field.name)

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
        """From arrays of any kind of number. Raises ValueError or KeyError for wrong shapes."""
        whole = {"nodes": (-1, 5), "roots": (-1,), "categorical": (-1,), "offsets": (-1,)}
        real = {"values": (-1,), "start": (-1,), "categories": (-1,)}
        found: dict[str, NDArray[Any]] = {}
        for name, shape in whole.items():
            found[name] = _converted(arrays[name], np.int64).reshape(shape)
        for name, shape in real.items():
            found[name] = _converted(arrays[name], np.float64).reshape(shape)
        found["sets"] = _converted(arrays["sets"], np.uint64).reshape(-1, _WORDS)
        if len(found["nodes"]) != len(found["values"]) or not found["offsets"].size:
            raise ValueError("the arrays differ in length")
        return cls(**found)


def _converted(array: NDArray[Any], kind: type[np.generic]) -> NDArray[Any]:
    if array.dtype.kind not in "iuf" and array.size:
        raise ValueError(f"{array.dtype} is no number")
    return np.array(array, dtype=kind, order="C")


class _Writer:
    def __init__(self) -> None:
        self.nodes: list[NDArray[np.int64]] = []
        self.values: list[Floats] = []
        self.sets: list[NDArray[np.uint64]] = []
        self.roots: list[int] = []
        self.count = self.set_count = 0

    def tree(self, nodes: NDArray[np.int64], values: Floats) -> None:
        inner = nodes[:, 0] != LEAF
        nodes[inner, 1:3] += self.count
        self.roots.append(self.count)
        self.nodes.append(nodes)
        self.values.append(values)
        self.count += len(nodes)

    def arrays(self, start: Floats, categories: Mapping[int, Floats]) -> Arrays:
        sets = np.concatenate(self.sets) if self.sets else np.zeros((0, _WORDS), np.uint64)
        ends = np.cumsum([0, *(known.size for known in categories.values())])
        return Arrays(
            np.ascontiguousarray(np.concatenate(self.nodes)),
            np.concatenate(self.values),
            sets,
            np.array(self.roots, np.int64),
            np.array(start, np.float64).reshape(-1),
            np.array(list(categories), np.int64),
            ends.astype(np.int64),
            np.concatenate([np.zeros(0), *categories.values()]),
        )


def pack_histogram(model: Any) -> Arrays:
    """HistGradientBoosting: thresholds in float64, missing values, categories as bit sets."""
    predictors = getattr(model, "_predictors", None)
    if predictors is None:
        raise ValueError("the model is not fitted; call fit first")
    order, categories = _columns(model)
    writer = _Writer()
    for predictor in (one for stage in predictors for one in stage):
        table = predictor.nodes
        leaf = table["is_leaf"].astype(bool)
        sets = _bits(predictor.raw_left_cat_bitsets)
        group = np.where(
            table["is_categorical"], table["bitset_idx"].astype(np.int64) + writer.set_count, NO_SET
        )
        nodes = np.stack(
            [
                np.where(leaf, LEAF, order[np.where(leaf, 0, table["feature_idx"])]),
                table["left"],
                table["right"],
                table["missing_go_to_left"],
                group,
            ],
            axis=1,
        ).astype(np.int64)
        writer.sets.append(sets)
        writer.set_count += len(sets)
        writer.tree(nodes, np.where(leaf, table["value"], table["num_threshold"]))
    return writer.arrays(model._baseline_prediction, categories)  # noqa: SLF001


def _columns(model: Any) -> tuple[Integers, dict[int, Floats]]:
    """The model's own order of features, categorical ones first, and their categories."""
    chosen = model.is_categorical_
    if chosen is None:
        return np.arange(model.n_features_in_), {}
    first, rest = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    encoder = model._preprocessor.named_transformers_["encoder"]  # noqa: SLF001
    categories = {}
    for feature, known in zip(first.tolist(), encoder.categories_, strict=True):
        array = np.asarray(known)
        if array.dtype.kind not in "biuf":
            raise ValueError(
                f"feature {feature} has categories that are no numbers ({known[0]!r}, …); encode "
                "them as whole numbers before training"
            )
        numbers = array.astype(np.float64)
        categories[feature] = numbers[~np.isnan(numbers)]
    return np.concatenate([first, rest]), categories


def _bits(bitsets: NDArray[np.uint32]) -> NDArray[np.uint64]:
    words = np.asarray(bitsets, np.uint32).reshape(-1, 2 * _WORDS).astype(np.uint64)
    joined: NDArray[np.uint64] = words[:, 0::2] | (words[:, 1::2] << np.uint64(32))
    return joined


def pack_stages(model: Any) -> Arrays:
    """GradientBoosting: rows in float32, leaf values times the learning rate."""
    if not hasattr(model, "estimators_"):
        raise ValueError("the model is not fitted; call fit first")
    kind = type(model.init_).__name__
    if model.init_ != "zero" and kind not in {"DummyClassifier", "DummyRegressor"}:
        raise ValueError(f"the model begins with a {kind}; only constant beginnings can be packed")
    writer = _Writer()
    for estimator in model.estimators_.ravel():
        tree = estimator.tree_
        leaf = tree.children_left < 0
        nothing = np.zeros(len(leaf), np.int64)
        feature = np.where(leaf, LEAF, tree.feature)
        columns = [feature, tree.children_left, tree.children_right, nothing, nothing + NO_SET]
        values = np.where(leaf, model.learning_rate * tree.value[:, 0, 0], tree.threshold)
        writer.tree(np.stack(columns, axis=1).astype(np.int64), values)
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32))  # noqa: SLF001
    return writer.arrays(start, {})
