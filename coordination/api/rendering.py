"""Tasks and attempts as JSON: rows of ``values()``, names looked up once per page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from django.db.models import Model

from coordination import selectors
from coordination.models import Agent, Attempt, Lane, Swarm, Task, TaskDefinition, WorkerNode

Row = Mapping[str, Any]

_PLAIN = (
    "id", "pool", "priority", "status", "reason", "attempt", "waiting_on", "not_before",
    "deadline", "created_at", "ready_at", "dispatched_at", "started_at", "finished_at",
    "cancel_requested_at",
)  # fmt: skip
TASK_COLUMNS = (*_PLAIN, "definition_id", "swarm_id", "run_id", "unique_key")
_ATTEMPT_PLAIN = (
    "id", "number", "outcome", "charged", "started_at", "ended_at", "wait_ms", "run_ms",
    "error_type", "error_message", "progress", "note",
)  # fmt: skip
ATTEMPT_COLUMNS = (*_ATTEMPT_PLAIN, "task_id", "agent_id", "worker_id")
GONE = "(deleted)"


def names(model: type[Model], ids: Iterable[int | None], *columns: str) -> dict[int, Any]:
    """What these rows are called, in one query; several columns come as a tuple."""
    wanted = {one for one in ids if one is not None}
    if not wanted:
        return {}
    rows = model._default_manager.filter(pk__in=wanted).values_list("pk", *columns)  # noqa: SLF001
    return {row[0]: row[1] if len(columns) == 1 else row[1:] for row in rows}


def summaries(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Tasks of a list, from ``values(*TASK_COLUMNS)``: two queries for all their names."""
    listed = list(rows)
    definitions = names(TaskDefinition, (row["definition_id"] for row in listed), "name", "version")
    swarms = names(Swarm, (row["swarm_id"] for row in listed), "slug")
    return [_summary(row, definitions, swarms) for row in listed]


def _summary(row: Row, definitions: Mapping[int, Any], swarms: Mapping[int, str]) -> dict[str, Any]:
    name, version = definitions.get(row["definition_id"], (GONE, 1))
    return {
        **{column: row[column] for column in _PLAIN},
        "definition": name,
        "version": version,
        "swarm": swarms.get(row["swarm_id"], GONE),
        "run": row["run_id"],
        "key": row["unique_key"],
    }


def whole(task: Task) -> dict[str, Any]:
    """One task with its payload, result, last error and timeline."""
    row = {column: getattr(task, column) for column in TASK_COLUMNS}
    return {
        **summaries([row])[0],
        "payload": selectors.payload_of(task),
        "result": selectors.result_of(task),
        "rank": task.rank,
        "lane": _lane(task.lane_id),
        "agent": names(Agent, [task.agent_id], "name").get(task.agent_id or 0),
        "worker": names(WorkerNode, [task.worker_id], "name").get(task.worker_id or 0),
        "error": last_errors([task.pk]).get(task.pk),
        "limits": [asdict(hold) for hold in selectors.holds_of(task)],
        "timeline": [
            {"at": event.at, "what": event.what, "detail": event.detail}
            for event in selectors.timeline_of(task)
        ],
    }


def _lane(lane_id: int | None) -> dict[str, Any] | None:
    key = names(Lane, [lane_id], "key").get(lane_id or 0)
    return None if key is None else {"id": lane_id, "key": key}


def last_errors(task_ids: Iterable[Any]) -> dict[Any, dict[str, str]]:
    """The error of each task's last attempt that had one, in one query."""
    rows = (
        Attempt.objects.filter(task_id__in=list(task_ids))
        .exclude(error_type="")
        .order_by("task_id", "fence")
        .values_list("task_id", "error_type", "error_message")
    )
    return {task_id: {"type": kind, "message": message} for task_id, kind, message in rows}


def attempts(rows: Iterable[Row], *more: str) -> list[dict[str, Any]]:
    """Attempts, from ``values(*ATTEMPT_COLUMNS)``."""
    listed = list(rows)
    agents = names(Agent, (row["agent_id"] for row in listed), "name")
    workers = names(WorkerNode, (row["worker_id"] for row in listed), "name")
    return [
        {
            **{column: row[column] for column in (*_ATTEMPT_PLAIN, *more)},
            "task": row["task_id"],
            "agent": agents.get(row["agent_id"]),
            "worker": workers.get(row["worker_id"]),
        }
        for row in listed
    ]
