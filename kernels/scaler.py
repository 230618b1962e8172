"""A scaler: the mean and deviation that vectors of one collection are measured by.

Features have different units, so distances mean something only after standardising. The figures
belong to a collection, are stored with it, and carry the encoder and a version: vectors made
under another version are not comparable and have to be encoded again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels.rows import as_rows
from kernels.series import Floats, as_count

SMALLEST_DEVIATION = 1e-3
"""Features are of the order of 1: what varies less in a collection says nothing there."""

LARGEST_SCORE = 5.0
"""Deviations from the mean; beyond, how far off it is must not drown all other features."""


@dataclass(frozen=True, slots=True, eq=False)
class Scaler:
    """Mean and deviation per dimension of an encoder's vectors, as of one version."""

    encoder: str
    version: int
    mean: Floats
    deviation: Floats
    samples: int = 0

    @classmethod
    def fit(cls, vectors: ArrayLike, encoder: str, version: int = 1) -> Scaler:
        """Measured on raw vectors, shape (count, dimensions); a refit takes the next version."""
        rows = as_rows(vectors, "vectors").astype(np.float64)
        checked = as_count(version, "version", 1)
        return cls(encoder, checked, rows.mean(axis=0), rows.std(axis=0), len(rows))

    def apply(self, vectors: ArrayLike) -> NDArray[np.float32]:
        """Vectors as deviations from the mean, within ±5; 0 where the collection does not vary."""
        rows = np.asarray(vectors, np.float64)
        if rows.shape[-1:] != self.mean.shape:
            raise ValueError(
                f"vectors have shape {rows.shape}, but the scaler of {self.encoder!r} takes "
                f"{self.mean.size} dimensions; encode with {self.encoder!r}"
            )
        varies = self.deviation >= SMALLEST_DEVIATION
        scores = (rows - self.mean) * (varies / np.where(varies, self.deviation, 1.0))
        return np.clip(scores, -LARGEST_SCORE, LARGEST_SCORE).astype(np.float32)

    def as_dict(self) -> dict[str, Any]:
        """What JSON can hold, every digit kept."""
        return {
            "encoder": self.encoder,
            "version": self.version,
            "samples": self.samples,
            "mean": self.mean.tolist(),
            "deviation": self.deviation.tolist(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Scaler:
        """What `as_dict` gave. Raises ValueError saying what is missing or wrong."""
        missing = {"encoder", "version", "mean", "deviation"} - set(stored)
        if missing:
            raise ValueError(f"the stored scaler lacks {', '.join(sorted(missing))}; fit a new one")
        encoder = stored["encoder"]
        if not isinstance(encoder, str):
            raise ValueError(  # noqa: TRY004 - bad input is always a ValueError here
                f"the stored scaler's encoder is {encoder!r}; it must be a name"
            )
        mean, deviation = (_figures(stored, name) for name in ("mean", "deviation"))
        if mean.size != deviation.size or deviation.min() < 0:
            raise ValueError("the stored scaler's deviations are not one number >= 0 for each mean")
        version = as_count(stored["version"], "version", 1)
        samples = as_count(stored.get("samples", 0), "samples", 0)
        return cls(encoder, version, mean, deviation, samples)


def _figures(stored: Mapping[str, Any], name: str) -> Floats:
    try:
        figures = np.array(stored[name], np.float64)
    except (TypeError, ValueError):
        figures = np.array([np.nan])
    if figures.ndim != 1 or not figures.size or not np.isfinite(figures).all():
        raise ValueError(f"the stored scaler's {name} is not a list of finite numbers; fit it anew")
    return figures
