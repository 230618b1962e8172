"""Readings and flips become rows here, and old ones go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from healthchecks.models import LONGEST_RUN, MESSAGE_LENGTH, Flip, HealthCheck, Reading
from healthchecks.monitor import State, step
from healthchecks.probes.measurement import Measurement

KEEP_READINGS = timedelta(days=7)
KEEP_FLIPS = timedelta(days=365)
READINGS_PER_CHECK = 20_000
PRUNE_BATCH = 500  # rows of one delete: SQLite is locked for everybody meanwhile


@dataclass(frozen=True, slots=True)
class Measured:
    """A measurement with the check it belongs to and when and how long it was taken."""

    check_id: int
    revision: int
    at: datetime
    measurement: Measurement
    duration_ms: float


def record(measured: Measured) -> Flip | None:
    """Write a reading, and a flip when it changes the state; both or nothing.

    The check's row is locked, so readings of one check are judged one after another. What was
    measured for a deleted or since edited check is dropped.
    """
    with transaction.atomic():
        rows = HealthCheck.objects.select_for_update().filter(pk=measured.check_id)
        check = rows.filter(revision=measured.revision).first()
        if check is None:
            return None
        reading = _write_reading(check, measured)
        turn = step(state_of(check), _recent_states(check), check.rise, check.fall)
        if turn is None:
            return None
        reason = f"{turn.reason}: {reading.message}"[:MESSAGE_LENGTH]
        return Flip.objects.create(
            health_check=check, at=reading.at, before=turn.before, after=turn.after, reason=reason
        )


def forget(check: HealthCheck, reason: str) -> None:
    """Make readings count anew: from now on the state is unknown. The caller saves the row."""
    check.counted_since = timezone.now()
    state = state_of(check)
    if state is not State.UNKNOWN:
        Flip.objects.create(
            health_check=check,
            at=check.counted_since,
            before=state,
            after=State.UNKNOWN,
            reason=reason,
        )


def _write_reading(check: HealthCheck, measured: Measured) -> Reading:
    found = measured.measurement
    return Reading.objects.create(
        health_check=check,
        at=measured.at,
        state=found.state,
        value=found.value,
        unit=found.unit,
        message=found.message.replace("\x00", "")[:MESSAGE_LENGTH],
        duration_ms=round(measured.duration_ms, 3),
    )


def state_of(check: HealthCheck) -> State:
    """The state that the last flip left."""
    last = Flip.objects.filter(health_check=check).first()
    return State(last.after) if last else State.UNKNOWN


def _recent_states(check: HealthCheck) -> list[State]:
    """The last readings that can matter, oldest first."""
    rows = Reading.objects.filter(health_check=check, at__gte=check.counted_since)
    newest = rows.values_list("state", flat=True)[: max(check.rise, check.fall)]
    return [State(state) for state in reversed(newest)]


def prune(now: datetime | None = None) -> int:
    """Delete readings beyond age or number, and old flips; returns how many rows went.

    The last readings and the last flip of each check stay whatever their age: the state is
    derived from them.
    """
    now = now or timezone.now()
    return sum(_prune_check(pk, now) for pk in HealthCheck.objects.values_list("pk", flat=True))


def _prune_check(check_id: int, now: datetime) -> int:
    readings = Reading.objects.filter(health_check=check_id)
    flips = Flip.objects.filter(health_check=check_id)
    aged = _beyond(readings, LONGEST_RUN).filter(at__lt=now - KEEP_READINGS)
    surplus = _beyond(readings, READINGS_PER_CHECK)
    old_flips = _beyond(flips, 1).filter(at__lt=now - KEEP_FLIPS)
    return _delete(aged) + _delete(surplus) + _delete(old_flips)


def _beyond(rows: QuerySet[Any], kept: int) -> QuerySet[Any]:
    """The rows older than the newest `kept`."""
    first = list(rows.values_list("pk", flat=True)[kept : kept + 1])
    return rows.filter(pk__lte=first[0]) if first else rows.none()


def _delete(rows: QuerySet[Any]) -> int:
    """Delete in batches, each its own short transaction."""
    gone = 0
    while batch := list(rows.values_list("pk", flat=True)[:PRUNE_BATCH]):
        rows.filter(pk__in=batch).delete()
        gone += len(batch)
    return gone
