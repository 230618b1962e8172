"""Schedules: a due firing is a unique row, written with its task in one transaction.

Two coordinators, or one that crashed in between, cannot fire the same due time twice: the
second insert of (schedule, due time) changes nothing and submits nothing.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadCronError, CroniterBadDateError, croniter
from django.db.models import F

from coordination import rows, sql
from coordination.errors import CoordinationError, ItemError, Refused
from coordination.lifecycle.leading import leading
from coordination.models import TERMINAL, Firing, Schedule, Task
from coordination.requests import TaskRequest
from coordination.submission import Submission, submit_many

logger = logging.getLogger(__name__)

BATCH = 100  # schedules looked at in one pass
MOST_CAUGHT_UP = 100  # firings of one schedule in one pass, with catch-up "all"


def check(schedule: Schedule) -> list[ItemError]:
    """What is wrong with a schedule's timing."""
    errors = []
    if bool(schedule.cron) == (schedule.interval_seconds is not None):
        errors.append(ItemError(None, "/cron", "give either cron or interval_seconds"))
    elif schedule.cron and not croniter.is_valid(schedule.cron):
        errors.append(ItemError(None, "/cron", f"{schedule.cron!r} is no cron expression"))
    elif schedule.interval_seconds is not None and not 1 <= schedule.interval_seconds <= 1e8:  # noqa: PLR2004
        errors.append(ItemError(None, "/interval_seconds", "must be at least 1 and below 1e8"))
    try:
        ZoneInfo(schedule.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        errors.append(ItemError(None, "/timezone", f"{schedule.timezone!r} is no time zone"))
    return errors


def next_after(schedule: Schedule, moment: datetime) -> datetime | None:
    """The first due time after `moment`; None when there is none (cron of a day that never is)."""
    if schedule.interval_seconds is not None:
        return moment + timedelta(seconds=schedule.interval_seconds)
    try:
        return _cron_time(schedule, moment, "get_next")
    except (CroniterBadDateError, CroniterBadCronError):
        return None


def _cron_time(
    schedule: Schedule, moment: datetime, step: Literal["get_next", "get_prev"]
) -> datetime:
    """The nearest due time after or before `moment`.

    When the clock is set back an hour comes twice. A schedule for certain hours fires in the
    first of the two, one for every hour in both.
    """
    times = croniter(schedule.cron, moment.astimezone(ZoneInfo(schedule.timezone)))
    every_hour = times.expanded[1] == ["*"]
    found: datetime = getattr(times, step)(datetime)
    while found.fold and not every_hour:
        found = getattr(times, step)(datetime)
    return found.astimezone(UTC)  # a time that comes twice equals none of another zone


def arm(schedule: Schedule) -> None:
    """Set the next due time of a new, changed or re-enabled schedule."""
    schedule.next_at = next_after(schedule, rows.database_now()) if schedule.enabled else None
    Schedule.objects.filter(pk=schedule.pk).update(next_at=schedule.next_at)


def fire_due(term: int) -> int:
    """Fire what is due; how many tasks were submitted."""
    now = rows.database_now()
    due = Schedule.objects.filter(enabled=True, next_at__lte=now).select_related("tenant")
    return sum(_fire_or_disarm(schedule, now, term) for schedule in due.order_by("next_at")[:BATCH])


def _fire_or_disarm(schedule: Schedule, now: datetime, term: int) -> int:
    """Fire one; whoever's times can no longer be told is disarmed, and holds up no other."""
    try:
        return _fire_all(schedule, now, term)
    except (ArithmeticError, LookupError, ValueError) as error:
        logger.exception("schedule %s has no next time", schedule)
        with leading(term):
            Schedule.objects.filter(pk=schedule.pk, next_at=schedule.next_at).update(
                next_at=None, last_error=f"{type(error).__name__}: {error}"[:300]
            )
        return 0


def _fire_all(schedule: Schedule, now: datetime, term: int) -> int:
    due_times, following = _due_times(schedule, now)
    fired = 0
    for due_at in due_times:
        with leading(term):
            fired += _fire(schedule, due_at)
    with leading(term):
        # Only if nobody changed it meanwhile: an edit arms the schedule anew.
        Schedule.objects.filter(pk=schedule.pk, next_at=schedule.next_at).update(next_at=following)
    return fired


def _due_times(schedule: Schedule, now: datetime) -> tuple[list[datetime], datetime | None]:
    """The due times to fire for, by the catch-up policy, and the next one to wait for."""
    if schedule.catch_up != Schedule.CatchUp.ALL:
        latest = _latest_until(schedule, now)
        return _kept(schedule, latest, now), next_after(schedule, latest)
    missed: list[datetime] = []
    moment = schedule.next_at
    while moment is not None and moment <= now and len(missed) < MOST_CAUGHT_UP:
        missed.append(moment)
        moment = next_after(schedule, moment)
    return missed, moment


def _latest_until(schedule: Schedule, now: datetime) -> datetime:
    """The last due time up to now, found without walking through a long outage."""
    first = schedule.next_at or now
    if schedule.interval_seconds is not None:
        steps = int((now - first).total_seconds() // schedule.interval_seconds)
        return first + timedelta(seconds=steps * schedule.interval_seconds)
    return max(first, _cron_time(schedule, now + timedelta(microseconds=1), "get_prev"))


LATE_SECONDS = 60.0  # with catch-up "skip", a firing later than this is left out


def _kept(schedule: Schedule, due: datetime, now: datetime) -> list[datetime]:
    late = (now - due).total_seconds() > LATE_SECONDS
    return [] if late and schedule.catch_up == Schedule.CatchUp.SKIP else [due]


_CLAIM_FIRING = """
INSERT INTO coordination_firing (schedule_id, due_at, fired_at, skipped)
VALUES (%(schedule)s, %(due_at)s, @now, '')
ON CONFLICT (schedule_id, due_at) DO NOTHING RETURNING id
"""


def _fire(schedule: Schedule, due_at: datetime) -> int:
    """Write the firing and its task, or only why it was left out; tasks submitted (0 or 1)."""
    bound = {"schedule": schedule.pk, "due_at": rows.as_text(due_at)}
    claimed = sql.one(sql.fetch(_CLAIM_FIRING, bound))
    if claimed is None:
        return 0
    firing = Firing.objects.filter(pk=claimed["id"])
    if schedule.overlap == Schedule.Overlap.SKIP and _still_running(schedule):
        firing.update(skipped="the previous one still runs")
        return 0
    try:
        task_id = _submit(schedule).task_id
    except CoordinationError as error:
        logger.error("schedule %s cannot fire: %s", schedule, error)  # noqa: TRY400 - no crash
        firing.update(skipped="refused")
        Schedule.objects.filter(pk=schedule.pk).update(last_error=str(error)[:300])
        return 0
    firing.update(task_id=task_id)
    Schedule.objects.filter(pk=schedule.pk).exclude(last_error="").update(last_error="")
    return 1


def _still_running(schedule: Schedule) -> bool:
    last = schedule.firings.filter(task_id__isnull=False).order_by("-due_at").first()
    return (
        last is not None
        and last.task_id is not None
        and Task.objects.filter(id=last.task_id).exclude(status__in=TERMINAL).exists()
    )


def _submit(schedule: Schedule) -> Submission:
    request = TaskRequest(
        definition=schedule.definition_name,
        payload=schedule.payload,
        swarm=schedule.swarm.slug if schedule.swarm else None,
        priority=schedule.priority,
    )
    submission = submit_many([request], tenant=schedule.tenant).submissions[0]
    if submission is None:
        raise Refused("nothing was submitted")
    return submission


def run_now(schedule: Schedule) -> Submission:
    """Submit a schedule's task at once, outside its times. Raises :class:`Invalid`."""
    return _submit(schedule)


def set_enabled(schedule: Schedule, *, enabled: bool) -> None:
    """Switch a schedule on (from now on) or off."""
    Schedule.objects.filter(pk=schedule.pk).update(enabled=enabled, revision=F("revision") + 1)
    schedule.refresh_from_db()
    arm(schedule)
