"""The series that the demo looks at: two real ones, or a column of the user's own CSV file."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import pywt
from numpy.typing import NDArray

SHORTEST = 192
"""Samples: three windows of the shortest length that the analysis accepts."""
LONGEST = 1_000_000
MAX_BYTES = 64 * 1024 * 1024
_DELIMITERS = ",;\t|"
_SHOWN_COLUMNS = 10
_SHOWN_CHARACTERS = 40
_LARGEST = 1e100  # squares of it still fit
_FLAT = 1e-12
"""Deviation relative to the largest value; below it rounding is all that varies."""


class BadSeries(ValueError):
    """The input cannot be used; one line says what is wrong, where, and what would do."""


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
    try:
        _check_file(path)
        with path.open(encoding="utf-8-sig", newline="") as stream:
            name, values = _column(path, stream, column)
    except UnicodeDecodeError as error:
        raise BadSeries(f"{path} is not a text file in UTF-8 (byte {error.start})") from error
    except csv.Error as error:
        raise BadSeries(f"{path} is not a CSV file: {error}") from error
    except OSError as error:
        raise BadSeries(f"{path} cannot be read: {error.strerror}") from error
    samples = np.array(values)
    _check_samples(path, name, samples)
    return Series("series", name, path.name, "", samples)


def _floats(values: object) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _check_file(path: Path) -> None:
    size = path.stat().st_size
    if not path.is_file():
        raise BadSeries(f"{path} is not a file")
    if size > MAX_BYTES:
        raise BadSeries(
            f"{path} has {size / 2**20:,.0f} MB, at most {MAX_BYTES / 2**20:.0f} are read: "
            "keep one column, or fewer lines"
        )
    with path.open("rb") as stream:
        if b"\x00" in stream.read(65_536):
            raise BadSeries(f"{path} is a binary file: a CSV file is text")


def _column(path: Path, stream: TextIO, wanted: str | None) -> tuple[str, list[float]]:
    header = stream.readline(65_536)
    stream.seek(0)
    lines = csv.reader(stream, delimiter=_delimiter(header), strict=True)
    names = [name.strip() for name in next(lines, [])]
    place = _place(path, names, wanted)
    values = list(_numbers(path, lines, names[place], place))
    return names[place], values


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _place(path: Path, names: list[str], wanted: str | None) -> int:
    """Which column is meant."""
    if not any(names):
        raise BadSeries(f"{path} is empty: its first line must name the columns")
    known = ", ".join(_short(name) for name in names[:_SHOWN_COLUMNS])
    more = f" and {len(names) - _SHOWN_COLUMNS} more" if len(names) > _SHOWN_COLUMNS else ""
    if wanted is None:
        if len(names) == 1:
            return 0
        raise BadSeries(f"{path} has the columns {known}{more}: choose one with --column")
    found = [place for place, name in enumerate(names) if name == wanted.strip()]
    if not found:
        raise BadSeries(f"{path} has no column {_short(wanted)!r}; it has {known}{more}")
    if len(found) > 1:
        raise BadSeries(f"{path} has {len(found)} columns called {_short(wanted)!r}: rename one")
    return found[0]


def _numbers(path: Path, lines: Iterator[list[str]], name: str, place: int) -> Iterator[float]:
    for number, cells in enumerate(lines, start=2):
        if not cells:
            continue  # an empty line at the end of the file
        where = f"line {number} of {path}"
        if number > LONGEST + 1:
            raise BadSeries(
                f"{path} has more than {LONGEST:,} lines: take every second one, or fewer"
            )
        if len(cells) <= place:
            raise BadSeries(f"{where} has no column {_short(name)!r}: it has {len(cells)} cells")
        yield _number(where, name, cells[place].strip())


def _number(where: str, name: str, text: str) -> float:
    if not text:
        raise BadSeries(f"{where} has nothing in column {_short(name)!r}: fill it or drop the line")
    try:
        value = float(text)
    except ValueError:
        raise BadSeries(
            f"{where} has {_short(text)!r} in column {_short(name)!r}, which is not a number"
        ) from None
    if not math.isfinite(value):
        raise BadSeries(
            f"{where} has {_short(text)} in column {_short(name)!r}: only finite numbers can be "
            "compared, drop the line or fill the gap"
        )
    return value


def _check_samples(path: Path, name: str, samples: NDArray[np.float64]) -> None:
    where = f"column {_short(name)!r} of {path}"
    if samples.size < SHORTEST:
        raise BadSeries(f"{where} has {samples.size} samples, at least {SHORTEST} are needed")
    largest = float(np.max(np.abs(samples)))
    if largest > _LARGEST:
        raise BadSeries(f"{where} holds {largest:g}, at most {_LARGEST:g} can be computed with")
    if largest == 0 or float(np.std(samples / largest)) < _FLAT:
        raise BadSeries(f"{where} has the same value everywhere: there is nothing to compare")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
