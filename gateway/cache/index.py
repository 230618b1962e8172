"""L3: this process's vectors of one scope, in int8, and the nearest of them.

Rows are only candidates: whether an entry still exists and may be served is asked of Redis, so a
row that is out of date costs a comparison and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.late import vectors as kernel

CANDIDATES = 5
FEWEST_COSINE = 0.5
"""Entries below are not compared."""

_SMALLEST = 4  # rows; most scopes are one conversation
_SPARSE = 1.25
"""Rows for each entry, beyond which those of removed ones are given up."""


class Near(NamedTuple):
    """An entry near a question."""

    entry: str
    cosine: float


def packed(vector: NDArray[np.float32]) -> bytes:
    """A vector of length 1 as four bytes of scale and one for each value."""
    codes = kernel.quantize_int8(vector[None, :], "cosine")
    return codes.scales.tobytes() + codes.values.tobytes()


class Snapshot(NamedTuple):
    """The rows of a block at one moment; they may be searched while the block changes."""

    dimension: int
    entries: list[str]
    values: NDArray[np.int8]
    scales: NDArray[np.float32]
    offsets: NDArray[np.float32]
    use: NDArray[np.bool_]

    def nearest(self, vector: NDArray[np.float32], count: int = CANDIDATES) -> list[Near]:
        """At most `count` entries by falling cosine, none below `FEWEST_COSINE`."""
        if not len(self.scales):
            return []
        codes = kernel.Codes("int8", self.dimension, self.values, self.scales, self.offsets)
        found = kernel.top_k(codes, vector, count, self.use)
        near = (
            Near(self.entries[row], float(score))
            for row, score in zip(found.indices, found.scores, strict=True)
            if score >= FEWEST_COSINE
        )
        return [each for each in near if each.entry]


class Block:
    """The vectors of one scope. Not locked: who holds the index's lock may use it.

    Rows are never moved within the arrays that a snapshot holds: what is removed is passed over
    until its share is large, and what remains is then copied.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.sequence = 0
        """Of the journal, up to which these rows are complete."""
        self._entries: list[str] = []
        """By row; empty for one that was removed."""
        self._row: dict[str, int] = {}
        self._allot(_SMALLEST)

    def __len__(self) -> int:
        return len(self._row)

    def add(self, entry: str, vector: bytes) -> None:
        """A row for an entry; what is no vector of this dimension is left out."""
        if len(vector) != self.dimension + 4 or entry in self._row:
            return
        row = len(self._entries)
        if row == len(self._scales):
            self._copy(range(row), 2 * row)
        self._scales[row] = np.frombuffer(vector, np.float32, 1)[0]
        self._values[row] = np.frombuffer(vector, np.int8, self.dimension, 4)
        self._use[row] = True
        self._entries.append(entry)
        self._row[entry] = row

    def remove(self, entry: str) -> None:
        """Take a row out."""
        row = self._row.pop(entry, None)
        if row is None:
            return
        self._use[row] = False
        self._entries[row] = ""
        if len(self._entries) > max(_SMALLEST, _SPARSE * len(self._row)):
            kept = list(self._row.values())
            self._copy(kept, max(_SMALLEST, len(kept)))
            self._entries = list(self._row)
            self._row = {name: number for number, name in enumerate(self._entries)}

    def snapshot(self) -> Snapshot:
        """What may be searched without the lock."""
        size = len(self._entries)
        arrays = (self._values, self._scales, self._offsets, self._use)
        return Snapshot(self.dimension, self._entries, *(array[:size] for array in arrays))  # type: ignore[arg-type]

    def nearest(self, vector: NDArray[np.float32], count: int = CANDIDATES) -> list[Near]:
        """As of now."""
        return self.snapshot().nearest(vector, count)

    def _allot(self, size: int) -> None:
        self._values = np.zeros((size, self.dimension), np.int8)
        self._scales = np.zeros(size, np.float32)
        self._offsets = np.zeros(size, np.float32)
        self._use = np.zeros(size, np.bool_)

    def _copy(self, rows: Sequence[int], size: int) -> None:
        """These rows into new arrays: what searches the old ones is not disturbed."""
        values, scales, use = self._values, self._scales, self._use
        chosen: Any = slice(0, len(rows)) if isinstance(rows, range) else rows
        self._allot(size)
        self._values[: len(rows)] = values[chosen]
        self._scales[: len(rows)] = scales[chosen]
        self._use[: len(rows)] = use[chosen]
