"""The series that the demo looks at: two real ones, or a column of the user's own CSV file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pywt
from numpy.typing import NDArray

from ansf_platform import csv_column
from ansf_platform.csv_column import BadColumn as BadSeries
from ansf_platform.csv_column import shorten

__all__ = ["LONGEST", "SHORTEST", "BadSeries", "Series", "read_series", "real_series"]

SHORTEST = 192
"""Samples: three windows of the shortest length that the analysis accepts."""
LONGEST = 1_000_000
_LARGEST = 1e100  # squares of it still fit
_FLAT = 1e-12
"""Deviation relative to the largest value; below it rounding is all that varies."""


@dataclass(frozen=True, slots=True)
class Series:
    """Finite samples at even steps; `unit` is what one of them is measured in, if known."""

    key: str
    title: str
    source: str
    unit: str
    samples: NDArray[np.float64]


def real_series() -> list[Series]:
    """An electrocardiogram and the El Niño index, both from PyWavelets."""
    _, temperatures = pywt.data.nino()
    return [
        Series(
            "ecg", "Electrocardiogram", "pywt.data.ecg()", "ADC units", _floats(pywt.data.ecg())
        ),
        Series(
            "nino",
            "El Niño",
            "pywt.data.nino(), by the quarter from 1950",
            "°C",
            _floats(temperatures),
        ),
    ]


def read_series(path: Path, column: str | None) -> Series:
    """One column of a CSV file with a header line. Raises :class:`BadSeries`.

    The delimiter may be a comma, a semicolon, a tab or a bar. Every line must hold a finite
    number in that column; a file with one column needs no name.
    """
    with csv_column.reading(path, column, LONGEST) as (name, numbers):
        values = list(numbers)
    samples = np.array(values)
    _check_samples(path, name, samples)
    return Series("series", name, path.name, "", samples)


def _floats(values: object) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _check_samples(path: Path, name: str, samples: NDArray[np.float64]) -> None:
    where = f"column {shorten(name)!r} of {path}"
    if samples.size < SHORTEST:
        raise BadSeries(f"{where} has {samples.size} samples, at least {SHORTEST} are needed")
    largest = float(np.max(np.abs(samples)))
    if largest > _LARGEST:
        raise BadSeries(f"{where} holds {largest:g}, at most {_LARGEST:g} can be computed with")
    if largest == 0 or float(np.std(samples / largest)) < _FLAT:
        raise BadSeries(f"{where} has the same value everywhere: there is nothing to compare")
