"""Reads. The tenant comes first: what belongs to another one does not exist.

`work` reads tasks, `timeline` tells the life of one, `graphs` reads runs, `overview` what waits
and who works, `limits` what waits for which policy.
"""

from __future__ import annotations

from coordination.bodies import payload_of, result_of
from coordination.counters import totals as counters
from coordination.selectors.graphs import NodeState, RunState, run, run_state
from coordination.selectors.limits import Hold, LimitQueue, holds_of, limit_queues
from coordination.selectors.overview import (
    COUNT_BOUND,
    QueueDepth,
    SwarmOverview,
    WorkerView,
    leases,
    live_workers,
    queue_depths,
    swarm_overview,
)
from coordination.selectors.timeline import Event, timeline_of
from coordination.selectors.work import (
    attempts_of,
    dead_letters,
    last_definition,
    log_of,
    recent_failures,
    task,
    tasks,
    wait_for,
)

__all__ = [
    "COUNT_BOUND",
    "Event", "Hold", "LimitQueue", "NodeState", "QueueDepth", "RunState", "SwarmOverview",
    "WorkerView", "attempts_of", "counters", "dead_letters", "holds_of", "last_definition",
    "leases", "limit_queues", "live_workers", "log_of", "payload_of", "queue_depths",
    "recent_failures", "result_of", "run", "run_state", "swarm_overview", "task", "tasks",
    "timeline_of", "wait_for",
]  # fmt: skip
