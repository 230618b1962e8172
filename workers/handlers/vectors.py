"""Handlers on vectors that a task brings along: the nearest of them, and those that repeat.

What is to be remembered longer than a task belongs into a namespace (`patterns.search_each`).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from celery import shared_task
from numpy.typing import NDArray

from kernels import rows, vectors
from workers.context import GiveUp
from workers.handlers.looking import told

MAX_VALUES = 40_000_000
"""Of all vectors of a task: 100 000 of 384 dimensions."""
MAX_QUERIES = 10_000
MAX_SCANNED = 200_000_000_000
"""Queries times values: about a minute."""
TOGETHER = 64
"""Queries between two looks at the cancel flag."""
BETWEEN = 512
"""Vectors whose duplicates are looked for between two such looks: a second at most."""
_DEPTH, _FACTOR = 16, 5
"""Candidates that are ranked anew in float32, as in pattern memory."""

_ROWS: dict[str, Any] = {
    "anyOf": [{"type": "array", "minItems": 1}, {"type": "object", "required": ["$from"]}]
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "vectors.top_k_each": {
        "type": "object",
        "required": ["queries", "vectors"],
        "additionalProperties": False,
        "properties": {
            "queries": _ROWS,
            "vectors": _ROWS,
            "k": {"type": "integer", "minimum": 1, "maximum": 1000},
            "metric": {"enum": ["dot", "cosine", "euclidean"]},
        },
    },
    "vectors.near_duplicates": {
        "type": "object",
        "required": ["vectors"],
        "additionalProperties": False,
        "properties": {
            "vectors": _ROWS,
            "threshold": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        },
    },
}

Rows = list[list[float]]
Metric = Literal["dot", "cosine", "euclidean"]


@shared_task(name="vectors.top_k_each")
def top_k_each(
    queries: Rows,
    vectors: Rows,
    k: int = 10,
    metric: Metric = "cosine",
) -> dict[str, Any]:
    """For each query the `k` best rows of `vectors`, found by int8 codes and ranked in float32."""
    return {"neighbours": _top_k(queries, vectors, k, metric)}


@shared_task(name="vectors.near_duplicates")
def near_duplicates(vectors: Rows, threshold: float = 0.98) -> dict[str, Any]:
    """For each vector the earlier one that it repeats, or its own number."""
    return {"owners": _owners(vectors, threshold)}


def _top_k(queries: Rows, others: Rows, k: int, metric: Metric) -> list[dict[str, Any]]:
    if metric not in {"dot", "cosine", "euclidean"}:
        raise GiveUp(f"no metric {metric!r}; choose from cosine, dot, euclidean")
    try:
        matrix, asked = _matrix(others, "vectors"), _matrix(queries, "queries")
        if len(asked) > MAX_QUERIES or len(asked) * matrix.size > MAX_SCANNED:
            raise GiveUp(
                f"{len(asked)} queries over {len(matrix)} vectors are too many: split the task"
            )
        if metric == "cosine":
            matrix, asked = rows.unit(matrix), rows.unit(asked)
        codes = vectors.quantize_int8(matrix, metric)
        found = []
        for start in range(0, len(asked), TOGETHER):
            told(start, len(asked), "queries")
            found += _nearest(codes, matrix, asked[start : start + TOGETHER], k, metric)
    except ValueError as error:
        raise GiveUp(str(error)) from error
    return found


def _nearest(
    codes: vectors.Codes, matrix: NDArray[Any], asked: NDArray[Any], k: int, metric: Metric
) -> list[dict[str, Any]]:
    candidates = vectors.top_k(codes, asked, _DEPTH + _FACTOR * k).indices
    best = vectors.rerank(matrix, asked, candidates, k, "dot" if metric == "cosine" else metric)
    return [
        {"indices": places[places >= 0].tolist(), "scores": scores[places >= 0].tolist()}
        for places, scores in zip(best.indices, best.scores, strict=True)
    ]


def _owners(given: Rows, threshold: float) -> list[int]:
    def look_around(done: int, total: int) -> None:
        if done % BETWEEN == 0:
            told(done, total, "vectors")

    try:
        matrix = _matrix(given, "vectors")
        owners: list[int] = vectors.near_duplicates(matrix, threshold, watch=look_around).tolist()
    except ValueError as error:
        raise GiveUp(str(error)) from error
    return owners


def _length(row: Any) -> int:
    return len(row) if isinstance(row, list) else 1


def _matrix(given: Rows, name: str) -> NDArray[np.float32]:
    if sum(map(_length, given)) > MAX_VALUES:
        raise GiveUp(f"{name} hold more than {MAX_VALUES} values: split the task")
    return rows.as_rows(given, name)
