"""Rows as the plain objects that ``--json`` prints; the keys are stable and tested."""

from __future__ import annotations

from typing import Any

from coordination.models import Attempt, Schedule, Task, TaskDefinition

DEFINITION_FIELDS = (
    "name",
    "version",
    "handler",
    "pool",
    "default_priority",
    "time_limit_seconds",
    "max_attempts",
    "backoff_seconds",
    "backoff_cap_seconds",
    "capabilities",
    "limits",
    "cache",
    "idempotent",
    "replication",
    "memory_mb",
    "enabled",
    "description",
    "schema",
    "created_at",
)
TASK_TIMES = (
    "created_at",
    "not_before",
    "deadline",
    "ready_at",
    "dispatched_at",
    "claimed_at",
    "started_at",
    "finished_at",
    "cancel_requested_at",
)
ATTEMPT_FIELDS = (
    "number",
    "fence",
    "outcome",
    "charged",
    "started_at",
    "ended_at",
    "wait_ms",
    "run_ms",
    "error_type",
    "error_message",
    "progress",
    "note",
)
SCHEDULE_FIELDS = (
    "name",
    "definition_name",
    "payload",
    "priority",
    "cron",
    "interval_seconds",
    "timezone",
    "catch_up",
    "overlap",
    "enabled",
    "next_at",
    "last_error",
)


def of_task(task: Task) -> dict[str, Any]:
    """A task without its payload, result and attempts."""
    return {
        "id": task.pk,
        "definition": task.definition.name,
        "version": task.definition.version,
        "swarm": task.swarm.slug,
        "status": task.status,
        "reason": task.reason,
        "priority": task.priority,
        "pool": task.pool,
        "attempt": task.attempt,
        "waiting_on": task.waiting_on,
        "key": task.unique_key,
        "run": task.run_id,
        "lane": task.lane.key if task.lane else None,
        "agent": task.agent.name if task.agent else None,
        "worker": task.worker.name if task.worker else None,
        **{name: getattr(task, name) for name in TASK_TIMES},
    }


def of_attempt(attempt: Attempt) -> dict[str, Any]:
    """An attempt without traceback and log."""
    worker = {"worker": attempt.worker.name if attempt.worker else None}
    return {name: getattr(attempt, name) for name in ATTEMPT_FIELDS} | worker


def of_definition(definition: TaskDefinition) -> dict[str, Any]:
    """One version of a definition, whole."""
    swarm = definition.default_swarm
    return {name: getattr(definition, name) for name in DEFINITION_FIELDS} | {
        "default_swarm": swarm.slug if swarm else None
    }


def of_schedule(schedule: Schedule) -> dict[str, Any]:
    """A schedule, whole."""
    return {name: getattr(schedule, name) for name in SCHEDULE_FIELDS} | {
        "swarm": schedule.swarm.slug if schedule.swarm else None
    }
