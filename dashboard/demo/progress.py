"""How far a run is: a live bar on a terminal, a line every second or so in a pipe."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ansf_platform.screen import Screen

_LINE_EVERY_S = 1.0
_RATE_OVER_S = 2.0


class RunProgress:
    """Tasks done of a total, with the rate of the last two seconds; on stderr."""

    def __init__(self, screen: Screen, total: int) -> None:
        self._screen, self._total = screen, total
        self._live = screen.err.is_terminal
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:>5.0f} tasks/s  {task.fields[running]:>2} running "),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=screen.err, disable=not self._live)
        self._task = self._bar.add_task("run", total=total, rate=0.0, running=0)
        self._seen: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._next_line = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, done: int, running: int) -> None:
        """Tell how many tasks are done and how many run just now."""
        now = time.monotonic()
        rate = self._rate(now, done)
        self._bar.update(self._task, completed=done, rate=rate, running=running)
        if not self._live and (now >= self._next_line or done == self._total):
            self._next_line = now + _LINE_EVERY_S
            self._screen.note(
                f"  {done}/{self._total} tasks  {rate:.0f} tasks/s  {running} running"
            )

    def _rate(self, now: float, done: int) -> float:
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > _RATE_OVER_S:  # noqa: PLR2004 - ends
            self._seen.popleft()
        (since, before), (until, after) = self._seen[0], self._seen[-1]
        return (after - before) / (until - since) if until > since else 0.0
