"""Statuses, outcomes, and the moves between statuses as data."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


class Status(models.TextChoices):
    """Where a task stands. There is no ``failed``: that is an attempt's outcome."""

    SCHEDULED = "scheduled"
    BLOCKED = "blocked"
    READY = "ready"
    DISPATCHED = "dispatched"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Outcome(models.TextChoices):
    """How an attempt ended (``running`` while its log is already being kept)."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRIED = "retried"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"


TERMINAL = frozenset({Status.SUCCEEDED, Status.DEAD, Status.CANCELLED, Status.EXPIRED})
WAITING = frozenset({Status.SCHEDULED, Status.BLOCKED, Status.READY})
IN_FLIGHT = frozenset({Status.DISPATCHED, Status.RUNNING})

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.SCHEDULED: frozenset({Status.READY, Status.CANCELLED, Status.EXPIRED}),
    Status.BLOCKED: frozenset({Status.READY, Status.SCHEDULED, Status.CANCELLED, Status.EXPIRED}),
    Status.READY: frozenset({Status.DISPATCHED, Status.CANCELLED, Status.EXPIRED}),
    Status.DISPATCHED: frozenset({Status.RUNNING, Status.READY, Status.CANCELLED, Status.EXPIRED}),
    Status.RUNNING: frozenset(
        {
            Status.SUCCEEDED,
            Status.SCHEDULED,  # a retry, after its backoff
            Status.READY,  # given back or taken back, uncharged
            Status.DEAD,
            Status.CANCELLED,
            Status.EXPIRED,
        }
    ),
    # Ended tasks come back only by an operator's replay.
    Status.DEAD: frozenset({Status.READY, Status.BLOCKED}),
    Status.CANCELLED: frozenset({Status.READY, Status.BLOCKED}),
    Status.EXPIRED: frozenset({Status.READY, Status.BLOCKED}),
    Status.SUCCEEDED: frozenset(),
}

PRIORITY_RANGE = [MinValueValidator(0), MaxValueValidator(9)]


class Pool(models.TextChoices):
    """The class of worker processes that runs a definition."""

    CPU = "cpu"
    IO = "io"
