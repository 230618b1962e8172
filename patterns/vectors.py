"""Vectors between rows and indexes: bytes, scalers, and what is compared in the end."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels import rows
from kernels.scaler import Scaler
from patterns.errors import wrong
from patterns.models import Namespace

Vectors = NDArray[np.float32]
Scores = NDArray[np.float32]
Ids = NDArray[np.int64]

assert sys.byteorder == "little", "vectors are stored little-endian"  # noqa: S101 - on import


def from_bytes(raw: bytes, dimension: int) -> Vectors:
    """Rows of float32 from their bytes: shape (count, dimension)."""
    return np.frombuffer(raw, np.float32).reshape(-1, dimension)


def given(vectors: ArrayLike, namespace: Namespace, field: str = "/vector") -> Vectors:
    """Vectors from outside as float32 rows. Raises Invalid for others than the namespace's."""
    try:
        matrix = rows.as_rows(np.atleast_2d(np.asarray(vectors)), "vector")
    except ValueError as error:
        raise wrong(field, str(error)) from error
    if matrix.shape[1] != namespace.dimension:
        raise wrong(
            field,
            f"has {matrix.shape[1]} numbers, {namespace} takes {namespace.dimension}",
        )
    return matrix


def scaler_of(namespace: Namespace) -> Scaler | None:
    """The namespace's scaler, if it was ever fitted."""
    if not namespace.scaler:
        return None
    mean, deviation = np.frombuffer(bytes(namespace.scaler)).reshape(2, namespace.dimension)
    return Scaler(namespace.encoder, namespace.scaler_version, mean, deviation)


def scaler_bytes(scaler: Scaler) -> bytes:
    """Mean, then deviation, in float64."""
    return np.stack([scaler.mean, scaler.deviation]).tobytes()


@dataclass(slots=True)
class Moments:
    """Mean and deviation of rows that pass by in blocks, in float64 (Chan et al. 1979)."""

    count: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def of_none(cls, dimension: int) -> Moments:
        """Before the first block."""
        return cls(0, np.zeros(dimension), np.zeros(dimension))

    def add(self, block: Vectors) -> None:
        """Take in rows."""
        size = len(block)
        if not size:
            return
        wide = block.astype(np.float64)
        mean = wide.mean(axis=0)
        step = mean - self.mean
        total = self.count + size
        self.squares += ((wide - mean) ** 2).sum(axis=0) + step**2 * (self.count * size / total)
        self.mean += step * (size / total)
        self.count = total

    def scaler(self, encoder: str, version: int) -> Scaler:
        """What was learnt. Raises Invalid before two rows were seen."""
        if self.count < 2:  # noqa: PLR2004 - one vector has no deviation
            raise wrong("", "a scaler needs two patterns at least: add some first")
        deviation = np.sqrt(self.squares / self.count)
        return Scaler(encoder, version, self.mean, deviation, self.count)


def comparable(raw: Vectors, namespace: Namespace, scaler: Scaler | None) -> Vectors:
    """Rows as they are compared: scaled, and of length 1 where only directions count."""
    scaled = raw if scaler is None else scaler.apply(raw)
    if namespace.metric == Namespace.Metric.COSINE:
        return rows.unit(scaled)
    return scaled


def score_of(raw_scores: Scores, metric: str) -> Scores:
    """What is told: the cosine as it is, and 1 / (1 + distance) of a negative distance."""
    if metric == Namespace.Metric.COSINE:
        return np.clip(raw_scores, -1.0, 1.0)
    told: Scores = 1.0 / (1.0 - raw_scores)
    return told


def kernel_metric(metric: str) -> rows.Metric:
    """How the kernels rank comparable rows: those of length 1 by their product."""
    return "dot" if metric == Namespace.Metric.COSINE else "euclidean"
