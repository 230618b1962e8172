"""Parts of an index: a segment on disk, or the newest rows in memory; both read alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from patterns.filters import Column, find
from patterns.late import vectors
from patterns.vectors import Ids, Vectors, kernel_metric

BLOCK = 4096
"""Rows read at once when all of them are compared in float32: 6 MB of 384 dimensions."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows on their way into a part; `vectors` are comparable already."""

    ids: Ids
    counts: Ids
    metadata: list[dict[str, Any]]
    vectors: Vectors

    def __len__(self) -> int:
        return len(self.ids)


class Part(Protocol):
    """Rows that do not change, by place; `gone` are ids removed since the parts before it."""

    @property
    def ids(self) -> Ids: ...
    @property
    def counts(self) -> Ids: ...
    @property
    def gone(self) -> Ids: ...
    @property
    def codes(self) -> vectors.Codes: ...

    def vectors(self, places: Ids) -> Vectors:
        """The float32 rows at those places."""
        ...

    def blocks(self) -> Iterator[tuple[int, Vectors]]:
        """All rows in order, some thousands at once, each with its first place."""
        ...

    def metadata(self, place: int) -> dict[str, Any]:
        """One row's metadata."""
        ...

    def column(self, key: str) -> Column:
        """What all rows have under a name of their metadata."""
        ...


@dataclass(frozen=True, slots=True)
class TailView:
    """The first so many rows of a tail; what comes later does not touch them."""

    ids: Ids
    counts: Ids
    gone: Ids
    codes: vectors.Codes
    matrix: Vectors
    notes: list[dict[str, Any]]

    def vectors(self, places: Ids) -> Vectors:
        return self.matrix[places]

    def blocks(self) -> Iterator[tuple[int, Vectors]]:
        for start in range(0, len(self.ids), BLOCK):
            yield start, self.matrix[start : start + BLOCK]

    def metadata(self, place: int) -> dict[str, Any]:
        return self.notes[place]

    def column(self, key: str) -> Column:
        return Column.of([find(self.notes[place], key) for place in range(len(self.ids))])


class Tail:
    """Rows in memory that only grow at the end, so that older views stay as they were."""

    def __init__(self, dimension: int, metric: str) -> None:
        self._metric = kernel_metric(metric)
        self._dimension = dimension
        self._size = 0
        self._notes: list[dict[str, Any]] = []
        self._gone = np.empty(0, np.int64)
        self._ids = np.empty(0, np.int64)
        self._counts = np.empty(0, np.int64)
        self._matrix = np.empty((0, dimension), np.float32)
        self._codes = np.empty((0, dimension), np.int8)
        self._scales = np.empty(0, np.float32)
        self._offsets = np.empty(0, np.float32)

    def __len__(self) -> int:
        return self._size

    def extend(self, batch: Batch, gone: Ids) -> None:
        """Add rows, and ids that were removed."""
        self._gone = np.concatenate([self._gone, gone])
        if not len(batch):
            return
        end = self._size + len(batch)
        codes = vectors.quantize_int8(batch.vectors, self._metric)
        self._ids = _written(self._ids, self._size, batch.ids)
        self._counts = _written(self._counts, self._size, batch.counts)
        self._matrix = _written(self._matrix, self._size, batch.vectors)
        self._codes = _written(self._codes, self._size, codes.values)
        self._scales = _written(self._scales, self._size, codes.scales)
        self._offsets = _written(self._offsets, self._size, codes.offsets)
        self._notes.extend(batch.metadata)
        self._size = end

    def view(self) -> TailView:
        """The rows it has now."""
        n = self._size
        codes = vectors.Codes(
            "int8", self._dimension, self._codes[:n], self._scales[:n], self._offsets[:n]
        )
        ids, counts = self._ids[:n], self._counts[:n]
        return TailView(ids, counts, self._gone, codes, self._matrix[:n], self._notes)


def _written(array: Any, size: int, rows: Any) -> Any:
    """`array` with `rows` from place `size` on; a larger copy when they do not fit."""
    end = size + len(rows)
    if end > len(array):
        larger = np.empty((max(end, 2 * len(array), 64), *array.shape[1:]), array.dtype)
        larger[:size] = array[:size]
        array = larger
    array[size:end] = rows
    return array
