"""What the threads of this process run, so that the beat can see one past its hard limit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from workers.limits import Clock, counting
from workers.outcomes import Policy


@dataclass(slots=True, eq=False)
class Running:
    """A member in execution."""

    task_id: UUID
    fence: int
    claim: UUID
    policy: Policy
    attempt: int
    hard_seconds: float
    clock: Clock = field(default_factory=Clock)
    fenced: bool = False
    """Ended from outside: its thread may go on, its result is void."""

    @property
    def overdue(self) -> bool:
        """Whether it is past its hard limit."""
        return self.clock.elapsed > self.hard_seconds


_lock = threading.Lock()
_running: set[Running] = set()


@contextmanager
def occupied(running: Running) -> Iterator[None]:
    """A thread is busy with `running` for the duration of the block."""
    with _lock:
        _running.add(running)
    try:
        with counting(running.clock):
            yield
    finally:
        with _lock:
            _running.discard(running)


def overdue() -> list[Running]:
    """Members past their hard limit that were not ended yet."""
    with _lock:
        return [item for item in _running if item.overdue and not item.fenced]


def stuck() -> int:
    """Threads that still run what was ended from outside."""
    with _lock:
        return sum(item.fenced for item in _running)


def stuck_claims() -> set[UUID]:
    """The claims of envelopes that such threads will not get on with."""
    with _lock:
        return {item.claim for item in _running if item.fenced}
