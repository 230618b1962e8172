"""Unique keys: at most one task that has not ended holds a key."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from coordination import sql
from coordination.errors import Refused
from coordination.requests import TaskRequest
from coordination.rows import NewTask

_TAKE = """
INSERT INTO coordination_livekey (tenant_id, key, task_id)
SELECT %(tenant)s, taken.key, taken.task_id
FROM @rows(taken, key text, task_id uuid)
WHERE true ORDER BY taken.key
ON CONFLICT (tenant_id, key) DO NOTHING RETURNING key
"""
_HOLDERS = """
SELECT key, task_id FROM coordination_livekey
WHERE tenant_id = %(tenant)s AND key IN (SELECT wanted.key FROM @rows(wanted, key text))
"""
TRIES = 5  # a holder may end between the two statements, freeing the key


@dataclass(frozen=True, slots=True)
class Taken:
    """The task that a request's key led to."""

    task_id: UUID
    created: bool


def take(
    tenant_id: int, drafts: Mapping[int, NewTask], requests: Sequence[TaskRequest]
) -> dict[int, Taken]:
    """Take each draft's key; where a live task holds it, answer with that task.

    Within one batch the first draft of a key wins. Raises :class:`Refused` for a request that
    asked to be rejected.
    """
    answers = {index: Taken(task.id, created=True) for index, task in drafts.items()}
    wanted: dict[str, UUID] = {}
    for task in drafts.values():
        if task.unique_key is not None:
            wanted.setdefault(task.unique_key, task.id)
    if not wanted:
        return answers
    holders = _take_all(tenant_id, wanted)
    for index, task in drafts.items():
        if task.unique_key is None or holders[task.unique_key] == task.id:
            continue
        holder = holders[task.unique_key]
        if requests[index].on_conflict == "reject":
            message = f"the key {task.unique_key!r} is held by task {holder}, which has not ended"
            raise Refused(message, existing=holder)
        answers[index] = Taken(holder, created=False)
    return answers


def held(tenant_id: int, keys: Collection[str]) -> set[str]:
    """Those of the keys that a task which has not ended holds."""
    if not keys:
        return set()
    wanted = [{"key": key} for key in keys]
    return {row["key"] for row in sql.fetch(_HOLDERS, {"tenant": tenant_id, "wanted": wanted})}


def _take_all(tenant_id: int, wanted: Mapping[str, UUID]) -> dict[str, UUID]:
    holders: dict[str, UUID] = {}
    for _ in range(TRIES):
        left = {key: task_id for key, task_id in wanted.items() if key not in holders}
        if not left:
            return holders
        taken: list[dict[str, Any]] = [{"key": k, "task_id": t.hex} for k, t in left.items()]
        for row in sql.fetch(_TAKE, {"tenant": tenant_id, "taken": taken}):
            holders[row["key"]] = wanted[row["key"]]
        lost = [{"key": key} for key in left if key not in holders]
        if lost:
            found = sql.fetch(_HOLDERS, {"tenant": tenant_id, "wanted": lost})
            holders.update({row["key"]: sql.as_uuid(row["task_id"]) for row in found})
    raise Refused("a unique key changed hands too quickly: submit again")


def retake(tenant_id: int, wanted: Mapping[str, UUID]) -> set[str]:
    """Take keys again for replayed tasks; those that were free."""
    if not wanted:
        return set()
    taken = [{"key": key, "task_id": task.hex} for key, task in wanted.items()]
    return {row["key"] for row in sql.fetch(_TAKE, {"tenant": tenant_id, "taken": taken})}


def release(task_ids: Sequence[UUID]) -> None:
    """Give up the keys of tasks that end, in the transaction that ends them."""
    sql.change(
        """
        DELETE FROM coordination_livekey
        WHERE (tenant_id, key) IN (
            SELECT t.tenant_id, t.unique_key FROM coordination_task t
            WHERE t.id IN (SELECT ended.id FROM @rows(ended, id uuid)))
          AND task_id IN (SELECT ended.id FROM @rows(ended, id uuid))
        """,
        {"ended": [{"id": task_id.hex} for task_id in task_ids]},
    )
