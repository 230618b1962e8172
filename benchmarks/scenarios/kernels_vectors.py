"""The scan of int8 codes beside faiss and a product in float32: 100 000 rows of 384, one query."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.racing import Case, Race
from benchmarks.scenarios.vector_data import Kind, Vectors, near, vectors
from kernels.vectors import Codes, Matches, quantize_int8, rerank, top_k

ROWS, DEPTH, WANTED = 100_000, 64, 10


@cache
def _rows(kind: Kind) -> tuple[Vectors, Codes]:
    rows = vectors(kind, ROWS)
    return rows, quantize_int8(rows)


def _search(kind: Kind) -> Callable[[], Matches]:
    rows, codes = _rows(kind)
    query = near(rows, 1)[0]
    return lambda: rerank(rows, query, top_k(codes, query, DEPTH).indices, WANTED)


def _flat(kind: Kind) -> Callable[[], Any]:
    """faiss: eight-bit codes, all compared, on one thread."""
    faiss = import_module("faiss")
    faiss.omp_set_num_threads(1)
    rows, _ = _rows(kind)
    index = faiss.IndexScalarQuantizer(
        rows.shape[1], faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.train(rows)
    index.add(rows)
    return partial(index.search, near(rows, 1), WANTED)


def _product(kind: Kind) -> Callable[[], Any]:
    rows, _ = _rows(kind)
    query = near(rows, 1)[0]

    def best() -> Any:
        scores = rows @ query
        return np.argpartition(-scores, WANTED)[:WANTED]

    return best


def _beside(peer: Callable[[Kind], Callable[[], Any]], kind: Kind) -> Race:
    return Race(_search(kind), peer(kind))


def _alone(kind: Kind) -> Race:
    return Race(_search(kind))


_NOTE = "int8 scan of 100 000 × 384, four bits of each first; 64 reranked in float32"
CASES: tuple[Case, ...] = (
    Case(
        "top_k_vs_faiss_sq8", partial(_beside, _flat, "unstructured"), ("faiss-cpu",), note=_NOTE
    ),
    Case(
        "top_k_clustered_vs_faiss_sq8", partial(_beside, _flat, "clustered"), ("faiss-cpu",),
        note=_NOTE,
    ),
    Case("top_k_vs_numpy", partial(_beside, _product, "unstructured"), note=_NOTE),
    Case("top_k_ms", partial(_alone, "unstructured"), note=_NOTE),
    Case("top_k_clustered_ms", partial(_alone, "clustered"), note=_NOTE),
)  # fmt: skip
