"""Samples by source, and the batches that are cut from them.

Of each source only what is still needed is held: the samples of unfinished windows and those that
formulas look back at. Between two batches new samples gather.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from kernels.series import MAX_MAGNITUDE, Floats
from workers.streaming.lines import BadLine, shorten
from workers.streaming.plan import Plan, Watched

MAX_SOURCES = 10_000
MAX_SIGNALS = 32
MAX_NAME = 200
MAX_TIME = 64
"""Characters."""
MAX_HELD = 16_000_000
"""Numbers held for all sources together, what monitors remember among them: 128 MB."""
_OF_TIME = {type(None): 1, int: 5, float: 4}
"""Numbers that the time of a sample takes; a text takes more."""
_OF_TEXT = 12
UNNAMED = "stream"
_KEYS = frozenset({"t", "source", "series", "values"})

Time = float | str | None


@dataclass(slots=True)
class Chunk:
    """New samples of one source behind those that are needed to judge them."""

    source: str
    first: int
    """Which sample of the source, from 0, the arrays begin with."""
    fresh: int
    """How many at their end are new."""
    signals: dict[str, Floats]
    window: str
    """The signal that windows are of, or empty."""
    starts: list[int]
    """Where in the arrays the windows begin."""
    anew: bool = False
    """Whether samples before these are missing, or there were none."""
    times: Sequence[Time] = ()
    arrived: float = 0.0
    """When the oldest new sample was read."""

    def time(self, position: int) -> Time:
        """When a sample was taken, by its number in the source."""
        place = position - self.first
        return self.times[place] if 0 <= place < len(self.times) else None

    def cut(self, length: int) -> list[Floats]:
        """The windows' samples."""
        values = self.signals.get(self.window)
        return [] if values is None else [values[s : s + length] for s in self.starts]


@dataclass(slots=True)
class Batch:
    """What is judged together."""

    chunks: list[Chunk] = field(default_factory=list)
    reads: list[tuple[float, int]] = field(default_factory=list)
    """When samples were read, and how many at that time."""

    @property
    def samples(self) -> int:
        """How many are new."""
        return sum(count for _, count in self.reads)

    @property
    def windows(self) -> int:
        """How many end in it."""
        return sum(len(chunk.starts) for chunk in self.chunks)

    @property
    def oldest(self) -> float:
        """When its first sample was read."""
        return min((at for at, _ in self.reads), default=math.inf)


class Source:
    """The samples of one source that are still needed."""

    __slots__ = (
        "anew", "arrays", "arrived", "begin", "last", "name", "next", "per_time", "times", "window",
    )  # fmt: skip

    def __init__(self, name: str, names: Sequence[str], window: str) -> None:
        self.name = name
        self.window = window
        self.arrays: dict[str, array[float]] = {signal: array("d") for signal in names}
        self.times: list[Time] = []
        self.per_time = 0
        """Numbers that each of them is counted as."""
        self.begin = 0
        """Number of the first sample that is held."""
        self.next = 0
        """Number of the sample that the next window begins with."""
        self.last = -math.inf
        self.anew = True
        self.arrived = 0.0


class Sources:
    """All sources of a stream; `add` takes a line's object, `cut` makes a batch.

    `monitored` are the formulas of which each source has a monitor here; None: all of them.
    """

    def __init__(
        self, plan: Plan, watched: Sequence[Watched], context: int,
        monitored: Sequence[Watched] | None = None,
    ) -> None:  # fmt: skip
        self.plan = plan
        self._monitored = [
            (set(one.names), one.monitor().memory // 8)
            for one in (watched if monitored is None else monitored)
        ]
        self.names = tuple(dict.fromkeys(name for one in watched for name in one.names))
        self.context = max(context, plan.length - 1 if plan.windowed else 0)
        self._known: dict[str, Source] = {}
        self._touched: dict[str, int] = {}
        self._reads: list[tuple[float, int]] = []
        self._room = MAX_HELD
        self.waiting = 0

    @property
    def oldest(self) -> float:
        """When the first sample that waits was read; infinite when none waits."""
        return self._reads[0][0] if self._reads else math.inf

    @property
    def count(self) -> int:
        """How many sources there are."""
        return len(self._known)

    def add(self, record: Mapping[str, Any], arrived: float) -> None:
        """Take a sample in. Raises BadLine, with nothing changed."""
        name = _name(record)
        values = record.get("values", record)
        if type(values) is not dict:
            raise BadLine(f"has {shorten(values)} for values, an object of numbers is needed")
        known = self._known.get(name)
        source = known or self._new(name, values)
        at = record.get("t")
        now = source.last if at is None else _moment(at)
        if at is not None and now <= source.last:
            raise BadLine(f"has t {shorten(at)}, which is not after the last one of {name[:60]}")
        taken = [_number(values, column) for column in source.arrays]
        self._room -= self._claimed(source, at, is_new=known is None)
        self._known[name] = source
        for column, value in zip(source.arrays.values(), taken, strict=True):
            column.append(value)
        source.times.append(at)
        source.last = now
        fresh = self._touched.get(name, 0)
        if not fresh:
            source.arrived = arrived
        self._touched[name] = fresh + 1
        self.waiting += 1
        if self._reads and self._reads[-1][0] == arrived:
            self._reads[-1] = (arrived, self._reads[-1][1] + 1)
        else:
            self._reads.append((arrived, 1))

    def cut(self) -> Batch:
        """All new samples with the windows that they complete."""
        chunks = [self._chunk(self._known[name], fresh) for name, fresh in self._touched.items()]
        batch = Batch(chunks, self._reads)
        self._touched, self._reads, self.waiting = {}, [], 0
        return batch

    def interrupt(self) -> None:
        """Samples are missing from here on: no window and no formula reaches across."""
        for source in self._known.values():
            self._forget(source, len(source.times))
            source.next = source.begin
            source.anew = True

    def rest(self) -> list[Chunk]:
        """What is held of each source after the last batch, nothing of it new."""
        return [self._chunk(source, 0) for source in self._known.values()]

    def _new(self, name: str, values: Mapping[str, Any]) -> Source:
        numbers = [
            key for key, value in values.items()
            if key not in _KEYS and isinstance(value, int | float)
        ]  # fmt: skip
        window = self._windowed(numbers) if self.plan.windowed else ""
        columns = [key for key in dict.fromkeys([window, *self.names]) if key in numbers]
        if not columns:
            wanted = ", ".join(self.names) or self.plan.signal or "value"
            raise BadLine(f"has no number for {wanted}, which is asked for")
        if len(self._known) >= MAX_SOURCES:
            raise self._beyond(name)
        if len(columns) > MAX_SIGNALS:
            raise BadLine(f"has {len(columns)} signals, at most {MAX_SIGNALS} are watched")
        return Source(name, columns, window)

    def _claimed(self, source: Source, at: Time, *, is_new: bool) -> int:
        """How many numbers more a source is counted as. Raises BadLine when there is no room."""
        per_time = max(source.per_time, _OF_TIME.get(type(at), _OF_TEXT))
        claimed = (self.context + 1) * (per_time - source.per_time)
        if is_new:
            claimed += (self.context + 1) * len(source.arrays)
            claimed += sum(size for names, size in self._monitored if source.arrays.keys() >= names)
        if claimed > self._room:
            raise self._beyond(source.name)
        source.per_time = per_time
        return claimed

    def _beyond(self, name: str) -> BadLine:
        return BadLine(f"is of source {name[:60]!r}, beyond the {self.count} that are held")

    def _windowed(self, numbers: Sequence[str]) -> str:
        wanted = self.plan.signal
        if wanted:
            return wanted if wanted in numbers else ""
        return "value" if "value" in numbers or not numbers else numbers[0]

    def _chunk(self, source: Source, fresh: int) -> Chunk:
        """Copies what is needed, and lets go of what no later chunk needs."""
        end = source.begin + len(source.times)
        length, step = self.plan.length, self.plan.step
        starts = []
        while source.window and fresh and source.next + length <= end:
            starts.append(source.next - source.begin)
            source.next += step
        chunk = Chunk(
            source.name, source.begin, fresh,
            {name: np.array(column) for name, column in source.arrays.items()},
            source.window, starts, source.anew, source.times.copy(), source.arrived,
        )  # fmt: skip
        source.anew = False
        self._forget(source, len(source.times) - self.context)
        return chunk

    @staticmethod
    def _forget(source: Source, count: int) -> None:
        if count > 0:
            for column in source.arrays.values():
                del column[:count]
            del source.times[:count]
            source.begin += count


def _name(record: Mapping[str, Any]) -> str:
    name = record.get("source")
    if name is None:
        name = record.get("series", UNNAMED)
    if type(name) is int:
        return str(name)
    if type(name) is not str or not name.isprintable():
        raise BadLine(f"has {shorten(name)} for its source, a name is needed")
    if not 0 < len(name) <= MAX_NAME:
        raise BadLine(f"has a source of {len(name)} characters, 1 to {MAX_NAME} are needed")
    return name


def _number(values: Mapping[str, Any], column: str) -> float:
    value = values.get(column)
    if type(value) is float or type(value) is int:
        # A comparison, because a whole number may be too large for a float.
        if -MAX_MAGNITUDE <= value <= MAX_MAGNITUDE:
            return float(value)
        raise BadLine(f"has {column[:60]} beyond ±{MAX_MAGNITUDE:g}")
    if type(value) is bool:
        return 1.0 if value else -1.0
    if value is None:
        raise BadLine(f"has no number for {column[:60]}")
    raise BadLine(f"has {shorten(value)} for {column[:60]}, a number is needed")


def _moment(at: object) -> float:
    if type(at) is float or type(at) is int:
        if -MAX_MAGNITUDE <= at <= MAX_MAGNITUDE:
            return float(at)
    elif type(at) is str and len(at) <= MAX_TIME:
        try:
            moment = datetime.fromisoformat(at)
        except ValueError:
            pass
        else:
            return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    raise BadLine(f"has {shorten(at)} for t, seconds or a time in ISO 8601 are needed")
