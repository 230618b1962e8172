"""Noise that shares a series' distribution and spectrum, but nothing else of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kernels.series import Floats, as_count, as_series

MOST_VALUES = 20_000_000
"""Samples times surrogates: 160 MB, and five times that while a single one so long is made."""

MOST_STEPS = 2_000_000_000
"""Values times iterations, some minutes at most; few need more than thirty iterations."""

_TOGETHER = 1_000_000
"""Values that change at a time: their spectra, ranks and copies take five times as much."""

_ITERATIONS = 12
_START = 20_071


def surrogates(
    x: ArrayLike,
    count: int = 19,
    *,
    random: np.random.Generator | None = None,
    iterations: int = 100,
) -> Floats:
    """`count` surrogates of `x`, shape (count, n), by IAAFT (Schreiber & Schmitz 1996).

    Each holds exactly the values of `x`, in an order whose power spectrum is nearly that of `x`;
    stops before `iterations` when no order changes any more. Without a generator always the same.
    A property of `x` that 19 surrogates lack is there with p = 1/20. Raises ValueError for more
    than 20 000 000 values, or 2 000 000 000 values times iterations.
    """
    series = as_series(x, minimum=4)
    number = as_count(count, "count", 1)
    rounds = as_count(iterations, "iterations", 1)
    if number * series.size > MOST_VALUES:
        raise ValueError(
            f"{number} surrogates of {series.size} samples are more than {MOST_VALUES} values; "
            "ask for fewer at a time"
        )
    if number * series.size * rounds > MOST_STEPS:
        raise ValueError(
            f"{number} surrogates of {series.size} samples for {rounds} iterations are more than "
            f"{MOST_STEPS} steps; ask for fewer"
        )
    return _iterate(series, number, random or np.random.default_rng(_START), rounds)


def shuffle_phases(x: Floats, count: int) -> Floats:
    """As `surrogates`, always the same and with few iterations: enough for a test by rank."""
    return _iterate(x, count, np.random.default_rng(_START), _ITERATIONS)


def _iterate(x: Floats, count: int, random: np.random.Generator, iterations: int) -> Floats:
    """Some surrogates at a time, so that what is needed beside them stays small."""
    found = np.empty((count, x.size))
    for row in found:
        row[:] = random.permutation(x)
    together = max(1, _TOGETHER // x.size)
    for start in range(0, count, together):
        _adjust(found[start : start + together], x, iterations)
    return found


def _adjust(found: Floats, x: Floats, iterations: int) -> None:
    """Alternate between the amplitudes of the spectrum and the values; end on the values."""
    values = np.sort(x)
    amplitudes = np.abs(np.fft.rfft(x))
    before = np.zeros_like(found)
    for _ in range(iterations):
        spectra = np.fft.rfft(found, axis=1)
        spectra *= amplitudes / np.maximum(np.abs(spectra), 1e-300)
        ranks = np.argsort(np.fft.irfft(spectra, x.size, axis=1), axis=1)
        np.put_along_axis(found, ranks, np.broadcast_to(values, ranks.shape), axis=1)
        if np.array_equal(found, before):
            break
        before[...] = found
