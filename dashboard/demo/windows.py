"""Cutting a series into windows that overlap, all of one length."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.demo.series import Series

SHORTEST_WINDOW = 64
LONGEST_SERIES = 8_192
"""Samples; a longer series is averaged in blocks first, so that nothing is left out."""
PARTS = 8
"""Windows of an eighth of the series..."""
STEPS = 56
"""...at 58 places at most: coarser steps would cut the same event differently each time."""
BAND = 4
"""Warping may move a sample by a quarter of the window, twice the usual step."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """A series in windows: `starts[i]` is the first sample of window i, counted from 0.

    `block` samples of the source became one of `samples`; mean and deviation are of `samples`.
    """

    series: Series
    samples: NDArray[np.float64]
    block: int
    length: int
    starts: tuple[int, ...]
    mean: float
    deviation: float

    @property
    def band(self) -> int:
        """How far the alignment of two windows may leave the diagonal, in samples."""
        return self.length // BAND

    def window(self, index: int) -> list[float]:
        """The samples of a window as they are."""
        start = self.starts[index]
        return [float(value) for value in self.samples[start : start + self.length]]

    def apart(self, index: int) -> list[int]:
        """The windows that share no sample with this one."""
        return apart(self.starts, self.length, index)

    def span(self, index: int) -> tuple[int, int]:
        """First and last sample of a window, counted in the source from 0."""
        start = self.starts[index]
        return start * self.block, (start + self.length) * self.block - 1


def cut(series: Series) -> Cutting:
    """At most 58 windows of an eighth of the series, at least 64 and at most 1 024 samples."""
    block = math.ceil(series.samples.size / LONGEST_SERIES)
    samples = _averaged(series.samples, block)
    length = max(SHORTEST_WINDOW, samples.size // PARTS)
    step = math.ceil((samples.size - length) / STEPS)
    starts = list(range(0, samples.size - length + 1, step))
    if starts[-1] + length < samples.size:
        starts.append(samples.size - length)  # the end counts too
    scale = float(np.max(np.abs(samples)))  # the square of a huge value would overflow
    return Cutting(
        series,
        samples,
        block,
        length,
        tuple(starts),
        mean=float(np.mean(samples / scale)) * scale,
        deviation=float(np.std(samples / scale)) * scale,
    )


def apart(starts: Sequence[int], length: int, index: int) -> list[int]:
    """The windows that share no sample with window `index`."""
    return [other for other, start in enumerate(starts) if abs(start - starts[index]) >= length]


def standardise(samples: Sequence[float], mean: float, deviation: float) -> list[float]:
    """In standard deviations from the mean; plain floats, the same bits on every machine."""
    return [(value - mean) / deviation for value in samples]


def digest(samples: Sequence[float]) -> str:
    """The SHA-256 of the samples as little-endian doubles."""
    return hashlib.sha256(struct.pack(f"<{len(samples)}d", *samples)).hexdigest()


def _averaged(samples: NDArray[np.float64], block: int) -> NDArray[np.float64]:
    """Means of blocks; an incomplete last block is the mean of what it has."""
    if block == 1:
        return samples
    edges = np.arange(0, samples.size, block)
    counts = np.diff(np.append(edges, samples.size))
    means: NDArray[np.float64] = np.add.reduceat(samples / block, edges) * (block / counts)
    return means
