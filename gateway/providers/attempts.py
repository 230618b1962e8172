"""When a failed call is tried again: rarely, later each time, never sooner than asked. No clock."""

from __future__ import annotations

import random
from dataclasses import dataclass

from gateway.errors import KeyMissing, ProviderFailed, ProviderLimited, ProviderRefused, Unavailable

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 8.0
FINAL = (KeyMissing, ProviderRefused, Unavailable)


@dataclass(slots=True)
class Attempts:
    """Those of one call; times are of one monotonic clock, given by the caller."""

    retries: int
    patience: float
    began: float
    failed: int = 0

    def left(self, now: float) -> float:
        """Seconds that remain for the call; at least 0."""
        return max(0.0, self.began + self.patience - now)

    def pause_after(self, error: ProviderFailed, now: float) -> float:
        """Seconds to wait before the next attempt. Raises `error` when there is none."""
        self.failed += 1
        hopeless = isinstance(error, FINAL) or (
            isinstance(error, ProviderLimited) and error.code == "insufficient_quota"
        )
        if hopeless or self.failed > self.retries:
            raise error
        backoff = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (self.failed - 1))
        pause = max(error.retry_after or 0.0, backoff * random.uniform(0.5, 1.0))
        if pause >= self.left(now):
            raise error
        return pause
