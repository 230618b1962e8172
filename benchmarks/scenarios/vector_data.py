"""Vectors to search: clustered as real ones are, or without any structure."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kernels.rows import unit

Vectors = NDArray[np.float32]
Kind = Literal["clustered", "unstructured"]

DIMENSION = 384
_CLUSTERS, _INNER = 500, 24


def vectors(kind: Kind, count: int, start: int = 0) -> Vectors:
    """Unit rows; blocks of the same kind belong together, whatever their `start`."""
    fixed = np.random.default_rng(11)
    centres = fixed.standard_normal((_CLUSTERS, _INNER))
    spread = fixed.standard_normal((_INNER, DIMENSION)) / np.sqrt(_INNER)
    random = np.random.default_rng([start, 12])
    rows = random.standard_normal((count, DIMENSION), np.float32)
    if kind == "clustered":
        inner = 0.3 * random.standard_normal((count, _INNER))
        inner += centres[random.integers(0, _CLUSTERS, count)]
        rows = (inner @ spread).astype(np.float32) + np.float32(0.1) * rows
    return unit(rows)


def near(rows: Vectors, count: int, noise: float = 0.2) -> Vectors:
    """Queries beside some of the rows; `noise` is their distance, about."""
    random = np.random.default_rng(13)
    chosen = rows[random.integers(0, len(rows), count)]
    moved = noise / np.sqrt(DIMENSION) * random.standard_normal(chosen.shape)
    return unit((chosen + moved).astype(np.float32))
