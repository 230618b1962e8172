"""What the page reads beside the selectors of coordination and healthchecks; the tenant first.

Nothing here looks at all tasks or all attempts: what runs is held by a small index, failures are
sought among the newest attempts only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ansf_platform.accounts.models import Tenant
from coordination import sql
from coordination.models import Attempt, Lane, Outcome, Status, Swarm, Task, TaskDefinition

ATTEMPTS_SEARCHED = 5_000  # newest attempts of the platform among which failures are sought
MESSAGE_LENGTH = 300  # characters of an error on the page; the task's page has all
BAD = (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.LOST)


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task that a worker holds now."""

    id: UUID
    definition: str
    swarm: str
    worker: str
    priority: int
    since: datetime | None
    """None: its envelope was claimed, its own turn has not come."""
    progress: float | None
    """0 to 1; None: the handler reports none."""
    note: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that failed, timed out or was lost with its worker."""

    task_id: UUID
    definition: str
    swarm: str
    outcome: str
    number: int
    at: datetime | None
    error_type: str
    error_message: str


def database_now() -> datetime:
    """The database's clock: the one that leases and beats are measured with."""
    seconds = sql.fetch("SELECT @epoch(@now) AS now")[0]["now"]
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def running_tasks(tenant: Tenant, limit: int = 12) -> list[RunningTask]:
    """What runs, longest first; members of an envelope that wait for their turn come last."""
    columns = ("definition__name", "swarm__slug", "worker__name", "priority", "started_at")
    found = Task.objects.filter(tenant=tenant, status=Status.RUNNING).order_by("started_at", "id")
    rows = [
        *found.filter(started_at__isnull=False).values("id", "fence", *columns)[:limit],
    ]
    if len(rows) < limit:
        waiting = found.filter(started_at__isnull=True).values("id", "fence", *columns)
        rows += waiting[: limit - len(rows)]
    told = _progress_of(rows)
    return [_running(row, told.get((row["id"], row["fence"]))) for row in rows]


def _progress_of(rows: list[Any]) -> dict[tuple[UUID, int], Attempt]:
    ids = [row["id"] for row in rows]
    found = Attempt.objects.filter(task_id__in=ids, outcome=Outcome.RUNNING)
    wanted = found.only("task_id", "fence", "progress", "note")
    return {(attempt.task_id, attempt.fence): attempt for attempt in wanted}


def _running(row: Any, attempt: Attempt | None) -> RunningTask:
    return RunningTask(
        row["id"],
        row["definition__name"],
        row["swarm__slug"],
        row["worker__name"] or "",
        row["priority"],
        row["started_at"],
        attempt.progress if attempt else None,
        attempt.note if attempt else "",
    )


def recent_failures(tenant: Tenant, limit: int = 10) -> list[Failure]:
    """The newest failures among the last attempts of the platform, without logs and tracebacks."""
    newest = Attempt.objects.order_by("-id").values_list("id", flat=True).first()
    if newest is None:
        return []
    # Materialised on purpose: a join would let the database walk all attempts of a quiet tenant.
    swarms = dict(Swarm.objects.filter(tenant=tenant).values_list("pk", "slug"))
    found = Attempt.objects.filter(
        id__gt=newest - ATTEMPTS_SEARCHED, outcome__in=BAD, swarm_id__in=list(swarms)
    )
    columns = ("task_id", "definition_id", "swarm_id", "outcome", "number", "ended_at",
               "error_type", "error_message")  # fmt: skip
    rows = list(found.order_by("-id").values(*columns)[:limit])
    names = TaskDefinition.objects.in_bulk({row["definition_id"] for row in rows})
    return [
        Failure(
            row["task_id"],
            names[row["definition_id"]].name if row["definition_id"] in names else "deleted",
            swarms[row["swarm_id"]],
            row["outcome"],
            row["number"],
            row["ended_at"],
            row["error_type"],
            row["error_message"][:MESSAGE_LENGTH],
        )
        for row in rows
    ]


def halted_lanes(tenant: Tenant, limit: int = 5) -> list[str]:
    """Keys of lanes that a dead task holds up."""
    found = Lane.objects.filter(tenant=tenant, halted=True)
    return list(found.order_by("key").values_list("key", flat=True)[:limit])


def busy_slots(tenant: Tenant) -> dict[int, int]:
    """Slots of agents in use by swarm: a slot holds one envelope, whatever its tasks."""
    rows = sql.fetch(
        """
        SELECT swarm_id, count(DISTINCT envelope) AS n FROM coordination_task
        WHERE status IN ('dispatched', 'running') AND tenant_id = %(tenant)s GROUP BY swarm_id
        """,
        {"tenant": tenant.pk},
    )
    return {row["swarm_id"]: row["n"] for row in rows}
