"""The boundary of the vector kernels: rows of float32, finite and of a size that can be squared."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vectors = NDArray[np.float32]
Metric = Literal["dot", "cosine", "euclidean"]

MAX_DIMENSION = 16_384
"""Products of int8 over more could leave int32."""

MAX_ROWS = 50_000_000

LARGEST = 1e15
"""Squares of it, summed over a row, stay within float32."""

TINY = 1e-30
"""A row whose largest value is below counts as zero: its scale would lose all digits."""


def as_matrix(vectors: ArrayLike, name: str) -> NDArray[np.generic]:
    """Numbers of shape (n ≥ 1, 1 ≤ d ≤ 16384), not converted yet. Raises ValueError."""
    try:
        matrix = np.asarray(vectors)
    except ValueError as error:
        raise ValueError(f"{name} is ragged ({error}); pass rows of equal length") from None
    if matrix.dtype.kind not in "biuf" and matrix.size:
        raise ValueError(f"{name} holds {matrix.dtype} values; pass real numbers")
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(
            f"{name} has shape {matrix.shape}; pass one vector per row, shape (count, dimension)"
        )
    if matrix.shape[1] > MAX_DIMENSION or matrix.shape[0] > MAX_ROWS:
        raise ValueError(
            f"{name} has shape {matrix.shape}; at most {MAX_ROWS} rows of {MAX_DIMENSION} are taken"
        )
    return matrix


def as_rows(vectors: ArrayLike, name: str, *, empty: bool = False) -> Vectors:
    """The same as contiguous, writable float32, every value finite. Raises ValueError."""
    matrix = np.asarray(vectors) if empty else as_matrix(vectors, name)
    with np.errstate(over="ignore"):
        floats = np.require(matrix, np.float32, ["C_CONTIGUOUS", "ALIGNED", "WRITEABLE"])
    largest = float(np.max(np.abs(floats), initial=0))
    if not largest <= LARGEST:
        row = int(np.argmin(np.all(np.abs(floats) <= LARGEST, axis=1)))
        raise ValueError(
            f"{name} has NaN, infinity or a value above {LARGEST:g} in row {row}; "
            "drop or rescale that vector first"
        )
    return np.asarray(floats)


def as_metric(metric: Metric) -> Metric:
    """The metric if it is known. Raises ValueError."""
    if metric not in get_args(Metric):
        raise ValueError(f"metric is {metric!r}; choose one of {', '.join(get_args(Metric))}")
    return metric


def as_queries(query: ArrayLike, dimension: int) -> tuple[Vectors, bool]:
    """Queries of shape (m, dimension), and whether there was but one, of shape (dimension,)."""
    array = np.asarray(query)
    single = array.ndim == 1
    queries = as_rows(array[None] if single else array, "query")
    if queries.shape[1] != dimension:
        raise ValueError(
            f"query has {queries.shape[1]} dimensions, the vectors have {dimension}; "
            "encode both the same way"
        )
    return queries, single


def unit(matrix: Vectors) -> Vectors:
    """Rows taken to length 1; a row of zeros stays one. A new array."""
    peak = np.abs(matrix).max(axis=1, keepdims=True)
    scaled: Vectors = np.divide(matrix, peak, out=np.zeros_like(matrix), where=peak > TINY)
    length = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]
    np.divide(scaled, length, out=scaled, where=length > 0)
    return scaled


def exact_scores(matrix: Vectors, query: Vectors, metric: Metric) -> Vectors:
    """The score of every row for one query, in float32: shape (n,). The larger, the closer."""
    if as_metric(metric) == "dot":
        return np.asarray(matrix @ query)
    if metric == "cosine":
        return np.asarray(unit(matrix) @ unit(query[None])[0])
    return np.asarray(-np.sqrt(np.square(matrix - query).sum(axis=1)), np.float32)
