"""Recording what workers did: each result once, and only while its claim holds the task."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from ansf_platform.text import made_storable
from coordination import bodies, counters, sql
from coordination.bodies import Encoded
from coordination.lifecycle.settling import ENDED_COLUMNS, ended_from, holding, settle
from coordination.models import TERMINAL, Outcome, Status, TaskBody

MAX_LOG = 64 * 1024  # characters kept of an attempt's log
MAX_ERROR = 4_000
MAX_TRACEBACK = 16_000


@dataclass(frozen=True, slots=True)
class Finished:
    """How one execution ended; durations in seconds before `as_of`, by the worker's own clock."""

    id: UUID
    fence: int
    status: Status
    outcome: Outcome
    started_ago: float
    ended_ago: float
    charged: bool = True
    result: Encoded | None = None
    retry_in: float = 0.0
    reason: str = ""
    error_type: str = ""
    error_message: str = ""
    traceback: str = ""
    log: str = ""
    note: str = ""
    progress: float | None = None
    as_of: float = field(default_factory=time.monotonic)
    """On this process's monotonic clock: a result may wait for others, or for the database."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a batch of results."""

    recorded: frozenset[UUID] = field(default_factory=frozenset)
    repeated: frozenset[UUID] = field(default_factory=frozenset)
    """Recorded before: the first reply was lost."""
    fenced: frozenset[UUID] = field(default_factory=frozenset)
    """Refused: the task had been taken back."""


_FINISH = f"""
WITH picked AS (
    SELECT t.id, results.status, results.reason, results.result, results.result_bytes,
           results.retry_in, results.started_ago, results.ended_ago, results.charged
    FROM coordination_task t
    JOIN @rows(results, id uuid, fence bigint, status text, reason text, result jsonb,
               result_bytes integer, retry_in float8, started_ago float8, ended_ago float8,
               charged integer) ON results.id = t.id
    WHERE t.fence = results.fence AND t.claim = %(claim)s AND @status(t) = 'running'
    ORDER BY t.id @lock(t))
UPDATE coordination_task SET
    status = CASE
        WHEN picked.status NOT IN ('scheduled', 'dead') THEN picked.status
        WHEN cancel_requested_at IS NOT NULL THEN 'cancelled'
        WHEN picked.status = 'dead' THEN 'dead'
        WHEN deadline <= @after(picked.retry_in) THEN 'expired'
        ELSE 'scheduled' END,
    reason = CASE
        WHEN picked.status NOT IN ('scheduled', 'dead') THEN picked.reason
        WHEN cancel_requested_at IS NOT NULL THEN 'asked'
        WHEN picked.status = 'scheduled' AND deadline <= @after(picked.retry_in) THEN 'deadline'
        ELSE picked.reason END,
    result = picked.result,
    result_bytes = picked.result_bytes,
    attempt = attempt + picked.charged,
    solo = %(no)s,
    started_at = @after(-picked.started_ago),
    due_at = CASE WHEN picked.status = 'scheduled' THEN @after(picked.retry_in) END,
    not_before = CASE WHEN picked.status = 'scheduled' THEN @after(picked.retry_in)
                      ELSE not_before END,
    finished_at = CASE WHEN picked.status = 'scheduled' AND cancel_requested_at IS NULL
                            AND (deadline IS NULL OR deadline > @after(picked.retry_in))
                       THEN NULL ELSE @after(-picked.ended_ago) END
FROM picked WHERE coordination_task.id = picked.id
RETURNING {", ".join(f"coordination_task.{name}" for name in ENDED_COLUMNS.split(", "))}
"""  # noqa: S608 - a constant
"""SQLite's RETURNING may not name the other table of an UPDATE, nor need it."""

_RECORD = """
INSERT INTO coordination_attempt (
    task_id, fence, number, claim, definition_id, swarm_id, agent_id, worker_id, outcome,
    charged, started_at, ended_at, wait_ms, run_ms, error_type, error_message, traceback,
    progress, note, log)
SELECT t.id, t.fence, t.attempt + 1 - results.charged, t.claim, t.definition_id, t.swarm_id,
    t.agent_id, t.worker_id, results.outcome, results.charged = 1, t.started_at,
    @after(-results.ended_ago), (@epoch(t.started_at) - @epoch(t.ready_at)) * 1000.0,
    (results.started_ago - results.ended_ago) * 1000.0, results.error_type,
    results.error_message, results.traceback, results.progress, results.note, results.log
FROM coordination_task t
JOIN @rows(results, id uuid, outcome text, charged integer, started_ago float8,
           ended_ago float8, error_type text, error_message text, traceback text,
           progress float8, note text, log text) ON results.id = t.id
WHERE true
ON CONFLICT (task_id, fence) DO UPDATE SET
    number = excluded.number, claim = excluded.claim, outcome = excluded.outcome,
    charged = excluded.charged, started_at = excluded.started_at, ended_at = excluded.ended_at,
    wait_ms = excluded.wait_ms, run_ms = excluded.run_ms, error_type = excluded.error_type,
    error_message = excluded.error_message, traceback = excluded.traceback,
    progress = excluded.progress, note = excluded.note, log = excluded.log
"""
# The outcome tells a repeated result from one that comes after its claim was judged, which
# leaves an attempt of the same claim.
_RECORDED_BEFORE = """
SELECT a.task_id FROM coordination_attempt a
JOIN @rows(results, id uuid, fence bigint, outcome text) ON results.id = a.task_id
    AND results.fence = a.fence AND results.outcome = a.outcome
WHERE a.claim = %(claim)s
"""


@sql.retrying
def finish(claim_id: UUID, results: Sequence[Finished]) -> Report:
    """Record results, each only if the claim still holds its task.

    1. Move the tasks (compare-and-set on fence and claim); 2. write their attempts and larger
    results; 3. settle what the ended ones set free. One transaction. A result that was recorded
    before is success; any other that does not fit is counted as fenced.
    """
    if not results:
        return Report()
    now = time.monotonic()
    with sql.atomic():
        moved = sql.fetch(
            _FINISH,
            {"claim": claim_id, "no": False, "results": [_move(item, now) for item in results]},
        )
        recorded = _ids(moved, results)
        done = [item for item in results if item.id in recorded]
        if done:
            sql.change(_RECORD, {"results": [_attempt(item, now) for item in done]})
            large = {i.id: i.result for i in done if i.result and not i.result.inline}
            if large:
                bodies.write(TaskBody.Kind.RESULT, large)
            settle([end for end in ended_from(holding(moved)) if end.status in TERMINAL])
            sql.notify(told=sql.ONLY_ENDED if all(map(_only_ends, moved)) else "")
        missed = [item for item in results if item.id not in recorded]
        repeated = _recorded_before(claim_id, missed) if missed else frozenset()
        fenced = frozenset(item.id for item in missed) - repeated
        if fenced:
            counters.add("fenced", len(fenced))
    return Report(recorded, repeated, fenced)


def _only_ends(row: sql.Row) -> bool:
    """Whether a task's end lets nothing else start but what waits for room."""
    return row["status"] in TERMINAL and row["run_id"] is None and row["lane_id"] is None


def _ids(moved: Sequence[sql.Row], results: Sequence[Finished]) -> frozenset[UUID]:
    """The tasks that were moved; reading no identifier where it was all of them, as is usual."""
    if len(moved) == len(results):
        return frozenset(item.id for item in results)
    return frozenset(sql.as_uuid(row["id"]) for row in moved)


def _move(item: Finished, now: float) -> sql.Row:
    row: sql.Row = {
        "id": item.id.hex,
        "fence": item.fence,
        "status": item.status.value,
        "reason": item.reason,
        "result_bytes": item.result.size if item.result else 0,
        "retry_in": item.retry_in,
        "started_ago": item.started_ago + now - item.as_of,
        "ended_ago": item.ended_ago + now - item.as_of,
        "charged": int(item.charged),
    }
    if item.result is not None and item.result.inline:
        row["result"] = item.result.value
    return row


def _attempt(item: Finished, now: float) -> sql.Row:
    return {
        "id": item.id.hex,
        "outcome": item.outcome.value,
        "charged": int(item.charged),
        "started_ago": item.started_ago + now - item.as_of,
        "ended_ago": item.ended_ago + now - item.as_of,
        "error_type": item.error_type[:200],
        "error_message": made_storable(item.error_message[:MAX_ERROR]),
        "traceback": made_storable(item.traceback[-MAX_TRACEBACK:]),
        "progress": item.progress,
        "note": made_storable(item.note[:200]),
        "log": made_storable(item.log[-MAX_LOG:]),
    }


def _recorded_before(claim_id: UUID, items: Iterable[Finished]) -> frozenset[UUID]:
    results = [
        {"id": item.id.hex, "fence": item.fence, "outcome": item.outcome.value} for item in items
    ]
    rows = sql.fetch(_RECORDED_BEFORE, {"claim": claim_id, "results": results})
    return frozenset(sql.as_uuid(row["task_id"]) for row in rows)
