"""Submitting tasks: checked whole, then written in one transaction, never touching a broker.

The steps: resolve names, check every item, take unique keys, take places in lanes, write rows.
Everything joins the caller's transaction: if that rolls back, nothing was submitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from ansf_platform.accounts.models import DEFAULT_TENANT, Tenant
from ansf_platform.text import is_storable
from coordination import bodies, keys, lanes, payloads, rows, sql
from coordination.admission import paid
from coordination.catalogue import Catalogue
from coordination.errors import Invalid, ItemError, NotFound
from coordination.ids import uuid7
from coordination.models import Status, TaskBody
from coordination.requests import NOBODY, Submitter, TaskRequest
from coordination.rows import NewTask

MAX_NAME = 200  # characters of a unique key or a lane

__all__ = ["BulkResult", "Submission", "TaskRequest", "submit", "submit_many"]


@dataclass(frozen=True, slots=True)
class Submission:
    """The task that a request led to; not created when a live one held its unique key."""

    task_id: UUID
    created: bool


@dataclass(frozen=True, slots=True)
class BulkResult:
    """One submission per request, None where it was wrong, and what was wrong."""

    submissions: list[Submission | None]
    errors: list[ItemError]


def submit(
    definition: str,
    payload: dict[str, Any] | None = None,
    *,
    tenant: Tenant | str = DEFAULT_TENANT,
    **options: Any,
) -> Submission:
    """Submit one task; the options are the fields of :class:`TaskRequest`.

    Raises :class:`Invalid`, or :class:`Refused` on a key clash with ``on_conflict="reject"``.
    """
    request = TaskRequest(definition=definition, payload=payload or {}, **options)
    result = submit_many([request], tenant=tenant).submissions[0]
    assert result is not None  # noqa: S101 - all_or_nothing raises instead
    return result


@sql.retrying
def submit_many(
    requests: Sequence[TaskRequest],
    *,
    tenant: Tenant | str = DEFAULT_TENANT,
    all_or_nothing: bool = True,
    by: Submitter = NOBODY,
) -> BulkResult:
    """Submit many tasks in one transaction.

    With `all_or_nothing` one mistake refuses them all (:class:`Invalid` names each), and so does
    a policy that refuses (:class:`Limited`); without, the wrong ones are left out and reported.
    `by` is whom policies count that are kept by user or token.
    """
    # Checked before the transaction: on SQLite it keeps all other writers out.
    owner = resolve_tenant(tenant)
    now = rows.database_now()
    catalogue = Catalogue(owner, by)
    drafts, errors = draft(catalogue, requests, now)
    if errors and all_or_nothing:
        raise Invalid(errors)
    with paid(catalogue, drafts, partial=not all_or_nothing) as toll:
        submissions = _write(owner, requests, drafts, now)
        toll.keep({index for index, found in submissions.items() if found.created})
    return BulkResult(
        [
            Submission(found.task_id, found.created) if (found := submissions.get(i)) else None
            for i in range(len(requests))
        ],
        errors + toll.refused,
    )


def _write(
    owner: Tenant, requests: Sequence[TaskRequest], drafts: dict[int, NewTask], now: datetime
) -> dict[int, keys.Taken]:
    # A savepoint where the caller has a transaction: it may go on after a refusal, and must not
    # then keep the keys and places that the refused batch had taken so far.
    with transaction.atomic():
        submissions = keys.take(owner.pk, drafts, requests)
        fresh = [
            (task, requests[index])
            for index, task in drafts.items()
            if submissions[index].task_id == task.id
        ]
        lanes.join(owner.pk, [(task, request.lane) for task, request in fresh if request.lane])
        store([task for task, _ in fresh], owner.pk, now)
    return submissions


def store(tasks: Sequence[NewTask], tenant_id: int, now: datetime) -> None:
    """Write tasks and their larger payloads, and wake the leader."""
    if not tasks:
        return
    rows.insert(tasks, tenant_id, now)
    large = {task.id: task.payload for task in tasks if not task.payload.inline}
    if large:
        bodies.write(TaskBody.Kind.PAYLOAD, large)
    sql.notify()


def resolve_tenant(tenant: Tenant | str) -> Tenant:
    """The tenant of that slug. Raises :class:`NotFound`."""
    if isinstance(tenant, Tenant):
        return tenant
    found = Tenant.objects.filter(slug=tenant, enabled=True).first()
    if found is None:
        raise NotFound(f"no enabled tenant is called {tenant!r}")
    return found


def draft(
    catalogue: Catalogue, requests: Sequence[TaskRequest], now: datetime
) -> tuple[dict[int, NewTask], list[ItemError]]:
    """The rows that the right requests ask for, by position, and what the others got wrong."""
    drafts: dict[int, NewTask] = {}
    errors: list[ItemError] = []
    for index, request in enumerate(requests):
        task, wrong = _draft_one(catalogue, request, index, now)
        errors.extend(wrong)
        if task is not None and not wrong:
            drafts[index] = task
    return drafts, errors


def _draft_one(
    catalogue: Catalogue, request: TaskRequest, index: int, now: datetime
) -> tuple[NewTask | None, list[ItemError]]:
    definition, wrong = catalogue.definition(request.definition, request.version)
    if definition is None:
        return None, [ItemError(index, "/definition", wrong)]
    errors = _check_fields(request, index, now)
    errors += payloads.check(definition, request.payload, index)
    swarm_id, wrong = catalogue.swarm_for(definition, request.swarm)
    if swarm_id is None:
        errors.append(ItemError(index, "/swarm", wrong))
    try:
        payload = bodies.encode(request.payload)
    except bodies.BodyInvalid as error:
        return None, [*errors, ItemError(index, "/payload", str(error))]
    if errors or swarm_id is None:
        return None, errors
    later = request.not_before is not None and request.not_before > now
    return NewTask(
        id=uuid7(),
        definition=definition,
        swarm_id=swarm_id,
        priority=definition.default_priority if request.priority is None else request.priority,
        payload=payload,
        rank=request.rank,
        status=Status.SCHEDULED if later else Status.READY,
        unique_key=request.key,
        not_before=request.not_before,
        deadline=request.deadline,
        limit_set=catalogue.limit_set(definition, swarm_id),
    ), []


def _check_fields(request: TaskRequest, index: int, now: datetime) -> list[ItemError]:
    errors = []
    if request.priority is not None and not 0 <= request.priority <= 9:  # noqa: PLR2004
        errors.append(ItemError(index, "/priority", "must be 0 to 9 (9 is most urgent)"))
    for name in ("key", "lane"):
        value = getattr(request, name)
        if value is not None and not (0 < len(value) <= MAX_NAME and is_storable(value)):
            message = f"must have 1 to {MAX_NAME} characters, none U+0000 or half of a pair"
            errors.append(ItemError(index, f"/{name}", message))
    for name in ("not_before", "deadline"):
        value = getattr(request, name)
        if value is not None and value.tzinfo is None:
            errors.append(ItemError(index, f"/{name}", "needs a time zone, such as +00:00 or Z"))
    if not errors and request.deadline is not None and request.deadline <= now:
        errors.append(ItemError(index, "/deadline", "is already past"))
    return errors
