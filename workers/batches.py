"""What an envelope consists of while it is worked off: members to begin, results to record.

Both are shared by the thread that runs the members and the one that looks after stragglers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from coordination import lifecycle
from coordination.lifecycle import Claimed, Finished
from workers.patience import FINISH_PATIENCE_SECONDS, persist

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.1  # a result waits no longer for its neighbours


class Members:
    """The members of an envelope, begun one by one until the rest is cut off."""

    def __init__(self, members: Sequence[Claimed]) -> None:
        self._lock = threading.Lock()
        self._members = list(members)
        self._begun = 0

    def next(self) -> Claimed | None:
        """The next one to begin."""
        with self._lock:
            if self._begun == len(self._members):
                return None
            self._begun += 1
            return self._members[self._begun - 1]

    def cut(self) -> list[tuple[UUID, int]]:
        """Take away what was not begun: (task, fence) pairs."""
        with self._lock:
            left = self._members[self._begun :]
            del self._members[self._begun :]
        return [(task.id, task.fence) for task in left]


@dataclass(slots=True)
class Batch:
    """Results on their way into rows."""

    claim: UUID
    _kept: list[Finished] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, result: Finished | None) -> None:
        """Keep a result; flush when the oldest has waited long enough."""
        now = time.monotonic()
        with self._lock:
            if result is not None:
                self._kept.append(result)
            late = bool(self._kept) and now - self._kept[0].as_of >= FLUSH_SECONDS
        if late:
            self.flush()

    def flush(self) -> None:
        """Record everything kept."""
        with self._lock:
            kept, self._kept = self._kept, []
        if not kept:
            return
        try:
            report = persist(lambda: lifecycle.finish(self.claim, kept), FINISH_PATIENCE_SECONDS)
        except BaseException:
            with self._lock:
                self._kept = kept + self._kept
            raise
        if report.fenced:
            logger.warning("%s results came too late and were fenced", len(report.fenced))
