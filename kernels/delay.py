"""Delay embedding (Takens 1981), the choice of its lag, and what else depends on time alone."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from kernels.compile import jit
from kernels.series import Floats, Integers, as_count, as_series, standardise

DECORRELATED = 1.0 - 1.0 / np.e
"""The lag is where the autocorrelation first falls below this share (Rosenstein et al. 1993)."""

LagMethod = Literal["autocorrelation", "mutual_information"]

MOST_BINS = 64
"""Classes when none are asked for."""

LARGEST_BINS = 1000
"""Classes at most: a million pairs of them are counted at each lag."""

MOST_STEPS = 4_000_000_000
"""Pairs of samples and of classes over all lags, some seconds: a kernel cannot be interrupted."""

MOST_VALUES = 100_000_000
"""Numbers in all delay vectors: 800 MB."""


def delay_embed(x: ArrayLike, dimension: int, lag: int) -> Floats:
    """Delay vectors, shape (n - (dimension - 1) * lag, dimension); column 0 is the oldest sample.

    Raises ValueError when dimension or lag is below 1, the series is too short for one vector, or
    the vectors hold more than 100 000 000 numbers.
    """
    dimension, lag = as_count(dimension, "dimension", 1), as_count(lag, "lag", 1)
    series = as_series(x)
    if series.size <= (dimension - 1) * lag:
        raise ValueError(
            f"{series.size} samples are too few for dimension {dimension} at lag {lag}; "
            f"pass more than {(dimension - 1) * lag}, or a smaller dimension or lag"
        )
    count = series.size - (dimension - 1) * lag
    if count * dimension > MOST_VALUES:
        raise ValueError(
            f"{count} vectors of dimension {dimension} hold more than {MOST_VALUES} numbers; pass "
            "a smaller dimension, or a shorter series"
        )
    return _embed(series, dimension, lag)


def choose_lag(
    x: ArrayLike, maximum: int | None = None, method: LagMethod = "autocorrelation"
) -> int:
    """The lag (samples) for delay vectors of `x`: at least 1, at most `maximum`; 1 if constant.

    "autocorrelation": the first at which it is below 1 - 1/e. "mutual_information": its first
    minimum (Fraser & Swinney 1986), or where the autocorrelation has fallen if there is none.
    `maximum` is a tenth of the series when left out.
    """
    if method not in get_args(LagMethod):
        raise ValueError(f"method is {method!r}; choose one of {', '.join(get_args(LagMethod))}")
    series = as_series(x, minimum=2)
    cap = max(1, series.size // 10) if maximum is None else as_count(maximum, "maximum", 1)
    cap = min(cap, series.size - 1)
    standard = standardise(series)
    if not standard.any():
        return 1
    if method == "mutual_information":
        shared = average_mutual_information(series, None if maximum is None else cap)
        # Two rises in a row: a single one is as often the scatter of the estimate.
        rises = np.diff(shared[1:]) > 0
        lasting = np.flatnonzero(rises[:-1] & rises[1:])
        if lasting.size:
            return int(lasting[0]) + 1
    below = np.flatnonzero(autocorrelation(standard)[1 : cap + 1] < DECORRELATED)
    return int(below[0]) + 1 if below.size else cap


def average_mutual_information(
    x: ArrayLike, maximum: int | None = None, bins: int | None = None
) -> Floats:
    """What each sample tells of the one `lag` later, in nats, for lags 0 to `maximum`.

    Samples fall into `bins` classes of equal size by rank (left out: the cube root of 5 n, at
    most 64), so every growing function of the series has the same information; equal samples
    share a class. `maximum` is a tenth of the series when left out, less above 200 000 samples.
    Raises ValueError for more than 1000 bins, and for lags that would take longer than seconds.
    """
    series = as_series(x, minimum=2)
    fitting = min(MOST_BINS, max(2, round((5 * series.size) ** (1 / 3))))
    classes = fitting if bins is None else as_count(bins, "bins", 2)
    if classes > LARGEST_BINS:
        raise ValueError(f"bins is {classes}; pass at most {LARGEST_BINS}")
    most = MOST_STEPS // (series.size + classes * classes) - 1
    fitting_lags = max(1, min(series.size // 10, most))
    cap = fitting_lags if maximum is None else as_count(maximum, "maximum", 0)
    if cap >= series.size:
        raise ValueError(f"maximum is {cap}; a series of {series.size} has lags below that")
    if cap > most:
        raise ValueError(f"maximum is {cap}; {series.size} samples in {classes} bins allow {most}")
    _, value, repeats = np.unique(series, return_inverse=True, return_counts=True)
    first = np.cumsum(repeats) - repeats
    middle = first + (repeats - 1) // 2
    codes: Integers = middle[value] * classes // series.size
    return _mutual_information(codes, classes, cap)


def autocorrelation(standard: Floats) -> Floats:
    """Autocorrelation of a standardised series at all lags, by FFT without wrap-around.

    Each lag is normalised by the number of products in it, so a sine does not seem to decay.
    """
    n = standard.size
    size = fast_length(2 * n)
    spectrum = np.fft.rfft(standard, size)
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:n]
    return products / np.arange(n, 0, -1)


def mean_period(standard: Floats) -> float:
    """Samples per cycle at the centre of gravity of the power spectrum; at least 2."""
    power = np.abs(np.fft.rfft(standard * np.hanning(standard.size))) ** 2
    total = float(power.sum())
    moment = float(power @ np.arange(power.size)) / standard.size
    return max(2.0, total / moment) if moment > 0 else float(standard.size)


def fitting_dimension(lag: int) -> int:
    """The embedding dimension when none is given: most maps fit into 3, most flows into 5."""
    return 3 if lag == 1 else 5


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


@jit
def _mutual_information(codes: Integers, bins: int, maximum: int) -> Floats:
    information = np.zeros(maximum + 1)
    for lag in range(maximum + 1):
        joint = np.zeros((bins, bins), np.int64)
        rows = np.zeros(bins, np.int64)
        columns = np.zeros(bins, np.int64)
        count = codes.size - lag
        for i in range(count):
            joint[codes[i], codes[i + lag]] += 1
            rows[codes[i]] += 1
            columns[codes[i + lag]] += 1
        total = 0.0
        for a in range(bins):
            for b in range(bins):
                if joint[a, b] > 0:
                    share = joint[a, b] / count
                    total += share * np.log(joint[a, b] * count / (rows[a] * columns[b]))
        information[lag] = total
    return information
