"""The boundary: whatever the caller holds becomes one float64 array, or a clear ValueError.

A kernel is compiled once per combination of dtype, memory layout and writability; every
stray combination costs half a second of compiling inside a task. So all arrays pass here.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_HINT = "pass a one-dimensional array or list of real numbers"

MAX_SAMPLES = 10_000_000
"""80 MB of float64; a longer recording is to be cut into windows."""

MAX_MAGNITUDE = 1e150
"""Above this a squared difference overflows to infinity."""


def as_series(x: ArrayLike, name: str = "x", minimum: int = 1) -> Floats:
    """`x` as a finite, contiguous, aligned, writable float64 vector of at least `minimum`."""
    array = _as_floats(x, name)
    if array.ndim != 1:
        raise ValueError(
            f"{name} has shape {array.shape}, but one series is one-dimensional; "
            "pass one column or row at a time"
        )
    _check_length(array.size, name, minimum)
    _check_values(array, name)
    return array


def as_series_list(xs: ArrayLike, name: str = "candidates", minimum: int = 1) -> list[Floats]:
    """A 2-D array (one series per row), or a sequence of series of any lengths, as vectors."""
    if isinstance(xs, str | bytes) or not isinstance(xs, Sequence | np.ndarray):
        raise ValueError(  # noqa: TRY004 - bad input is always a ValueError here
            f"{name} must be a 2-D array or a list of series, not {type(xs).__name__}"
        )
    if len(xs) == 0:
        raise ValueError(f"{name} is empty; pass at least one series")
    if not isinstance(xs, np.ndarray) or xs.dtype == object:
        return [as_series(x, f"{name}[{i}]", minimum) for i, x in enumerate(xs)]
    if xs.ndim != 2:
        raise ValueError(
            f"{name} has shape {xs.shape}; pass one series per row, shape (count, length)"
        )
    rows = _as_floats(xs, name)
    _check_length(rows.shape[1], f"each row of {name}", minimum)
    _check_values(rows, name)
    return list(rows)


def as_count(value: int, name: str, minimum: int) -> int:
    """A whole number as a plain int: numpy's own types would compile a kernel anew."""
    try:
        count = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} is {value!r}; pass a whole number") from None
    if count < minimum:
        raise ValueError(f"{name} is {count}; it must be at least {minimum}")
    return count


def as_interval(value: float) -> float:
    """A sample interval as a plain float: finite and positive, else ValueError."""
    try:
        interval = float(value)
    except (TypeError, ValueError):
        interval = np.nan
    if not (np.isfinite(interval) and interval > 0):
        raise ValueError(f"sample_interval is {value!r}; pass a positive time per sample")
    return interval


def standardise(x: Floats) -> Floats:
    """`x` less its mean over its standard deviation; zeros when it is constant.

    Scaled by the largest magnitude first, so that tiny and huge units neither under- nor
    overflow; spread below rounding error of the values counts as constant.
    """
    peak = float(np.max(np.abs(x)))
    if peak == 0.0:
        return np.zeros_like(x)
    scaled = x / peak
    scaled -= scaled.mean()
    deviation = float(np.sqrt(np.mean(scaled * scaled)))
    if deviation < 4 * np.finfo(np.float64).eps:
        return np.zeros_like(x)
    scaled /= deviation
    return scaled


def _as_floats(x: ArrayLike, name: str) -> Floats:
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise ValueError(f"{name} has masked samples; fill or drop them first")
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{name} is ragged ({error}); {_HINT}") from None
    if array.dtype.kind not in "biuf" and array.size:
        raise ValueError(f"{name} holds {array.dtype} values; {_HINT}")
    with np.errstate(over="ignore"):
        return np.require(
            array, np.float64, ["C_CONTIGUOUS", "ALIGNED", "WRITEABLE", "ENSUREARRAY"]
        )


def _check_length(size: int, name: str, minimum: int) -> None:
    if size < minimum:
        raise ValueError(
            f"{name} has {size} samples, at least {minimum} are needed; pass a longer series"
        )
    if size > MAX_SAMPLES:
        raise ValueError(
            f"{name} has {size} samples, at most {MAX_SAMPLES} are taken; cut it into windows"
        )


def _check_values(array: Floats, name: str) -> None:
    if not array.size:
        return
    largest = float(np.max(np.abs(array)))
    if not np.isfinite(largest):
        where = np.unravel_index(int(np.argmin(np.isfinite(array))), array.shape)
        index = ", ".join(str(int(i)) for i in where)
        raise ValueError(
            f"{name} has {array[where]} at index {index}; interpolate or drop such samples first"
        )
    if largest > MAX_MAGNITUDE:
        raise ValueError(
            f"{name} reaches {largest:.3g}, and squares above {MAX_MAGNITUDE:g} overflow; "
            "divide the series by a constant first"
        )
