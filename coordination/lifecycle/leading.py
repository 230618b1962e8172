"""What the leader does to tasks: dispatch, wake, expire, take back (and :mod:`.judging` leases).

Moves between statuses that are not final are single autocommit statements that name the term
(``@lead``). Endings also settle what a task held, in one short transaction that locks the
lease row first: a paused leader loses it to ``idle_in_transaction_session_timeout`` long before
its lease runs out, and a change of leader waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from coordination import counters, sql
from coordination.lifecycle.settling import ENDED_COLUMNS, ended_from, settle

BATCH = 1000  # rows a sweeping statement moves at most; the next pass takes the rest
UNCLAIMED_SECONDS = 5  # with a free slot in the pool
UNCLAIMED_PATIENCE_SECONDS = 60  # without one


class Deposed(RuntimeError):
    """Another leader has been elected: nothing was written."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A ready task chosen for an envelope."""

    id: UUID
    envelope: UUID
    agent_id: int | None


_DISPATCH = """
WITH @lead,
     picked AS (
        SELECT t.id, picks.envelope, picks.agent FROM coordination_task t
        JOIN @rows(picks, id uuid, envelope uuid, agent bigint) ON picks.id = t.id
        WHERE @status(t) = 'ready' AND EXISTS (SELECT 1 FROM lead)
        ORDER BY t.id @skip(t))
UPDATE coordination_task SET status = 'dispatched', fence = fence + 1, claim = NULL,
    envelope = picked.envelope, agent_id = picked.agent, dispatched_at = @now, reason = ''
FROM picked WHERE coordination_task.id = picked.id
RETURNING coordination_task.id, coordination_task.fence
"""


def dispatch(term: int, picks: Sequence[Pick]) -> dict[UUID, int]:
    """Mark picked tasks as dispatched, committed before anything is published; their fences."""
    if not picks:
        return {}
    rows = [{"id": p.id.hex, "envelope": p.envelope.hex, "agent": p.agent_id} for p in picks]
    marked = sql.fetch(_DISPATCH, {"term": term, "picks": rows})
    return {sql.as_uuid(row["id"]): row["fence"] for row in marked}


_TAKE_BACK = """
WITH @lead,
     picked AS (
        SELECT t.id FROM coordination_task t
        WHERE t.status = 'dispatched' AND EXISTS (SELECT 1 FROM lead)
          AND {condition}
        ORDER BY t.id LIMIT %(limit)s @skip(t))
UPDATE coordination_task SET status = 'ready', fence = fence + 1, envelope = NULL,
    reason = %(reason)s, ready_at = @now, due_at = deadline
WHERE id IN (SELECT id FROM picked)
"""
_OF_ENVELOPES = """
    t.envelope IN (SELECT unsent.id FROM @rows(unsent, id uuid))"""
_UNCLAIMED = """
    (t.dispatched_at < @after(-%(patience)s)
     OR (t.dispatched_at < @after(-%(seconds)s) AND EXISTS (
        SELECT 1 FROM coordination_workernode w
        WHERE w.pool = t.pool AND w.stopped_at IS NULL AND w.lease_expires_at > @now
          AND NOT w.draining AND w.idle_beats >= 2)))"""


def take_back_unpublished(term: int, envelopes: Sequence[UUID]) -> int:
    """Return the members of envelopes that the broker did not take; how many there were."""
    if not envelopes:
        return 0
    return sql.change(
        _TAKE_BACK.format(condition=_OF_ENVELOPES),
        {
            "term": term,
            "unsent": [{"id": envelope.hex} for envelope in envelopes],
            "reason": "not published",
            "limit": BATCH * 10,
        },
    )


def take_back_unclaimed(term: int) -> int:
    """Return what was published but not claimed in time: a lost message, a flushed broker."""
    count = sql.change(
        _TAKE_BACK.format(condition=_UNCLAIMED),
        {
            "term": term,
            "patience": UNCLAIMED_PATIENCE_SECONDS,
            "seconds": UNCLAIMED_SECONDS,
            "reason": "not claimed",
            "limit": BATCH,
        },
    )
    if count:
        counters.add("unclaimed", count)
    return count


_WAKE = """
WITH @lead,
     picked AS (
        SELECT t.id FROM coordination_task t
        WHERE t.status = 'scheduled' AND t.due_at <= @now
          AND (t.deadline IS NULL OR t.deadline > @now) AND EXISTS (SELECT 1 FROM lead)
        ORDER BY t.id LIMIT %(limit)s @skip(t))
UPDATE coordination_task SET status = 'ready', ready_at = @now, due_at = deadline
WHERE id IN (SELECT id FROM picked)
"""


_ANY_DUE = """
SELECT t.id FROM coordination_task t
WHERE t.status = 'scheduled' AND t.due_at <= @now
  AND (t.deadline IS NULL OR t.deadline > @now) LIMIT 1
"""


def wake(term: int) -> int:
    """Make scheduled tasks ready whose time has come."""
    # Asked many times a second: on SQLite a writing statement would wait for every worker.
    if not sql.fetch(_ANY_DUE):
        return 0
    return sql.change(_WAKE, {"term": term, "limit": BATCH})


_EXPIRED = f"""
WITH picked AS (
    SELECT t.id FROM coordination_task t
    WHERE t.deadline <= @now AND (
        (t.status IN ('scheduled', 'blocked', 'ready') AND t.due_at <= @now)
        OR t.status = 'dispatched')
    ORDER BY t.id LIMIT %(limit)s @skip(t))
UPDATE coordination_task SET status = 'expired', reason = 'deadline', fence = fence + 1,
    finished_at = @now, due_at = NULL
WHERE id IN (SELECT id FROM picked) RETURNING {ENDED_COLUMNS}
"""  # noqa: S608 - a constant


@sql.retrying
def expire(term: int) -> int:
    """End what waited past its deadline."""
    due = sql.fetch(
        """
        SELECT t.id FROM coordination_task t WHERE t.deadline <= @now AND (
            (t.status IN ('scheduled', 'blocked', 'ready') AND t.due_at <= @now)
            OR t.status = 'dispatched') LIMIT 1
        """
    )
    if not due:
        return 0
    with leading(term):
        ended = ended_from(sql.fetch(_EXPIRED, {"limit": BATCH}))
        settle(ended)
    return len(ended)


_DROP = f"""
WITH picked AS (
    SELECT t.id FROM coordination_task t
    JOIN @rows(crowd, pool text, swarm_id bigint, priority integer, limit_set integer)
      ON t.pool = crowd.pool AND t.swarm_id = crowd.swarm_id AND t.priority = crowd.priority
     AND t.limit_set = crowd.limit_set
    WHERE t.status = 'ready' ORDER BY t.id LIMIT %(limit)s @skip(t))
UPDATE coordination_task SET status = 'cancelled', reason = 'limited', fence = fence + 1,
    finished_at = @now, due_at = NULL
WHERE id IN (SELECT id FROM picked) RETURNING {ENDED_COLUMNS}
"""  # noqa: S608 - a constant


@sql.retrying
def drop(term: int, groups: Sequence[sql.Row]) -> int:
    """Cancel what is ready in these groups: a policy says that it is not to wait."""
    columns = ("pool", "swarm_id", "priority", "limit_set")
    crowd = [{name: group[name] for name in columns} for group in groups]
    with leading(term):
        ended = ended_from(sql.fetch(_DROP, {"crowd": crowd, "limit": BATCH}))
        settle(ended)
    return len(ended)


@contextmanager
def leading(term: int) -> Iterator[None]:
    """A transaction that holds off a change of leader. Raises :class:`Deposed`."""
    with sql.atomic():
        if not sql.fetch("WITH @lead SELECT ok FROM lead", {"term": term}):
            raise Deposed(f"term {term} is over")
        yield
