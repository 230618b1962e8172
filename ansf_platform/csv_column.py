"""One column of numbers from a CSV file, line by line; what is wrong is said with its place.

The delimiter may be a comma, a semicolon, a tab or a bar; the first line names the columns.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

MAX_BYTES = 64 * 1024 * 1024
LONGEST = 1_000_000
"""Lines."""
_DELIMITERS = ",;\t|"
_SHOWN_COLUMNS = 10
_SHOWN_CHARACTERS = 40


class BadColumn(ValueError):
    """The input cannot be used; one line says what is wrong, where, and what would do."""


@contextmanager
def reading(
    path: Path, column: str | None, longest: int = LONGEST
) -> Iterator[tuple[str, Iterator[float]]]:
    """The column's name and its finite numbers, which are read as they are asked for.

    Every line must hold a finite number in that column; a file with one column needs no name.
    Raises :class:`BadColumn`, also while the block asks for numbers.
    """
    try:
        _check_file(path)
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield _column(path, stream, column, longest)
    except UnicodeDecodeError as error:
        raise BadColumn(f"{path} is not a text file in UTF-8 (byte {error.start})") from error
    except csv.Error as error:
        raise BadColumn(f"{path} is not a CSV file: {error}") from error
    except OSError as error:
        raise BadColumn(f"{path} cannot be read: {error.strerror}") from error


def _check_file(path: Path) -> None:
    size = path.stat().st_size
    if not path.is_file():
        raise BadColumn(f"{path} is not a file")
    if size > MAX_BYTES:
        raise BadColumn(
            f"{path} has {size / 2**20:,.0f} MB, at most {MAX_BYTES / 2**20:.0f} are read: "
            "keep one column, or fewer lines"
        )
    with path.open("rb") as stream:
        if b"\x00" in stream.read(65_536):
            raise BadColumn(f"{path} is a binary file: a CSV file is text")


def _column(
    path: Path, stream: TextIO, wanted: str | None, longest: int
) -> tuple[str, Iterator[float]]:
    header = stream.readline(65_536)
    stream.seek(0)
    lines = csv.reader(stream, delimiter=_delimiter(header), strict=True)
    names = [name.strip() for name in next(lines, [])]
    place = _place(path, names, wanted)
    return names[place], _numbers(path, lines, names[place], place, longest)


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _place(path: Path, names: list[str], wanted: str | None) -> int:
    """Which column is meant."""
    if not any(names):
        raise BadColumn(f"{path} is empty: its first line must name the columns")
    known = ", ".join(shorten(name) for name in names[:_SHOWN_COLUMNS])
    more = f" and {len(names) - _SHOWN_COLUMNS} more" if len(names) > _SHOWN_COLUMNS else ""
    if wanted is None:
        if len(names) == 1:
            return 0
        raise BadColumn(f"{path} has the columns {known}{more}: choose one with --column")
    found = [place for place, name in enumerate(names) if name == wanted.strip()]
    if not found:
        raise BadColumn(f"{path} has no column {shorten(wanted)!r}; it has {known}{more}")
    if len(found) > 1:
        raise BadColumn(f"{path} has {len(found)} columns called {shorten(wanted)!r}: rename one")
    return found[0]


def _numbers(
    path: Path, lines: Iterator[list[str]], name: str, place: int, longest: int
) -> Iterator[float]:
    for number, cells in enumerate(lines, start=2):
        if not cells:
            continue  # an empty line at the end of the file
        where = f"line {number} of {path}"
        if number > longest + 1:
            raise BadColumn(
                f"{path} has more than {longest:,} lines: take every second one, or fewer"
            )
        if len(cells) <= place:
            raise BadColumn(f"{where} has no column {shorten(name)!r}: it has {len(cells)} cells")
        yield _number(where, name, cells[place].strip())


def _number(where: str, name: str, text: str) -> float:
    if not text:
        raise BadColumn(
            f"{where} has nothing in column {shorten(name)!r}: fill it or drop the line"
        )
    try:
        value = float(text)
    except ValueError:
        raise BadColumn(
            f"{where} has {shorten(text)!r} in column {shorten(name)!r}, which is not a number"
        ) from None
    if not math.isfinite(value):
        raise BadColumn(
            f"{where} has {shorten(text)} in column {shorten(name)!r}: only finite numbers can be "
            "compared, drop the line or fill the gap"
        )
    return value


def shorten(text: str) -> str:
    """A text from a file as it is quoted in a message."""
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
