"""Delay embedding (Takens 1981) and the choice of its lag."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kernels.compile import jit
from kernels.series import Floats, as_count, as_series, standardise

DECORRELATED = 1.0 - 1.0 / np.e
"""The lag is where the autocorrelation first falls below this share (Rosenstein et al. 1993)."""


def delay_embed(x: ArrayLike, dimension: int, lag: int) -> Floats:
    """Delay vectors, shape (n - (dimension - 1) * lag, dimension); column 0 is the oldest sample.

    Raises ValueError when dimension or lag is below 1, or the series is too short for one vector.
    """
    dimension, lag = as_count(dimension, "dimension", 1), as_count(lag, "lag", 1)
    series = as_series(x)
    if series.size <= (dimension - 1) * lag:
        raise ValueError(
            f"{series.size} samples are too few for dimension {dimension} at lag {lag}; "
            f"pass more than {(dimension - 1) * lag}, or a smaller dimension or lag"
        )
    return _embed(series, dimension, lag)


def choose_lag(x: ArrayLike, maximum: int | None = None) -> int:
    """The first lag (samples) at which the autocorrelation is below 1 - 1/e.

    At most `maximum` (default: a tenth of the series) and at least 1; 1 for a constant series.
    """
    series = as_series(x, minimum=2)
    cap = max(1, series.size // 10) if maximum is None else as_count(maximum, "maximum", 1)
    standard = standardise(series)
    if not standard.any():
        return 1
    below = np.flatnonzero(autocorrelation(standard)[1 : cap + 1] < DECORRELATED)
    return int(below[0]) + 1 if below.size else min(cap, series.size - 1)


def autocorrelation(standard: Floats) -> Floats:
    """Autocorrelation of a standardised series at all lags, by FFT without wrap-around.

    Each lag is normalised by the number of products in it, so a sine does not seem to decay.
    """
    n = standard.size
    size = fast_length(2 * n)
    spectrum = np.fft.rfft(standard, size)
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:n]
    return products / np.arange(n, 0, -1)


def fast_length(n: int) -> int:
    """The smallest power of two not below n."""
    return 1 << (n - 1).bit_length()


@jit
def _embed(x: Floats, dimension: int, lag: int) -> Floats:
    count = x.size - (dimension - 1) * lag
    vectors = np.empty((count, dimension))
    for i in range(count):
        for j in range(dimension):
            vectors[i, j] = x[i + j * lag]
    return vectors
