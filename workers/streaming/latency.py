"""Percentiles of any number of latencies in bounded memory, exact to two per cent."""

from __future__ import annotations

import math

_FINEST = 1e-6
_STEP = 1.02
_BUCKETS = 1100
"""From a microsecond to some 48 minutes."""


class Latencies:
    """How often each latency occurred."""

    def __init__(self) -> None:
        self.count = 0
        self._counts = [0] * _BUCKETS

    def add(self, seconds: float, count: int = 1) -> None:
        """`count` samples had to wait so long."""
        place = math.ceil(math.log(max(seconds, _FINEST) / _FINEST, _STEP))
        self._counts[min(place, _BUCKETS - 1)] += count
        self.count += count

    def percentile(self, share: float) -> float | None:
        """Seconds that `share` of the samples did not exceed, rounded up; None of no samples."""
        wanted, seen = share * self.count, 0
        for place, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return float(_FINEST * _STEP**place)
        return None
