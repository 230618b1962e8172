"""When each check is due: intervals with jitter, on a clock that only goes forward."""

from __future__ import annotations

import random
from collections.abc import Mapping

FIRST_WITHIN = 2.0  # seconds over which the first readings are spread
JITTER = 0.1  # of the interval, either way: checks of one interval must not march in step


class Timetable:
    """The due time of each check, by its id."""

    def __init__(self, dice: random.Random | None = None) -> None:
        self._dice = dice or random.Random()
        self._due: dict[int, float] = {}
        self._intervals: dict[int, float] = {}

    def follow(self, intervals: Mapping[int, float], now: float) -> None:
        """Take over which checks there are; one that is new or has another interval is due soon."""
        for key, interval in intervals.items():
            if self._intervals.get(key) != interval:
                self._due[key] = now + self._dice.uniform(0, min(interval, FIRST_WITHIN))
        self._intervals = dict(intervals)
        self._due = {key: due for key, due in self._due.items() if key in intervals}

    def take_due(self, now: float) -> list[int]:
        """The checks that are due, longest overdue first; each gets its next time.

        Times that were missed are left out, not caught up.
        """
        due = sorted((key for key, at in self._due.items() if at <= now), key=self._due.__getitem__)
        for key in due:
            interval = self._intervals[key]
            self._due[key] = now + interval * self._dice.uniform(1 - JITTER, 1 + JITTER)
        return due

    def again(self, key: int, now: float) -> None:
        """Make a check due at once, because it could not be started."""
        self._due[key] = now
