"""Candidates by faiss: a graph over each large segment, for namespaces too large to scan.

A graph (HNSW over eight-bit codes; Malkov & Yashunin 2018) is approximate: it is used for segments
from `LEAST_ROWS` on and while at least a tenth of their rows count. All else is scanned.
"""

from __future__ import annotations

import logging
import threading
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from patterns.backends.scan import Scan
from patterns.filters import Mask
from patterns.index.parts import Part
from patterns.index.segments import Segment
from patterns.index.snapshot import scanned
from patterns.vectors import Ids, Vectors

LEAST_ROWS = 20_000
"""Below, a scan takes a fifth of a millisecond and misses nothing."""
LEAST_SHARE = 0.1
"""Of the rows; a graph walks past those that do not count, and finds too few when most do not."""
NEIGHBOURS, BUILD_EFFORT, SEARCH_EFFORT = 32, 100, 256
TRAINED_ON = 20_000


class _Slot:
    """Where a segment's graph will be; who builds it holds the lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.graph: Any = None


_slots: WeakKeyDictionary[Segment, _Slot] = WeakKeyDictionary()
_registry = threading.Lock()


@cache
def library() -> Any:
    """faiss, or None where it is not installed; loaded at the first search that wants it."""
    if find_spec("faiss") is None:
        return None
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)
    faiss = import_module("faiss")
    # Its threads would not survive the fork of a worker; parallelism here is processes.
    faiss.omp_set_num_threads(1)
    return faiss


class Graph(Scan):
    """A scan whose large segments are searched by graph."""

    def lacking(self) -> str:
        found = find_spec("faiss")
        return "" if found else "faiss is not installed: pip install faiss-cpu, or use scan"

    @staticmethod
    def candidates(part: Part, queries: Vectors, depth: int, mask: Mask) -> Ids:
        """Places by graph, -1 for none; by scan where a graph would be worse."""
        large = isinstance(part, Segment) and len(part.ids) >= LEAST_ROWS
        faiss = library()
        if not large or not faiss or np.count_nonzero(mask) < LEAST_SHARE * len(mask):
            return scanned(part, queries, depth, mask)
        assert isinstance(part, Segment)  # noqa: S101 - `large` says so
        chosen = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
        effort = faiss.SearchParametersHNSW(sel=chosen, efSearch=max(SEARCH_EFFORT, 2 * depth))
        places: Ids = _graph_of(part).search(queries, depth, params=effort)[1]
        return places


def _graph_of(segment: Segment) -> Any:
    """The segment's graph, built at its first search: about 0.1 ms a row."""
    with _registry:
        slot = _slots.setdefault(segment, _Slot())
    if slot.graph is None:
        with slot.lock:
            if slot.graph is None:
                slot.graph = _built(segment)
    return slot.graph


def _built(segment: Segment) -> Any:
    faiss = library()
    kind = faiss.ScalarQuantizer.QT_8bit
    by_product = not segment.codes.offsets.any()  # cosine has no offsets
    metric = faiss.METRIC_INNER_PRODUCT if by_product else faiss.METRIC_L2
    graph = faiss.IndexHNSWSQ(segment.dimension, kind, NEIGHBOURS, metric)
    graph.hnsw.efConstruction = BUILD_EFFORT
    step = max(1, len(segment) // TRAINED_ON)
    graph.train(segment.vectors(np.arange(0, len(segment), step)))
    for _, block in segment.blocks():
        graph.add(block)
    return graph
