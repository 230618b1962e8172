"""The loop: read, gather, have judged, tell, until the input ends or somebody interrupts."""

from __future__ import annotations

import time
from dataclasses import dataclass

from workers.streaming.feed import LARGEST_READ, Feed, Interruption
from workers.streaming.here import Path
from workers.streaming.lines import BadLine, Lines, record
from workers.streaming.report import Report
from workers.streaming.sources import Sources

SMALLEST_BATCH, LARGEST_BATCH = 16, 8192
"""Samples."""
_BYTES = 64
"""Of a line, about: how much to read for so many samples."""
LOOK_EVERY_S = 0.01


@dataclass(slots=True)
class Pace:
    """How long samples gather, and how many are judged together."""

    target: float
    gather: float
    drop: bool = False
    steady: bool = False
    """Whether batches stay as large as they are: what a task costs does not shrink with it."""
    batch: int = 1024

    def settle(self, seconds: float) -> None:
        """The oldest sample of a batch waited so long: take fewer together, or more.

        A stream that is not slowed down is kept up with by leaving out instead.
        """
        if self.drop or self.steady:
            return
        if seconds > self.target / 2:
            self.batch = max(SMALLEST_BATCH, self.batch // 2)
        elif seconds < self.target / 5:
            self.batch = min(LARGEST_BATCH, 2 * self.batch)

    @property
    def size(self) -> int:
        """Bytes to read at once."""
        return min(LARGEST_READ, self.batch * _BYTES)


class Session:
    """One stream from its first byte to its last."""

    def __init__(
        self, feed: Feed, sources: Sources, path: Path, report: Report, pace: Pace
    ) -> None:
        self.feed = feed
        self.sources = sources
        self.path = path
        self.report = report
        self.pace = pace
        self.lines = Lines()
        self.ended = False

    def run(self, interruption: Interruption) -> None:
        """Go on until the input ends, or until a signal comes; then what is under way is left."""
        self.report.begin()
        while not interruption.number:
            if not self.ended and (self.path.room or self.pace.drop):
                self._read()
            self._offer()
            for judged in self.path.collect(0.0 if self._reads else LOOK_EVERY_S):
                self.report.judged(judged)
                self.pace.settle(time.monotonic() - judged.batch.oldest)
            self.report.tell_losses()
            if self.ended and not self.sources.waiting and self.path.idle:
                self._finish()
                return
        self.report.lost("abandoned", self.path.abandon())

    @property
    def _reads(self) -> bool:
        return not self.ended and (self.path.room or self.pace.drop)

    def _read(self) -> None:
        """Take what comes, until a batch is full or old enough."""
        until = time.monotonic() + self.pace.target / 8
        while not self.ended and self.sources.waiting < self.pace.batch:
            found = self.feed.read(self.pace.size, self._patience())
            if found is None:
                return
            self._take(*found)
            if time.monotonic() > until:
                return

    def _patience(self) -> float | None:
        """How long to wait for input: until the batch is due, or until tasks may have ended."""
        if self.sources.waiting:
            return max(0.0, self.sources.oldest + self.pace.gather - time.monotonic())
        return None if self.path.idle else LOOK_EVERY_S

    def _due(self) -> bool:
        age = time.monotonic() - self.sources.oldest
        return self.sources.waiting > 0 and (self.ended or age >= self.pace.gather)

    def _take(self, arrived: float, data: bytes) -> None:
        if not data:
            self.ended = True
            lines = self.lines.finish()
        else:
            lines = self.lines.split(data)
            late = time.monotonic() - arrived > self.pace.target / 2
            if self.pace.drop and (late or self.path.full):
                self._skip(sum(1 for _ in lines))
                return
        for number, line in lines:
            if line is not None and not line.strip():
                continue
            try:
                self.sources.add(record(line), arrived)
            except BadLine as error:
                self.report.bad(number, error)

    def _skip(self, count: int) -> None:
        """Leave out whole lines: no window and no formula may reach across the gap."""
        if self.sources.waiting:
            self._submit()
        self.sources.interrupt()
        self.report.lost("lines", count)
        self.report.tell_losses()

    def _offer(self) -> None:
        full = self.sources.waiting >= self.pace.batch
        if self.sources.waiting and (full or self._due()) and (self.path.room or self.pace.drop):
            self._submit()

    def _submit(self) -> None:
        begun = time.monotonic()
        batch = self.sources.cut()
        self.path.offer(batch, begun - batch.oldest)

    def _finish(self) -> None:
        """Decide what was open when the input ended."""
        for chunk in self.sources.rest():
            turns = [turn for watch in self.path.watchers.of(chunk) for turn in watch.finish(chunk)]
            self.report.final(chunk, turns)
