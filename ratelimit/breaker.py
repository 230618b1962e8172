"""When to stop asking a server that does not answer, and who finds out that it is back.

`OPENED_BY` failures in a row open the breaker, or one failure to connect at all: from then on
nobody waits for Redis. A thread of its own, which only lives that long, tries again, at first
after some 10 ms, then each time after twice as long, in the end about once a second, with more
patience than any caller has.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

OPENED_BY = 3
PROBE_FIRST_S = 0.01
"""After three late replies the server is mostly well: an answer comes at once."""
PROBE_EVERY_S = 1.0
JITTER = 0.25  # of the interval, to either side: replicas must not come back in step


class Breaker:
    """Counts failures in a row; `open` says that nobody should ask."""

    def __init__(self, failures: int = OPENED_BY) -> None:
        self._most = failures
        self.failures = 0
        self.open = False
        self.opened_at: float | None = None
        """By `time.time()`, for whoever shows it."""

    def failed(self, error: BaseException, *, for_good: bool = False) -> bool:
        """Note a failure; True when this one opened it, at once if there is no connection."""
        self.failures = self._most if for_good else self.failures + 1
        if self.open or self.failures < self._most:
            return False
        self.open, self.opened_at = True, time.time()
        logger.warning("limits are decided without Redis until it answers again: %s", error)
        return True

    def succeeded(self) -> None:
        """Note an answer."""
        if self.failures:
            self.failures = 0
        if self.open:
            self.open, self.opened_at = False, None
            logger.warning("Redis answers again: limits are exact across processes")


class Prober:
    """The thread that asks while the breaker is open. `revive` answers whether Redis is back."""

    def __init__(self, revive: Callable[[], bool], every_s: float = PROBE_EVERY_S) -> None:
        self._revive = weakref.WeakMethod(revive)  # a forgotten limiter ends its thread
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = 0

    def ensure(self) -> None:
        """Start the thread unless it runs in this very process."""
        if self._thread is not None and self._thread.is_alive() and self._pid == os.getpid():
            return
        self._pid, self._stop = os.getpid(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="limiter-probe", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; at once, unless it is just asking."""
        self._stop.set()

    def _run(self) -> None:
        stop = self._stop
        for wait_s in waits(self._every_s):
            if stop.wait(wait_s) or self._is_done():
                return

    def _is_done(self) -> bool:
        revive = self._revive()
        try:
            return revive is None or revive()
        except Exception:  # whatever it was, nobody else would ask
            logger.exception("looking for Redis failed; it is looked for again")
            return False


def waits(every_s: float) -> Iterator[float]:
    """How long to wait before each attempt, without end."""
    wait_s = min(PROBE_FIRST_S, every_s)
    while True:
        yield wait_s * random.uniform(1 - JITTER, 1 + JITTER)
        wait_s = min(2 * wait_s, every_s)
