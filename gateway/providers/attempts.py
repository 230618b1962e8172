"""When a failed call is tried again: rarely, later each time, never sooner than asked."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from gateway.errors import KeyMissing, ProviderFailed, ProviderLimited, ProviderRefused, Unavailable

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 8.0
LONGEST_WAIT_S = 20.0
"""A provider that asks for more is not waited for: the caller is told when to come back."""
FINAL = (KeyMissing, ProviderRefused, Unavailable)


@dataclass(slots=True)
class Attempts:
    """Those of one call; `until` is on this process's monotonic clock."""

    retries: int
    until: float
    failed: int = 0

    def pause_after(self, error: ProviderFailed) -> float:
        """Seconds to wait before the next attempt. Raises `error` when there is none."""
        self.failed += 1
        spent = isinstance(error, ProviderLimited) and error.code == "insufficient_quota"
        hopeless = isinstance(error, FINAL) or spent or error.begun
        if hopeless or self.failed > self.retries:
            raise error
        backoff = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (self.failed - 1))
        pause = max(error.retry_after or 0.0, backoff * random.uniform(0.5, 1.0))
        if pause > LONGEST_WAIT_S or time.monotonic() + pause >= self.until:
            raise error
        return pause
