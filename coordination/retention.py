"""Forgetting: ended tasks past their retention, in small batches, with all that hangs on them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef

from ansf_platform.accounts.models import IdempotentRequest
from coordination import bodies, rows, sql
from coordination.ids import first_uuid7_at
from coordination.lifecycle.leading import leading
from coordination.models import Attempt, Edge, Firing, Run, RunNode, TaskBody, WorkerNode

BATCH = 500
IDEMPOTENCY_HOURS = 24

# Ids are ordered by time of creation: the primary key finds old tasks, no index is needed.
_OLD = """
SELECT t.id FROM coordination_task t
WHERE t.id < %(before)s
  AND t.status IN ('succeeded', 'dead', 'cancelled', 'expired')
  AND t.finished_at < @after(-%(seconds)s)
  AND NOT EXISTS (  -- a child that has not ended may still read the result
    SELECT 1 FROM coordination_edge e JOIN coordination_task c ON c.id = e.child_id
    WHERE e.parent_id = t.id
      AND c.status NOT IN ('succeeded', 'dead', 'cancelled', 'expired'))
ORDER BY t.id LIMIT %(limit)s
"""
# A replay may have come between looking and deleting: what it revived is kept.
_STILL_OLD = """
SELECT t.id, t.run_id FROM coordination_task t JOIN @rows(old, id uuid) ON old.id = t.id
WHERE @status(t) IN ('succeeded', 'dead', 'cancelled', 'expired')
ORDER BY t.id @lock(t)
"""
_LOCK_BLOBS = """
SELECT b.sha256 FROM coordination_blob b
WHERE b.sha256 IN (SELECT blobs.sha256 FROM @rows(blobs, sha256 text)) ORDER BY b.sha256 @lock(b)
"""
_DELETE = "DELETE FROM coordination_task WHERE id IN (SELECT old.id FROM @rows(old, id uuid))"


def prune_tasks(term: int, *, days: float | None = None, limit: int = BATCH) -> int:
    """Delete one batch of tasks that ended longer ago than the retention; how many."""
    kept: float = settings.ANSF["RETENTION_DAYS"] if days is None else days
    before = first_uuid7_at(rows.database_now() - timedelta(days=kept))
    bound = {
        "before": before,
        "seconds": kept * 86_400,
        "limit": limit,
    }
    old = [{"id": sql.as_uuid(row["id"]).hex} for row in sql.fetch(_OLD, bound)]
    if not old:
        return 0
    with leading(term):
        found = sql.fetch(_STILL_OLD, {"old": old})
        ids = [sql.as_uuid(row["id"]) for row in found]
        _delete(ids, {sql.as_uuid(row["run_id"]) for row in found if row["run_id"]})
    return len(ids)


def _delete(ids: list[UUID], runs: set[UUID]) -> None:
    blobs = TaskBody.objects.filter(task_id__in=ids, blob_sha256__isnull=False)
    digests = {str(digest) for digest in blobs.values_list("blob_sha256", flat=True)}
    Attempt.objects.filter(task_id__in=ids).delete()
    TaskBody.objects.filter(task_id__in=ids).delete()
    Edge.objects.filter(child_id__in=ids).delete()
    # By run and not by task alone, which no index finds.
    RunNode.objects.filter(run_id__in=runs, task_id__in=ids).delete()
    sql.change(_DELETE, {"old": [{"id": task.hex} for task in ids]})
    left = RunNode.objects.filter(run_id=OuterRef("pk"))
    Run.objects.filter(~Exists(left), pk__in=runs).delete()
    _delete_orphans(digests)


def _delete_orphans(digests: set[str]) -> None:
    """Delete those blobs that no body names any more.

    Their rows are locked before looking: a submission that names one of them again has either
    committed by then, and is seen, or waits for us and stores the value anew.
    """
    if not digests:
        return
    sql.fetch(_LOCK_BLOBS, {"blobs": [{"sha256": digest} for digest in sorted(digests)]})
    kept = TaskBody.objects.filter(blob_sha256__in=digests).values_list("blob_sha256", flat=True)
    orphans = digests - set(kept)
    if orphans:
        bodies.blob_store().delete(orphans)


def prune_rest(term: int) -> None:
    """Delete old idempotency answers, firings and workers that said goodbye long ago."""
    now = rows.database_now()
    week_ago = now - timedelta(days=7)
    with leading(term):
        stale = IdempotentRequest.objects.filter(
            created_at__lt=now - timedelta(hours=IDEMPOTENCY_HOURS)
        )
        stale.filter(pk__in=stale.values("pk")[:BATCH]).delete()
        firings = Firing.objects.filter(due_at__lt=week_ago).values("pk")[:BATCH]
        Firing.objects.filter(pk__in=list(firings.values_list("pk", flat=True))).delete()
        nodes = WorkerNode.objects.filter(lease_expires_at__lt=week_ago).values_list("pk")[:BATCH]
        WorkerNode.objects.filter(pk__in=[pk for (pk,) in nodes]).delete()
