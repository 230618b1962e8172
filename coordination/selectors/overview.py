"""Everything at a glance: swarms, queues, worker processes, leases.

Nothing here counts all tasks: counting is bounded, or by an index that only holds what waits
or runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansf_platform.accounts.models import Tenant
from coordination import sql
from coordination.models import Lease, Status, Swarm, WorkerNode


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
