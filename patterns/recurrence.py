"""Which known patterns recur in a series: its windows, encoded and searched as they come.

The series is never held as a whole, only what a window and the picture need. A window *recurs*
when its nearest pattern has at least the wanted score. Windows that overlap and have the same
nearest pattern are one *recurrence*, told by its best window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patterns import memory
from patterns.errors import wrong
from patterns.models import Namespace

BATCH = 200
"""Windows encoded and searched together."""
SHORTEST, LONGEST = 8, 100_000
COLUMNS = 800
"""Of the picture: each keeps the lowest and the highest sample that fall into it."""


@dataclass(frozen=True, slots=True)
class Window:
    """Where a window begins and ends (both included), and the pattern it is nearest to."""

    first: int
    last: int
    pattern: int
    score: float
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Match:
    """What was found in a whole series."""

    samples: int
    windows: int
    length: int
    step: int
    least: float
    recurrences: tuple[Window, ...]
    outline: NDArray[np.float64]
    """Lowest and highest sample of each column of the picture: shape (columns, 2)."""

    @property
    def counts(self) -> Counter[int]:
        """How often each pattern recurs."""
        return Counter(window.pattern for window in self.recurrences)


@dataclass(slots=True)
class Outline:
    """The shape of a series of unknown length: columns double in width when they run out."""

    samples: int = 0
    width: int = 1
    _columns: list[list[float]] = field(default_factory=list)
    _filled: int = 0

    def add(self, value: float) -> None:
        """Take the next sample in."""
        self.samples += 1
        if not self._columns or self._filled == self.width:
            if len(self._columns) == 2 * COLUMNS:
                self._double()
            self._columns.append([value, value])
            self._filled = 0
        last = self._columns[-1]
        last[0], last[1] = min(last[0], value), max(last[1], value)
        self._filled += 1

    def _double(self) -> None:
        pairs = zip(self._columns[::2], self._columns[1::2], strict=True)
        self._columns = [[min(a[0], b[0]), max(a[1], b[1])] for a, b in pairs]
        self.width *= 2

    def as_array(self) -> NDArray[np.float64]:
        """Shape (columns, 2)."""
        return np.array(self._columns).reshape(-1, 2)


def match(
    namespace: Namespace,
    samples: Iterable[float],
    *,
    length: int,
    step: int | None = None,
    least: float = 0.9,
    told: Callable[[int], None] = lambda _done: None,
) -> Match:
    """Search every window of `length` samples, `step` apart (default: a quarter of it).

    `told` hears how many samples were looked at. Raises Invalid for lengths that make no sense,
    and for a series shorter than a window.
    """
    hop = max(1, length // 4) if step is None else step
    if not SHORTEST <= length <= LONGEST or not 1 <= hop <= length:
        raise wrong(
            "--window", f"{length} by {hop}: windows have {SHORTEST} to {LONGEST} samples, "
            "and begin 1 to so many apart"
        )  # fmt: skip
    outline = Outline()
    windows = _windows(samples, length, hop, outline)
    recurrences: list[Window] = []
    count = 0
    while batch := list(islice(windows, BATCH)):
        count += len(batch)
        found = memory.search_series(namespace, [values for _, values in batch], 1)
        for (first, _), hits in zip(batch, found, strict=True):
            if hits and hits[0].score >= least:
                best = hits[0]
                window = Window(first, first + length - 1, best.id, best.score, best.metadata)
                _join(recurrences, window)
        told(outline.samples)
    if not count:
        raise wrong("", f"the series is shorter than one window of {length} samples")
    return Match(outline.samples, count, length, hop, least, tuple(recurrences), outline.as_array())


def _windows(
    samples: Iterable[float], length: int, step: int, outline: Outline
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """First index and samples of each window; what no window needs any more is let go."""
    source = iter(samples)
    held: list[float] = []
    start = 0
    while True:
        for value in islice(source, length - len(held)):
            outline.add(value)
            held.append(value)
        if len(held) < length:
            return
        yield start, np.array(held)
        del held[:step]
        start += step


def _join(recurrences: list[Window], window: Window) -> None:
    """Add a window, or keep the better of it and the one before it that says the same."""
    for place in range(len(recurrences) - 1, -1, -1):
        other = recurrences[place]
        if other.last < window.first:
            break
        if other.pattern == window.pattern:
            if window.score > other.score:
                recurrences[place] = window
            return
    recurrences.append(window)
