"""The life of a task as steps for people, told from rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from coordination.models import TERMINAL, Attempt, Status, Task
from coordination.selectors.work import attempts_of


@dataclass(frozen=True, slots=True)
class Event:
    """A step in the life of a task."""

    at: datetime
    what: str
    detail: str = ""


def timeline_of(task: Task) -> list[Event]:
    """The steps of a task's life, oldest first, from its own timestamps and its attempts'.

    The last step is last whatever the clocks say: an attempt's row is written by another
    statement than its task's, so their times may differ by a millisecond either way.
    """
    return sorted(_past(task), key=_when) + sorted(_present(task), key=_when)


def _when(event: Event) -> datetime:
    return event.at


def _past(task: Task) -> Iterator[Event]:
    yield Event(task.created_at, "submitted", f"priority {task.priority}")
    if task.not_before and task.attempt == 0:
        yield Event(task.not_before, "due")
    for attempt in attempts_of(task):
        yield from _steps_of(attempt)
    if task.status in TERMINAL:
        if task.ready_at:
            yield Event(task.ready_at, "ready")
        if task.cancel_requested_at:
            yield Event(task.cancel_requested_at, "cancel requested")


def _steps_of(attempt: Attempt) -> Iterator[Event]:
    label = f"attempt {attempt.number}"
    if attempt.started_at:
        yield Event(attempt.started_at, "started", label)
    if attempt.ended_at:
        reason = f": {attempt.error_type} {attempt.error_message}" if attempt.error_type else ""
        yield Event(attempt.ended_at, attempt.outcome, f"{label}{reason}"[:300])


def _present(task: Task) -> Iterator[Event]:
    """What the status stands on: how the task ended, or how far it has come this time."""
    if task.status in TERMINAL:
        if task.finished_at:
            yield Event(task.finished_at, task.status, task.reason)
        return
    in_flight = task.status in {Status.DISPATCHED, Status.RUNNING}
    if task.ready_at and (in_flight or task.status == Status.READY):
        yield Event(task.ready_at, "ready", "" if in_flight else task.reason)
    if task.dispatched_at and in_flight:
        yield Event(task.dispatched_at, "dispatched", f"fence {task.fence}")
    if task.claimed_at and task.status == Status.RUNNING:
        yield Event(task.claimed_at, "claimed", f"worker {task.worker_id}")
    if task.cancel_requested_at:
        yield Event(task.cancel_requested_at, "cancel requested")
