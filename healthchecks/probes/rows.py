"""Probes that read coordination's rows: what waits, who works, who leads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import F, Min, QuerySet
from django.db.models.functions import Now

from coordination.models import Lease, Pool, Status, Task, WorkerNode
from healthchecks.monitor import State
from healthchecks.probes.measurement import (
    Measurement,
    Probe,
    Run,
    Subject,
    TargetInvalid,
    above,
    settings_of,
    threshold,
)

COORDINATOR_LEASE = "coordinator"
WATCH_LEASE = "watch"

DEPTH_PARAMS: Mapping[str, Any] = {
    "degraded": threshold(100_000, "Degraded when more tasks are ready."),
    "failed": threshold(1_000_000, "Failed when more tasks are ready."),
}
AGE_PARAMS: Mapping[str, Any] = {
    "degraded_seconds": threshold(300, "Degraded when a task has been ready for longer."),
    "failed_seconds": threshold(3600, "Failed when a task has been ready for longer."),
}
WORKER_PARAMS: Mapping[str, Any] = {
    "at_least": {
        "type": "integer",
        "minimum": 1,
        "maximum": 10_000,
        "default": 1,
        "description": "Failed when fewer workers are alive.",
    },
}


def _validate_pool(target: str) -> None:
    if target and target not in Pool.values:
        raise TargetInvalid("use cpu or io, or leave it empty for both")


def _ready(check: Subject) -> QuerySet[Task]:
    """The ready tasks that this check is about; the partial index `task_ready` covers them.

    The overview's counts stop at a bound; thresholds may lie above it, so this asks the rows.
    """
    rows = Task.objects.filter(status=Status.READY).order_by()
    if check.tenant is not None:
        rows = rows.filter(tenant=check.tenant)
    return rows.filter(pool=check.target) if check.target else rows


def measure_depth(check: Subject, _now: datetime) -> Measurement:
    """How many tasks are ready and wait for a worker; counted no further than the limits ask."""
    limits = settings_of(check, DEPTH_PARAMS)
    bound = int(max(limits["degraded"], limits["failed"])) + 1
    ready = _ready(check)[:bound].count()
    return Measurement(
        above(ready, limits["degraded"], limits["failed"]),
        f"{ready:,}{' or more' if ready == bound else ''} tasks ready",
        ready,
        "tasks",
        "start more workers, or look whether limits or paused swarms hold them",
    )


def measure_age(check: Subject, _now: datetime) -> Measurement:
    """How long the oldest ready task has been waiting, by the database's clock."""
    found = _ready(check).aggregate(waited=Now() - Min("ready_at"))["waited"]
    oldest = max(found.total_seconds(), 0.0) if found is not None else 0.0
    limits = settings_of(check, AGE_PARAMS)
    return Measurement(
        above(oldest, limits["degraded_seconds"], limits["failed_seconds"]),
        "no task waits" if found is None else f"the oldest ready task waits for {oldest:.0f} s",
        oldest,
        "s",
        "start more workers, or look whether limits or paused swarms hold it",
    )


def measure_workers(check: Subject, _now: datetime) -> Measurement:
    """How many workers of the pool hold a lease, by the database's clock."""
    alive = WorkerNode.objects.filter(stopped_at=None, lease_expires_at__gt=Now())
    wanted = int(settings_of(check, WORKER_PARAMS)["at_least"])
    pools = [check.target] if check.target else list(Pool.values)
    counts = {pool: alive.filter(pool=pool).count() for pool in pools}
    few = [pool for pool, count in counts.items() if count < wanted]
    state = State.FAILED if few else State.OK
    message = ", ".join(f"{count} {pool} workers alive" for pool, count in counts.items())
    fix = f"start one: manage.py worker --pool {few[0]}" if few else ""
    return Measurement(state, message, float(min(counts.values())), "workers", fix)


def lease_probe(name: str, command: str) -> Run:
    """A probe that asks whether somebody holds the lease `name` now."""

    def measure(_check: Subject, _now: datetime) -> Measurement:
        leases = Lease.objects.filter(name=name).annotate(left=F("expires_at") - Now())
        lease = leases.first()
        fix = f"start one: manage.py {command}"
        if lease is None:
            return Measurement(State.FAILED, "nobody has ever led", fix=fix)
        left = lease.left.total_seconds()
        if left <= 0:
            message = f"nobody leads: the lease of {lease.holder} ended {-left:.0f} s ago"
            return Measurement(State.FAILED, message, left, "s", fix)
        return Measurement(State.OK, f"{lease.holder} leads, term {lease.term}", left, "s")

    return measure


def _lease(name: str, command: str, about: str) -> Probe:
    return Probe(lease_probe(name, command), about, needs_database=True)


def _tenants_too(run: Run, about: str, params: Mapping[str, Any]) -> Probe:
    return Probe(run, about, params, _validate_pool, for_tenants=True, needs_database=True)


QUEUE_DEPTH = _tenants_too(measure_depth, "tasks that are ready and wait", DEPTH_PARAMS)
OLDEST_AGE = _tenants_too(measure_age, "how long the oldest ready task waits", AGE_PARAMS)
WORKER_LEASES = Probe(
    measure_workers, "workers are alive", WORKER_PARAMS, _validate_pool, needs_database=True
)
COORDINATOR = _lease(COORDINATOR_LEASE, "coordinate", "a coordinator leads")
WATCH = _lease(WATCH_LEASE, "watch", "a watch leads")
