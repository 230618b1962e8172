"""Gradient-boosted trees of scikit-learn, packed into arrays and evaluated by one kernel.

A prediction for one row takes microseconds instead of milliseconds, needs no scikit-learn and
unpickles nothing. Additions happen in the order of the library, so raw scores are equal to the
last bit; probabilities may differ from it by the rounding of an exponential.
"""

from __future__ import annotations

import io
import json
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels import tree_walking
from kernels.series import Floats, Integers
from kernels.tree_packing import MAX_CATEGORIES, Arrays, pack_histogram, pack_stages

Link = Literal["identity", "exponential", "logistic", "softmax"]
Labels = tuple[str | int | float | bool, ...]

MAX_BYTES = 500_000_000
"""Of a packed ensemble when it is read back."""

MAX_FEATURES = 1 << 23
_FORMAT = 1
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, LookupError, TypeError, AttributeError),
    *(OSError, EOFError, ValueError, SyntaxError, ArithmeticError, RuntimeError, MemoryError),
    tokenize.TokenError,
)
"""What reading a zip, a header of numpy or JSON raises where bytes are not what they should be;
an unknown or encrypted compression is a RuntimeError."""
_HISTOGRAM = frozenset({"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"})
_STAGES = frozenset({"GradientBoostingClassifier", "GradientBoostingRegressor"})


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """A fitted ensemble. Made by `pack`, `from_dict` or `from_bytes`."""

    arrays: Arrays
    features: int
    link: Link
    labels: Labels
    """The classes in order of their columns; empty for a regressor."""
    single_precision: bool
    """Rows are rounded to float32 first and may hold no NaN (GradientBoosting)."""
    walk: tuple[Integers, Floats, Floats, Integers] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse arrays with which the kernel would read beyond their ends, or for ever."""
        if not (_is_described(self) and _has_categories(self) and _has_trees(self)):
            raise ValueError("this is no packed ensemble: its parts contradict each other")
        a = self.arrays
        object.__setattr__(self, "walk", tree_walking.prepare(a.nodes, a.values, a.roots))

    def raw(self, rows: ArrayLike) -> Floats:
        """The sums of the trees, shape (rows, columns); (columns,) for a row of shape (features,).

        NaN is a missing value where the model knows such. Raises ValueError for a wrong shape.
        """
        table, one = self._table(rows)
        a = self.arrays
        if len(a.sets):
            scores = tree_walking.score_sets(table, a.nodes, a.values, a.sets, a.roots, a.start)
        else:
            scores = tree_walking.score(table, *self.walk, a.start)
        return cast("Floats", scores[0]) if one else scores

    def probabilities(self, rows: ArrayLike) -> Floats:
        """The probability of each class, one column per label."""
        if not self.labels:
            raise ValueError("a regressor has no probabilities; call predict")
        raw = self.raw(rows)
        table = raw.reshape(-1, raw.shape[-1])
        found = _softmax(table) if self.link == "softmax" else _logistic(table[:, 0])
        return found[0] if raw.ndim == 1 else found

    def predict(self, rows: ArrayLike) -> Any:
        """The label or value of each row, as an array; a plain value for one row."""
        raw = self.raw(rows)
        table = raw.reshape(-1, raw.shape[-1])
        if not self.labels:
            values = np.exp(table[:, 0]) if self.link == "exponential" else table[:, 0]
            return float(values[0]) if raw.ndim == 1 else values
        if table.shape[1] > 1:
            codes = table.argmax(axis=1)
        else:  # where the two are equal the libraries decide differently
            zero_is_second = self.single_precision
            codes = ((table[:, 0] >= 0) if zero_is_second else (table[:, 0] > 0)).astype(int)
        if raw.ndim == 1:
            return self.labels[int(codes[0])]
        return np.array(self.labels)[codes]

    def as_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON; `from_dict` takes them back without a loss."""
        return {**self._head(), "arrays": {n: v.tolist() for n, v in self.arrays.items()}}

    def to_bytes(self) -> bytes:
        """A zip of arrays; `from_bytes` takes it back. Nothing in it is code."""
        head = np.frombuffer(json.dumps(self._head()).encode(), np.uint8)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, head=head, **dict(self.arrays.items()))
        return buffer.getvalue()

    def _is_ready(self, rows: ArrayLike) -> bool:
        """Whether this is one row that the kernel may read as it is: what a scheduler asks."""
        if type(rows) is not np.ndarray or rows.dtype != np.float64 or not rows.flags.carray:
            return False
        plain = not (self.single_precision or self.arrays.categorical.size)
        return plain and rows.shape == (self.features,)

    def _head(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "features": self.features,
            "link": self.link,
            "labels": list(self.labels),
            "single_precision": self.single_precision,
        }

    def _table(self, rows: ArrayLike) -> tuple[Floats, bool]:
        if self._is_ready(rows):
            return cast("Floats", rows).reshape(1, -1), True
        try:
            table = np.asarray(rows, np.float64)
        except (TypeError, ValueError):
            raise ValueError("rows are to be real numbers, NaN where one is missing") from None
        one = table.ndim == 1
        if one:
            table = table.reshape(1, -1)
        if table.ndim != 2 or table.shape[1] != self.features:
            raise ValueError(
                f"rows have the shape {np.shape(rows)}; pass one row of {self.features} features, "
                "or a table with a row for each"
            )
        if self.single_precision:
            with np.errstate(over="ignore"):
                table = table.astype(np.float32).astype(np.float64)
            if not np.isfinite(table).all():
                raise ValueError(
                    "rows hold NaN, infinity or a value too large for float32; this kind of model "
                    "knows no missing values, fill or drop them first"
                )
        elif self.arrays.offsets.size > 1:
            a = self.arrays
            table = _encode(table.copy(), a.categorical, a.offsets, a.categories)
        return np.require(table, np.float64, ["C_CONTIGUOUS", "ALIGNED", "WRITEABLE"]), one


def pack(model: Any) -> Trees:
    """A fitted (Hist)GradientBoosting classifier or regressor of scikit-learn as `Trees`.

    Categorical features of HistGradientBoosting work when their categories are numbers. Raises
    ValueError for other models, unfitted ones, categories of text, and an `init` estimator.
    """
    name = type(model).__name__
    if name in _HISTOGRAM:
        packed = pack_histogram(model)
    elif name in _STAGES:
        packed = pack_stages(model)
    else:
        raise ValueError(
            f"{name} is not known; pass one of {', '.join(sorted(_HISTOGRAM | _STAGES))}"
        )
    labels = tuple(label.item() for label in getattr(model, "classes_", ()))
    link = _link(model, labels, packed.start.size)
    return Trees(packed, int(model.n_features_in_), link, labels, name in _STAGES)


def from_dict(data: Mapping[str, Any]) -> Trees:
    """What `as_dict` gave. Raises ValueError when it is damaged or of another format."""
    try:
        arrays = Arrays.of({name: np.asarray(values) for name, values in data["arrays"].items()})
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise ValueError("this is no packed ensemble; pass what as_dict gave") from None
    return _from_parts(data, arrays)


def from_bytes(data: bytes) -> Trees:
    """What `to_bytes` gave. Raises ValueError when it is damaged, too large or of another kind."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_size(sum(entry.file_size for entry in archive.infolist()))
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            head = json.loads(archive["head"].tobytes())
            arrays = Arrays.of({name: archive[name] for name in archive.files if name != "head"})
    except _DAMAGED as error:
        raise ValueError(f"these bytes are no packed ensemble ({error})") from None
    return _from_parts(head if isinstance(head, dict) else {}, arrays)


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise ValueError(f"they unpack to {size} bytes, at most {MAX_BYTES} are read")


def _from_parts(head: Mapping[str, Any], arrays: Arrays) -> Trees:
    if head.get("format") != _FORMAT:
        raise ValueError(
            f"the ensemble has format {head.get('format')!r}, {_FORMAT} is read; pack it anew"
        )
    links = ("identity", "exponential", "logistic", "softmax")  # a damaged link may be a list
    features, labels = head.get("features"), head.get("labels")
    if (
        not isinstance(features, int)
        or head.get("link") not in links
        or (not isinstance(labels, list))
    ):
        raise ValueError("this is no packed ensemble: its description is damaged")
    single = bool(head.get("single_precision"))
    return Trees(arrays, features, head["link"], tuple(labels), single)


def _link(model: Any, labels: Labels, columns: int) -> Link:
    if labels:
        return "softmax" if columns > 1 else "logistic"
    loss = getattr(model, "loss", "squared_error")
    return "exponential" if loss in {"poisson", "gamma"} else "identity"


def _is_described(trees: Trees) -> bool:
    columns = trees.arrays.start.size
    labelled = len(trees.labels) == max(columns, 2) if trees.labels else columns == 1
    kinds = all(isinstance(label, str | int | float) for label in trees.labels)
    softmax = (trees.link == "softmax") == (columns > 1)
    return columns > 0 and labelled and kinds and softmax and trees.features > 0


def _has_categories(trees: Trees) -> bool:
    a = trees.arrays
    if a.offsets.size != a.categorical.size + 1 or a.offsets[0] != 0:
        return False
    sizes = np.diff(a.offsets)
    within = (a.categorical >= 0).all() and (a.categorical < trees.features).all()
    counted = (sizes > 0).all() and (sizes <= MAX_CATEGORIES).all()
    alone = not (trees.single_precision and a.categorical.size)
    return bool(within and counted and alone and a.offsets[-1] == a.categories.size)


def _has_trees(trees: Trees) -> bool:
    """Every node under one parent at most and behind it, sets only where there are categories."""
    a = trees.arrays
    count = len(a.values)
    here = np.flatnonzero(a.nodes[:, 0] >= 0)
    inner = a.nodes[here]
    by_set = inner[inner[:, 4] >= 0]
    children = inner[:, 1:3]
    used = np.concatenate([children.ravel(), a.roots])
    return bool(
        (inner[:, 0] < trees.features).all()
        and (children > here[:, None]).all()
        and (children < count).all()
        and (by_set[:, 4] < len(a.sets)).all()
        and np.isin(by_set[:, 0], a.categorical).all()
        and (np.diff(a.roots, prepend=-1) > 0).all()
        and (a.roots < count).all()
        and np.unique(used).size == used.size
        and trees.features < MAX_FEATURES
        and len(a.roots) % a.start.size == 0
        and ((inner[:, 3] == 0) | (inner[:, 3] == 1)).all()
    )


def _logistic(raw: Floats) -> Floats:
    second = np.array([_expit(value) for value in raw.tolist()])
    return np.stack([1.0 - second, second], axis=1)


def _expit(value: float) -> float:
    if value < 0:
        power = math.exp(value) if value > -745 else 0.0
        return power / (1.0 + power)
    return 1.0 / (1.0 + math.exp(-value))


def _softmax(raw: Floats) -> Floats:
    powers = np.exp(raw - raw.max(axis=1, keepdims=True))
    found: Floats = powers / powers.sum(axis=1, keepdims=True)
    return found


def _encode(
    table: Floats, columns: NDArray[np.int64], offsets: NDArray[np.int64], categories: Floats
) -> Floats:
    """Categories by their number; NaN for those that were never seen."""
    for at, column in enumerate(columns.tolist()):
        known = categories[offsets[at] : offsets[at + 1]]
        values = table[:, column]
        places = np.searchsorted(known, values)
        found = (places < known.size) & (known[np.minimum(places, known.size - 1)] == values)
        table[:, column] = np.where(found, places, np.nan)
    return table
