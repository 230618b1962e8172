"""New task rows, many at once: COPY on PostgreSQL, one prepared INSERT on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from coordination import sql
from coordination.bodies import Encoded
from coordination.models import Status, TaskDefinition


@dataclass(slots=True)
class NewTask:
    """A checked task on its way into the table."""

    id: UUID
    definition: TaskDefinition
    swarm_id: int
    priority: int
    payload: Encoded
    rank: float = 0.0
    status: Status = Status.READY
    waiting_on: int = 0
    run_id: UUID | None = None
    lane_id: int | None = None
    unique_key: str | None = None
    not_before: datetime | None = None
    deadline: datetime | None = None
    limit_set: int = 0


COLUMNS = (
    "id", "tenant_id", "definition_id", "swarm_id", "pool", "priority", "rank", "status",
    "reason", "fence", "solo", "attempt", "waiting_on", "run_id", "lane_id", "unique_key",
    "payload", "payload_bytes", "has_references", "result_bytes", "not_before", "deadline",
    "due_at", "created_at", "ready_at", "limit_set",
)  # fmt: skip
_NAMES = ", ".join(COLUMNS)
_COPY = f"COPY coordination_task ({_NAMES}) FROM STDIN"
_INSERT = f"INSERT INTO coordination_task ({_NAMES}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"  # noqa: S608


def database_now() -> datetime:
    """The database's clock."""
    value = sql.fetch("SELECT @now AS moment")[0]["moment"]
    if isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def insert(tasks: Sequence[NewTask], tenant_id: int, now: datetime) -> None:
    """Write the rows; every time among them is the database's."""
    moment = as_text(now)
    values = (_values(task, tenant_id, moment) for task in tasks)
    with connection.cursor() as cursor:
        if sql.postgres():
            with cursor.copy(_COPY) as copy:
                copy.write("".join(_copy_line(row) for row in values))
        else:
            cursor.executemany(_INSERT, list(values))


def _values(task: NewTask, tenant_id: int, moment: str | None) -> tuple[Any, ...]:
    deadline = as_text(task.deadline)
    due = deadline
    if task.status == Status.SCHEDULED:
        due = min(filter(None, (as_text(task.not_before), deadline)))
    return (
        task.id.hex, tenant_id, task.definition.pk, task.swarm_id, task.definition.pool,
        task.priority, task.rank, task.status.value, "", 0, False, 0, task.waiting_on,
        task.run_id.hex if task.run_id else None, task.lane_id, task.unique_key,
        task.payload.text if task.payload.inline else None, task.payload.size,
        '"$from"' in task.payload.text, 0, as_text(task.not_before), deadline, due, moment,
        moment if task.status == Status.READY else None, task.limit_set,
    )  # fmt: skip


def as_text(moment: datetime | None) -> str | None:
    """As Django writes it to SQLite; PostgreSQL sessions are in UTC and read it alike."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _copy_line(row: Iterable[Any]) -> str:
    return "\t".join(map(_copy_field, row)) + "\n"


def _copy_field(value: Any) -> str:
    if value is None:
        return r"\N"
    if isinstance(value, str):
        if "\\" in value or "\t" in value or "\n" in value or "\r" in value:
            escaped = value.replace("\\", "\\\\").replace("\t", "\\t")
            return escaped.replace("\n", "\\n").replace("\r", "\\r")
        return value
    return str(value)
