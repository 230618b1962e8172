"""Reads of checks with the state they are shown in; the tenant first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from ansf_platform.accounts.models import Tenant
from coordination.errors import NotFound
from healthchecks.models import Flip, HealthCheck, Reading
from healthchecks.monitor import State

PAUSED = "paused"
STALE = "stale"
SHOWN = (*(state.value for state in State), PAUSED, STALE)
MISSED = 3  # intervals without a reading after which the state is no longer believed
SLACK = timedelta(seconds=5)  # a restart of the watch is not news


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check as it is shown: the state of the last flip, unless paused or stale."""

    check: HealthCheck
    state: str
    since: datetime | None
    reading: Reading | None


def visible(tenant: Tenant | None) -> QuerySet[HealthCheck]:
    """The tenant's checks and the platform's; without a tenant all there are."""
    rows = HealthCheck.objects.select_related("tenant")
    if tenant is None:
        return rows
    return rows.filter(Q(tenant=tenant) | Q(tenant=None))


def check(tenant: Tenant | None, name: str) -> HealthCheck:
    """The check of that name: the tenant's own, else the platform's. Raises NotFound."""
    found = visible(tenant).filter(name=name).order_by("tenant_id")
    rows = sorted(found, key=lambda row: row.tenant_id is None)
    if not rows:
        raise NotFound(f"there is no check named {name}: `check list` shows those there are")
    return rows[0]


def views(rows: QuerySet[HealthCheck], now: datetime | None = None) -> list[CheckView]:
    """The checks with their states, in three queries whatever their number."""
    return views_of(with_last_ids(rows), now)


def views_of(rows: Iterable[HealthCheck], now: datetime | None = None) -> list[CheckView]:
    """The same for rows that `with_last_ids` has annotated."""
    now = now or timezone.now()
    checks: list[Any] = list(rows)
    flips = Flip.objects.in_bulk(_ids(checks, "last_flip_id"))
    readings = Reading.objects.in_bulk(_ids(checks, "last_reading_id"))
    return [
        view(row, flips.get(row.last_flip_id), readings.get(row.last_reading_id), now)
        for row in checks
    ]


def with_last_ids(rows: QuerySet[HealthCheck]) -> QuerySet[HealthCheck]:
    """Annotate the ids of the last flip and the last reading."""
    flips = Flip.objects.filter(health_check=OuterRef("pk")).values("pk")[:1]
    readings = Reading.objects.filter(health_check=OuterRef("pk")).values("pk")[:1]
    return rows.annotate(last_flip_id=Subquery(flips), last_reading_id=Subquery(readings))


def _ids(checks: Iterable[HealthCheck], name: str) -> list[int]:
    found = (getattr(row, name) for row in checks)
    return [pk for pk in found if pk is not None]


def view(row: HealthCheck, flip: Flip | None, reading: Reading | None, now: datetime) -> CheckView:
    """How a check with these last rows is shown at `now`."""
    state = flip.after if flip else State.UNKNOWN.value
    since = flip.at if flip else None
    if not row.enabled:
        state = PAUSED
    elif _is_stale(row, reading, now):
        state = STALE
    return CheckView(row, state, since, reading)


def _is_stale(row: HealthCheck, reading: Reading | None, now: datetime) -> bool:
    patience = timedelta(seconds=MISSED * row.interval_seconds + row.timeout_seconds) + SLACK
    last = max(row.counted_since, reading.at) if reading else row.counted_since
    return now - last > patience


def view_of(row: HealthCheck) -> CheckView:
    """One check as it is shown now."""
    return views(HealthCheck.objects.filter(pk=row.pk).select_related("tenant"))[0]
