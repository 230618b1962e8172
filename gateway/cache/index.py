"""L3: this process's vectors of one scope, in int8, and the nearest of them.

Rows are only candidates: whether an entry still exists and may be served is asked of Redis, so a
row that is out of date costs a comparison and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.late import vectors as kernel

CANDIDATES = 5
FEWEST_COSINE = 0.5
"""Entries below are not compared."""

_SMALLEST = 4  # rows; most scopes are one conversation


class Near(NamedTuple):
    """An entry near a question."""

    entry: str
    cosine: float


def packed(vector: NDArray[np.float32]) -> bytes:
    """A vector of length 1 as four bytes of scale and one for each value."""
    codes = kernel.quantize_int8(vector[None, :], "cosine")
    return codes.scales.tobytes() + codes.values.tobytes()


class Block:
    """The vectors of one scope. Not locked: who holds the index's lock may use it."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.sequence = 0
        """Of the journal, up to which these rows are complete."""
        self.entries: list[str] = []
        self._row: dict[str, int] = {}
        self._values = np.empty((_SMALLEST, dimension), np.int8)
        self._scales = np.empty(_SMALLEST, np.float32)
        self._offsets = np.zeros(_SMALLEST, np.float32)

    def __len__(self) -> int:
        return len(self.entries)

    def add(self, entry: str, vector: bytes) -> None:
        """A row for an entry; what is no vector of this dimension is left out."""
        if len(vector) != self.dimension + 4 or entry in self._row:
            return
        row = len(self.entries)
        if row == len(self._scales):
            self._grow()
        self._scales[row] = np.frombuffer(vector, np.float32, 1)[0]
        self._values[row] = np.frombuffer(vector, np.int8, self.dimension, 4)
        self.entries.append(entry)
        self._row[entry] = row

    def remove(self, entry: str) -> None:
        """Take a row out; the last one takes its place."""
        row = self._row.pop(entry, None)
        if row is None:
            return
        last = self.entries.pop()
        if last != entry:
            end = len(self.entries)
            self._values[row], self._scales[row] = self._values[end], self._scales[end]
            self.entries[row] = last
            self._row[last] = row

    def keep_only(self, entries: Iterable[str]) -> None:
        """Take out all rows but these."""
        for gone in set(self._row).difference(entries):
            self.remove(gone)

    def nearest(self, vector: NDArray[np.float32], count: int = CANDIDATES) -> list[Near]:
        """At most `count` entries by falling cosine, none below `FEWEST_COSINE`."""
        size = len(self.entries)
        if not size:
            return []
        codes = kernel.Codes(
            "int8", self.dimension, self._values[:size], self._scales[:size], self._offsets[:size]
        )
        found = kernel.top_k(codes, vector, count)
        return [
            Near(self.entries[row], float(score))
            for row, score in zip(found.indices, found.scores, strict=True)
            if score >= FEWEST_COSINE
        ]

    def _grow(self) -> None:
        size = 2 * len(self._scales)
        for name in ("_values", "_scales", "_offsets"):
            old = getattr(self, name)
            grown = np.zeros((size, *old.shape[1:]), old.dtype)
            grown[: len(old)] = old
            setattr(self, name, grown)
