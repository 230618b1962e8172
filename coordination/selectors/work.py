"""Reads of tasks: filtered lists, one task, its attempts, and how it ended."""

from __future__ import annotations

import time
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from ansf_platform.accounts.models import Tenant
from coordination.errors import NotFound
from coordination.ids import first_uuid7_at
from coordination.models import (
    TERMINAL,
    Attempt,
    Outcome,
    RunNode,
    Status,
    Swarm,
    Task,
    TaskDefinition,
)


def tasks(
    tenant: Tenant,
    *,
    status: str | None = None,
    swarm: str | None = None,
    definition: str | None = None,
    priority: int | None = None,
    run: UUID | None = None,
    key: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
) -> QuerySet[Task]:
    """A tenant's tasks, newest first, filtered."""
    found = Task.objects.filter(tenant=tenant).order_by("-id")
    if status is not None:
        found = found.filter(status=status)
    if swarm is not None:
        ids = list(Swarm.objects.filter(tenant=tenant, slug=swarm).values_list("pk", flat=True))
        found = found.filter(swarm_id__in=ids)
    if definition is not None:
        versions = TaskDefinition.objects.filter(tenant=tenant, name=definition)
        found = found.filter(definition_id__in=list(versions.values_list("pk", flat=True)))
    if priority is not None:
        found = found.filter(priority=priority)
    if run is not None:
        nodes = RunNode.objects.filter(run_id=run).values_list("task_id", flat=True)
        found = found.filter(id__in=nodes)
    if key is not None:
        found = found.filter(unique_key=key)
    # Identifiers are ordered by time of creation, so the key's own index serves.
    if created_after is not None:
        found = found.filter(id__gte=first_uuid7_at(created_after))
    if created_before is not None:
        found = found.filter(id__lt=first_uuid7_at(created_before))
    return found


def task(tenant: Tenant, task_id: UUID) -> Task:
    """One task. Raises :class:`NotFound`."""
    found = Task.objects.filter(tenant=tenant, id=task_id).first()
    if found is None:
        raise NotFound(f"no task has the id {task_id}")
    return found


def attempts_of(task: Task) -> QuerySet[Attempt]:
    """A task's attempts, oldest first."""
    return Attempt.objects.filter(task_id=task.id).order_by("fence")


def log_of(task: Task) -> str:
    """What the handler logged, over all attempts."""
    return "".join(attempts_of(task).values_list("log", flat=True))


def dead_letters(
    tenant: Tenant,
    *,
    definition: str | None = None,
    swarm: str | None = None,
    error_type: str | None = None,
    ended_after: datetime | None = None,
    ended_before: datetime | None = None,
) -> QuerySet[Task]:
    """Tasks that ended dead, newest first. Their `reason` is the last error's type."""
    found = tasks(tenant, status=Status.DEAD, definition=definition, swarm=swarm)
    if error_type is not None:
        found = found.filter(reason=error_type)
    if ended_after is not None:
        found = found.filter(finished_at__gte=ended_after)
    if ended_before is not None:
        found = found.filter(finished_at__lt=ended_before)
    return found


def recent_failures(tenant: Tenant, limit: int = 10) -> list[Attempt]:
    """The newest attempts that failed, timed out or were lost."""
    newest = Attempt.objects.order_by("-id")[:5_000]
    swarms = set(Swarm.objects.filter(tenant=tenant).values_list("pk", flat=True))
    bad = {Outcome.FAILED, Outcome.TIMED_OUT, Outcome.LOST}
    return [a for a in newest if a.outcome in bad and a.swarm_id in swarms][:limit]


def last_definition(tenant: Tenant, name: str, version: int | None = None) -> TaskDefinition:
    """The definition of that name, its latest version unless one is asked for.

    Raises :class:`NotFound`.
    """
    found = TaskDefinition.objects.filter(tenant=tenant, name=name)
    if version is not None:
        found = found.filter(version=version)
    latest = found.order_by("-version").first()
    if latest is None:
        label = name if version is None else f"{name} v{version}"
        raise NotFound(f"no task definition is called {label!r}")
    return latest


def wait_for(task_id: UUID, seconds: float) -> bool:
    """Wait until a task has ended, for so long at most; whether it has."""
    give_up = time.monotonic() + seconds
    pause = 0.005
    ended = Task.objects.filter(id=task_id, status__in=TERMINAL)
    while not ended.exists():
        left = give_up - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 0.25)
    return True
