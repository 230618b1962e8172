"""The fast path: everything in this process, batch after batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from workers.streaming.plan import Plan, Stage, Watched
from workers.streaming.shedding import Shedder
from workers.streaming.sources import Batch, Chunk
from workers.streaming.watching import Turn, Watchers
from workers.streaming.windows import Found, Judge

WARM = 32
"""Windows that are judged before the first sample comes."""


@dataclass(slots=True)
class Judged:
    """A batch with what was found: for each of its chunks the windows', and the formulas' turns."""

    batch: Batch
    found: list[list[Found]]
    turns: list[list[Turn]]
    failed: str = ""
    """Why the windows could not be judged, if so."""


class Path(Protocol):
    """A way to have batches judged; they come back in the order in which they were offered."""

    watchers: Watchers

    @property
    def room(self) -> bool:
        """Whether another batch can be offered now."""

    @property
    def full(self) -> bool:
        """Whether so much waits behind what is under way that no more can be offered at all."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""

    def offer(self, batch: Batch, spent: float) -> None:
        """Have a batch judged; `spent` seconds have gone into it already."""

    def collect(self, seconds: float) -> list[Judged]:
        """What was judged; waits so long at most when nothing was yet."""

    def abandon(self) -> int:
        """Give up what is under way; how many windows that were."""


class Here:
    """Judges in this process."""

    def __init__(self, plan: Plan, judge: Judge, watched: Sequence[Watched]) -> None:
        self.plan = plan
        self.judge = judge
        self.watchers = Watchers(watched)
        self.shedder: Shedder | None = None
        self._done: list[Judged] = []

    @property
    def room(self) -> bool:
        return True

    @property
    def full(self) -> bool:
        return False

    @property
    def idle(self) -> bool:
        return not self._done

    def offer(self, batch: Batch, spent: float) -> None:
        windows = [window for chunk in batch.chunks for window in chunk.cut(self.plan.length)]
        found = self._judge(windows, spent) if windows else []
        turns = [
            [turn for watch in self.watchers.of(chunk) for turn in watch.update(chunk)]
            for chunk in batch.chunks
        ]
        self._done.append(Judged(batch, by_chunk(batch.chunks, found), turns))

    def collect(self, seconds: float) -> list[Judged]:
        done, self._done = self._done, []
        return done

    def abandon(self) -> int:
        return 0

    def warm(self) -> None:
        """Have everything compiled and loaded before the first sample comes."""
        wave = np.sin(np.arange(self.plan.length) * 0.7)
        if self.plan.stages:
            self.judge.judge([wave])
            self._judge([wave] * WARM, 0.0)  # tells what a window costs
        for watched in self.watchers.watched:
            watched.monitor().update(dict.fromkeys(watched.names or ("",), wave))

    def _judge(self, windows: Sequence[np.ndarray], spent: float) -> list[Found]:
        without: Mapping[Stage, Collection[int]] = {}
        if self.shedder is not None:
            without = self.shedder.leave_out(len(windows), self.plan.stages, spent)
        before = dict(self.judge.seconds)
        found = self.judge.judge(windows, without)
        if self.shedder is not None:
            for stage in self.plan.stages:
                count = len(windows) - len(without.get(stage, ()))
                self.shedder.learn(stage, count, self.judge.seconds[stage] - before[stage])
        return found


def by_chunk(chunks: Sequence[Chunk], found: Sequence[Found]) -> list[list[Found]]:
    """What belongs to each chunk of what was found in all their windows."""
    rest = iter(found)
    return [[next(rest) for _ in chunk.starts] for chunk in chunks]
