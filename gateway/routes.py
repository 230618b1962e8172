"""Decisions of the router as rows: the latest are kept, and found by request."""

from __future__ import annotations

from gateway.models import RouteRecord
from gateway.router import RouteDecision

MOST_KEPT = 100_000
"""Decisions of all tenants."""

_PRUNED_EVERY = 500


def store(
    tenant_id: int,
    request_id: str,
    decision: RouteDecision,
    *,
    policy: str = "",
    task_class: str = "simple",
) -> RouteRecord:
    """Write a decision with its reasons; now and then the oldest go."""
    row = RouteRecord.objects.create(
        tenant_id=tenant_id,
        request_id=request_id.replace("\x00", "")[:100],
        policy=policy[:100],
        task_class=task_class,
        model=decision.model,
        provider=decision.provider,
        explored=decision.explored,
        cheap_suffices=decision.cheap_suffices,
        expected_cost=decision.chosen.expected_cost,
        detail=decision.as_dict(),
    )
    if row.pk % _PRUNED_EVERY == 0:
        prune(row.pk - MOST_KEPT)
    return row


def prune(last: int) -> int:
    """Delete the decisions up to an id; answers how many."""
    return RouteRecord.objects.filter(pk__lte=last).delete()[0]
