"""Handlers on pattern memory: many searches, or many new patterns, in one task.

Namespaces are those of the tenant whose task it is.
"""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.db import transaction

from ansf_platform.accounts.models import DEFAULT_TENANT, Tenant
from coordination.models import Task
from patterns import encoders, memory, namespaces
from patterns.errors import PatternError
from patterns.models import Namespace
from workers.context import GiveUp, current_or_none
from workers.handlers.looking import told

MAX_ITEMS = 10_000
TOGETHER = 200
"""Queries, or new patterns, between two looks at the cancel flag."""

_MANY: dict[str, Any] = {
    "anyOf": [
        {"type": "array", "minItems": 1, "maxItems": MAX_ITEMS},
        {"type": "object", "required": ["$from"]},
    ]
}
_SLUG = {"type": "string", "minLength": 1, "maxLength": 50}
SCHEMAS: dict[str, dict[str, Any]] = {
    "patterns.search_each": {
        "type": "object",
        "required": ["namespace"],
        "additionalProperties": False,
        "properties": {
            "namespace": _SLUG,
            "series": _MANY,
            "vectors": _MANY,
            "k": {"type": "integer", "minimum": 1, "maximum": 1000},
            "filter": {"type": ["object", "null"]},
            "exact": {"type": "boolean"},
        },
    },
    "patterns.add_each": {
        "type": "object",
        "required": ["namespace", "items"],
        "additionalProperties": False,
        "properties": {"namespace": _SLUG, "items": _MANY},
    },
}


@shared_task(name="patterns.search_each")
def search_each(
    namespace: str,
    series: list[list[float]] | None = None,
    vectors: list[list[float]] | None = None,
    *,
    k: int = 10,
    filter: dict[str, Any] | None = None,  # noqa: A002 - the word of the API
    exact: bool = False,
) -> dict[str, Any]:
    """For each series, or each vector, the `k` patterns that are closest."""
    asked = vectors if series is None else series
    if asked is None or (series is not None and vectors is not None):
        raise GiveUp("pass series or vectors, and not both")
    _check_count(asked)
    found: list[list[dict[str, Any]]] = []
    try:
        where = _namespace(namespace)
        for start in range(0, len(asked), TOGETHER):
            told(start, len(asked), "queries")
            part: Any = asked[start : start + TOGETHER]
            if series is not None:
                part = encoders.encode(where, part)
            answers = memory.search_many(where, part, k, filter, exact=exact)
            found += [[_told(hit) for hit in hits] for hits in answers]
    except (PatternError, ValueError) as error:
        raise GiveUp(str(error)) from error
    return {"results": found}


@shared_task(name="patterns.add_each")
def add_each(namespace: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Remember each item (`series` or `vector`, with `metadata` and `count`), all or none.

    Where the task's own result is recorded in the same transaction, a task that is tried again
    adds nothing twice.
    """
    _check_count(items)
    try:
        new = [memory.NewPattern(**item) for item in items]
        context = current_or_none()
        if context is None or context.task_id is None:
            with transaction.atomic():
                return _add(_namespace(namespace), new)
        with context.commit() as effect:
            effect.result = _add(_namespace(namespace), new)
    except (PatternError, TypeError, ValueError) as error:
        raise GiveUp(str(error)) from error
    return {}


def tenant_of_task() -> Tenant:
    """Whose task this is; the default tenant in a direct call."""
    context = current_or_none()
    if context is None or context.task_id is None:
        return Tenant.objects.get(slug=DEFAULT_TENANT)
    task = Task.objects.values_list("tenant_id", flat=True)
    return Tenant.objects.get(pk=task.get(pk=context.task_id))


def _namespace(slug: str) -> Namespace:
    return namespaces.named(tenant_of_task(), slug)


def _add(where: Namespace, new: list[memory.NewPattern]) -> dict[str, Any]:
    added: list[memory.Added] = []
    for start in range(0, len(new), TOGETHER):
        told(start, len(new), "patterns")
        added += memory.add_many(where, new[start : start + TOGETHER])
    return {"ids": [one.id for one in added], "merged": sum(one.merged for one in added)}


def _told(hit: Any) -> dict[str, Any]:
    return {"id": hit.id, "score": float(hit.score), "count": hit.count, "metadata": hit.metadata}


def _check_count(items: list[Any]) -> None:
    if not 0 < len(items) <= MAX_ITEMS:
        raise GiveUp(f"{len(items)} items: 1 to {MAX_ITEMS} in one task")
