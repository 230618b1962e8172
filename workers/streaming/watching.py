"""Formulas over the samples of each source: monitors that go on, or are begun anew in a task.

A bounded formula has a robustness at every sample. What is told is where it begins to hold or to
be violated; a value below zero is a violation. An endless one is decided once, for the first
sample of its source.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kernels.series import Floats
from kernels.temporal_logic import Monitor, Outcome
from workers.streaming.plan import Watched
from workers.streaming.sources import Chunk

Values = tuple[int, Floats]
"""Robustness of consecutive samples of a source, and the number of the first of them."""


def speaks_of(watched: Watched, chunk: Chunk) -> bool:
    """Whether the source has all the signals of the formula."""
    return all(name in chunk.signals for name in watched.names)


def values_of(watched: Watched, chunk: Chunk) -> Values:
    """What the new samples of a chunk complete, from the chunk alone.

    Equal to what a monitor of the whole stream says: the chunk holds all that it depends on.
    """
    monitor = watched.monitor()
    found = monitor.update(_trace(watched, chunk, 0)).robustness
    done = max(0, _size(chunk) - chunk.fresh - monitor.horizon)
    return chunk.first + done, found[done:]


def formula_values(watched: Sequence[Watched], chunk: Chunk) -> dict[str, Values]:
    """What the new samples complete of each formula that the source has the signals of."""
    return {one.text: values_of(one, chunk) for one in watched if speaks_of(one, chunk)}


def _trace(watched: Watched, chunk: Chunk, start: int) -> dict[str, Floats]:
    if not watched.names:  # a formula of constants has a value at every sample all the same
        return {"": np.zeros(_size(chunk) - start)}
    return {name: chunk.signals[name][start:] for name in watched.names}


def _size(chunk: Chunk) -> int:
    return next(iter(chunk.signals.values())).size


@dataclass(frozen=True, slots=True)
class Turn:
    """A formula begins to hold, or to be violated."""

    formula: str
    violated: bool
    position: int
    robustness: float
    lasted: int
    """How many samples the opposite was true before, 0 when there were none."""
    least: float
    """The lowest robustness among those."""


class Watch:
    """One formula over one source: what it says, and when that turns."""

    def __init__(self, watched: Watched, begin: int) -> None:
        self.watched = watched
        self._monitor: Monitor | None = None
        self._origin = begin
        self._violated: bool | None = None
        self._lasted = 0
        self._least = np.inf
        self.judged = 0

    def update(self, chunk: Chunk) -> list[Turn]:
        """Take a chunk's new samples in, here."""
        monitor = self._begun(chunk)
        size = _size(chunk)
        if self.watched.endless:
            if self._violated is not None:
                return []
            monitor.update(_trace(self.watched, chunk, size - chunk.fresh))
            return self._decided(monitor)
        update = monitor.update(_trace(self.watched, chunk, size - chunk.fresh))
        return self.turns((self._origin + update.position, update.robustness))

    def finish(self, chunk: Chunk) -> list[Turn]:
        """What is still open, when the stream ends behind a chunk."""
        monitor, origin = self._monitor, self._origin
        if monitor is None and (self.watched.endless or not chunk.times):
            return []
        if monitor is None:  # tasks were watching: the chunk holds what is open
            monitor, origin = self.watched.monitor(), chunk.first
            monitor.update(_trace(self.watched, chunk, 0))
        if self.watched.endless:
            if self._violated is not None:
                return []
            value = float(monitor.finish().robustness[0])
            return [self._turned(value < 0, origin, value)]
        update = monitor.finish()
        return self.turns((origin + update.position, update.robustness))

    def turns(self, values: Values) -> list[Turn]:
        """Where these values change sides."""
        position, robustness = values
        if not robustness.size:
            return []
        self.judged += robustness.size
        below = robustness < 0
        edges = [0, *(np.flatnonzero(below[1:] != below[:-1]) + 1).tolist(), robustness.size]
        found = []
        for start, end in pairwise(edges):
            violated = bool(below[start])
            if violated is not self._violated:
                value = float(robustness[start])
                found.append(self._turned(violated, position + start, value))
            self._lasted += end - start
            self._least = min(self._least, float(robustness[start:end].min()))
        return found

    def forget(self, begin: int) -> None:
        """Samples are missing: begin anew."""
        self._monitor, self._origin = None, begin
        self._violated, self._lasted, self._least = None, 0, np.inf

    def _begun(self, chunk: Chunk) -> Monitor:
        if self._monitor is None:
            self._monitor = self.watched.monitor()
            self._origin = chunk.first + _size(chunk) - chunk.fresh
        return self._monitor

    def _decided(self, monitor: Monitor) -> list[Turn]:
        outcome = monitor.verdict
        if outcome is Outcome.INCONCLUSIVE:
            return []
        self.judged += 1
        value = -np.inf if outcome is Outcome.FALSE else np.inf
        return [self._turned(outcome is Outcome.FALSE, self._origin, value)]

    def _turned(self, violated: bool, position: int, value: float) -> Turn:  # noqa: FBT001
        lasted, least = (self._lasted, self._least) if self._violated is not None else (0, value)
        self._violated, self._lasted, self._least = violated, 0, np.inf
        return Turn(self.watched.text, violated, position, value, lasted, float(least))


class Watchers:
    """All formulas over all sources, in this process."""

    def __init__(self, watched: Sequence[Watched]) -> None:
        self.watched = watched
        self._watches: dict[str, list[Watch]] = {}

    def of(self, chunk: Chunk) -> list[Watch]:
        """The watches of a source; begun anew where its samples begin anew."""
        known = self._watches.get(chunk.source)
        if known is None:
            known = [Watch(one, chunk.first) for one in self.watched if speaks_of(one, chunk)]
            self._watches[chunk.source] = known
        elif chunk.anew:
            for watch in known:
                watch.forget(chunk.first)
        return known

    @property
    def judged(self) -> int:
        """Values of formulas that were told so far."""
        return sum(watch.judged for watches in self._watches.values() for watch in watches)

    def unheard(self) -> Iterator[str]:
        """Formulas of which no source has the signals."""
        heard = {watch.watched.text for watches in self._watches.values() for watch in watches}
        return (one.text for one in self.watched if one.text not in heard)
