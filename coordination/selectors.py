"""Reads. The tenant comes first: what belongs to another one does not exist.

Nothing here counts all tasks: counting is bounded, or by an index that only holds what waits
or runs.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from ansf_platform.accounts.models import Tenant
from coordination import sql
from coordination.bodies import payload_of, result_of
from coordination.counters import totals as counters
from coordination.errors import NotFound
from coordination.ids import first_uuid7_at
from coordination.models import (
    TERMINAL,
    Attempt,
    Edge,
    Lease,
    Outcome,
    Run,
    RunNode,
    Status,
    Swarm,
    Task,
    TaskDefinition,
    WorkerNode,
)

__all__ = [
    "Event", "NodeState", "QueueDepth", "RunState", "SwarmOverview", "WorkerView", "attempts_of",
    "counters", "dead_letters", "last_definition", "leases", "live_workers", "log_of",
    "payload_of", "queue_depths", "result_of", "run", "run_state", "swarm_overview", "task",
    "tasks", "timeline_of", "wait_for",
]  # fmt: skip


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


@dataclass(frozen=True, slots=True)
class Event:
    """A step in the life of a task."""

    at: datetime
    what: str
    detail: str = ""


def timeline_of(task: Task) -> list[Event]:
    """The steps of a task's life, from its own timestamps and its attempts'."""
    events = [Event(task.created_at, "submitted", f"priority {task.priority}")]
    if task.not_before and task.attempt == 0:
        events.append(Event(task.not_before, "due"))
    for attempt in attempts_of(task):
        label = f"attempt {attempt.number}"
        if attempt.started_at:
            events.append(Event(attempt.started_at, "started", label))
        if attempt.ended_at:
            reason = f": {attempt.error_type} {attempt.error_message}" if attempt.error_type else ""
            events.append(Event(attempt.ended_at, attempt.outcome, f"{label}{reason}"[:300]))
    in_flight = task.status in {Status.DISPATCHED, Status.RUNNING}
    if task.ready_at and task.status not in {Status.SCHEDULED, Status.BLOCKED}:
        events.append(Event(task.ready_at, "ready", task.reason if not in_flight else ""))
    if task.dispatched_at and in_flight:
        events.append(Event(task.dispatched_at, "dispatched", f"fence {task.fence}"))
    if task.status == Status.RUNNING and task.claimed_at:
        events.append(Event(task.claimed_at, "claimed", f"worker {task.worker_id}"))
    if task.cancel_requested_at:
        events.append(Event(task.cancel_requested_at, "cancel requested"))
    if task.finished_at:
        events.append(Event(task.finished_at, task.status, task.reason))
    return sorted(events, key=lambda event: event.at)


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


def run(tenant: Tenant, run_id: UUID) -> Run:
    """One run. Raises :class:`NotFound`."""
    found = Run.objects.filter(tenant=tenant, id=run_id).first()
    if found is None:
        raise NotFound(f"no run has the id {run_id}")
    return found


@dataclass(frozen=True, slots=True)
class NodeState:
    """Where one node of a run stands."""

    name: str
    group: str
    task_id: UUID
    status: str
    waiting_on: int
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands, derived from its tasks."""

    status: str
    counts: dict[str, int]
    nodes: list[NodeState]
    started_at: datetime | None
    finished_at: datetime | None


def run_state(run: Run) -> RunState:
    """The state of every node, and of the run: running, succeeded, failed or cancelled."""
    nodes = list(RunNode.objects.filter(run=run).order_by("position"))
    columns = ("id", "status", "waiting_on", "started_at", "finished_at")
    by_id = {t.id: t for t in Task.objects.filter(id__in=[n.task_id for n in nodes]).only(*columns)}
    names = {node.task_id: node.name for node in nodes}
    parents: dict[UUID, list[str]] = defaultdict(list)
    for edge in Edge.objects.filter(child_id__in=list(names)).order_by("id"):
        parents[edge.child_id].append(names[edge.parent_id])
    known = [by_id[node.task_id] for node in nodes if node.task_id in by_id]
    counts = Counter(str(found.status) for found in known)
    ended = all(found.status in TERMINAL for found in known)
    finishes = [found.finished_at for found in known if found.finished_at]
    return RunState(
        _run_status(counts, ended=ended),
        dict(counts),
        [
            NodeState(
                node.name,
                node.group,
                node.task_id,
                str(by_id[node.task_id].status) if node.task_id in by_id else "pruned",
                by_id[node.task_id].waiting_on if node.task_id in by_id else 0,
                tuple(parents[node.task_id]),
            )
            for node in nodes
        ],
        min((found.started_at for found in known if found.started_at), default=None),
        max(finishes, default=None) if ended else None,
    )


def _run_status(counts: Counter[str], *, ended: bool) -> str:
    if not ended:
        return "running"
    if counts[Status.DEAD] or counts[Status.EXPIRED]:
        return "failed"
    return "cancelled" if counts[Status.CANCELLED] else "succeeded"


@dataclass(frozen=True, slots=True)
class SwarmOverview:
    """A swarm at a glance; counts of what waits are exact up to a bound."""

    swarm: Swarm
    agents: int
    slots: int
    waiting: int
    in_flight: int
    running: int
    succeeded_1m: int
    dead: int


COUNT_BOUND = 100_000  # beyond it a count says "at least"

_WAITING = """
SELECT swarm_id, count(*) AS n FROM (
    SELECT swarm_id FROM coordination_task WHERE status = 'ready' AND tenant_id = %(tenant)s
    LIMIT %(bound)s) AS waiting GROUP BY swarm_id
"""
_IN_FLIGHT = """
SELECT swarm_id, status, count(*) AS n FROM coordination_task
WHERE status IN ('dispatched', 'running') AND tenant_id = %(tenant)s GROUP BY swarm_id, status
"""
_DEAD = """
SELECT swarm_id, count(*) AS n FROM (
    SELECT swarm_id FROM coordination_task WHERE status = 'dead' AND tenant_id = %(tenant)s
    LIMIT %(bound)s) AS dead GROUP BY swarm_id
"""
_RECENT = """
SELECT swarm_id, count(*) AS n FROM (
    SELECT swarm_id, outcome, ended_at FROM coordination_attempt
    ORDER BY id DESC LIMIT %(bound)s) AS recent
WHERE outcome = 'succeeded' AND ended_at > @after(-60) GROUP BY swarm_id
"""


def swarm_overview(tenant: Tenant) -> list[SwarmOverview]:
    """Every swarm of a tenant with what waits, runs and ended lately."""
    bound = {"tenant": tenant.pk, "bound": COUNT_BOUND}
    waiting = {r["swarm_id"]: r["n"] for r in sql.fetch(_WAITING, bound)}
    flight = {(r["swarm_id"], r["status"]): r["n"] for r in sql.fetch(_IN_FLIGHT, bound)}
    dead = {r["swarm_id"]: r["n"] for r in sql.fetch(_DEAD, bound)}
    recent = {r["swarm_id"]: r["n"] for r in sql.fetch(_RECENT, {"bound": COUNT_BOUND})}
    overview = []
    for swarm in Swarm.objects.filter(tenant=tenant).prefetch_related("agents"):
        agents = [agent for agent in swarm.agents.all() if agent.enabled]
        running = flight.get((swarm.pk, Status.RUNNING), 0)
        overview.append(
            SwarmOverview(
                swarm,
                len(agents),
                sum(agent.slots for agent in agents),
                waiting.get(swarm.pk, 0),
                running + flight.get((swarm.pk, Status.DISPATCHED), 0),
                running,
                recent.get(swarm.pk, 0),
                dead.get(swarm.pk, 0),
            )
        )
    return overview


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """What waits at one priority of one pool."""

    pool: str
    priority: int
    ready: int
    dispatched: int
    oldest_ready_seconds: float | None


_DEPTHS = """
SELECT pool, priority,
    SUM(CASE WHEN status = 'ready' THEN 1 ELSE 0 END) AS ready,
    SUM(CASE WHEN status = 'dispatched' THEN 1 ELSE 0 END) AS dispatched,
    @epoch(@now) - MIN(CASE WHEN status = 'ready' THEN @epoch(ready_at) END) AS oldest
FROM (
    SELECT * FROM (SELECT pool, priority, status, ready_at FROM coordination_task
                   WHERE status = 'ready' {tenant} LIMIT %(bound)s) AS waiting
    UNION ALL
    SELECT pool, priority, status, ready_at FROM coordination_task
    WHERE status = 'dispatched' {tenant}) AS open
GROUP BY pool, priority ORDER BY pool, priority DESC
"""


def queue_depths(tenant: Tenant | None = None) -> list[QueueDepth]:
    """What is ready and dispatched, per pool and priority (each count up to a bound)."""
    clause = "AND tenant_id = %(tenant)s" if tenant else ""
    bound: dict[str, Any] = {"bound": COUNT_BOUND}
    if tenant:
        bound["tenant"] = tenant.pk
    return [
        QueueDepth(row["pool"], row["priority"], row["ready"], row["dispatched"], row["oldest"])
        for row in sql.fetch(_DEPTHS.format(tenant=clause), bound)
    ]


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker as its lease and its claims show it."""

    node: WorkerNode
    alive: bool
    running: int


def live_workers(*, limit: int = 200) -> list[WorkerView]:
    """Workers that have not said goodbye, newest first; alive while their lease runs."""
    rows = sql.fetch(
        """
        SELECT w.id, w.lease_expires_at > @now AS alive,
            (SELECT count(*) FROM coordination_task t
             WHERE t.status = 'running' AND t.worker_id = w.id) AS running
        FROM coordination_workernode w WHERE w.stopped_at IS NULL
          AND w.lease_expires_at > @after(-3600) ORDER BY w.id DESC LIMIT %(limit)s
        """,
        {"limit": limit},
    )
    nodes = WorkerNode.objects.in_bulk([row["id"] for row in rows])
    return [WorkerView(nodes[r["id"]], bool(r["alive"]), r["running"]) for r in rows]


def leases() -> Sequence[Lease]:
    """Who leads what, and until when."""
    return list(Lease.objects.order_by("name"))


def recent_failures(tenant: Tenant, limit: int = 10) -> list[Attempt]:
    """The newest attempts that failed, timed out or were lost."""
    newest = Attempt.objects.order_by("-id")[:5_000]
    swarms = set(Swarm.objects.filter(tenant=tenant).values_list("pk", flat=True))
    bad = {Outcome.FAILED, Outcome.TIMED_OUT, Outcome.LOST}
    return [a for a in newest if a.outcome in bad and a.swarm_id in swarms][:limit]


def wait_for(task_id: UUID, seconds: float) -> bool:
    """Wait until a task has ended, for so long at most; whether it has."""
    give_up = time.monotonic() + seconds
    pause = 0.005
    ended = Task.objects.filter(Q(id=task_id), status__in=TERMINAL)
    while not ended.exists():
        left = give_up - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 0.25)
    return True
