"""When to try again: capped exponential backoff with full jitter.

Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

_MAX_DOUBLINGS = 32  # beyond it every cap has long been reached
LONGEST_SECONDS = 366 * 86_400.0  # no database counts further than its calendar goes


@dataclass(frozen=True, slots=True)
class Backoff:
    """The longest wait doubles with each attempt, up to a cap; the wait is a share of it."""

    seconds: float
    cap_seconds: float

    def delay(self, attempts: int, share: float) -> float:
        """Seconds to wait after `attempts` attempts; `share` is uniform in [0, 1)."""
        longest = self.seconds * 2.0 ** min(max(attempts, 1) - 1, _MAX_DOUBLINGS)
        return share * min(longest, self.cap_seconds, LONGEST_SECONDS)
