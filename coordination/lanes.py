"""Lanes: tasks of one ordering key, one in flight at a time, in the order of submission.

Every change of a lane first locks its row, so that a submission and the end of the head cannot
miss each other. All but the head wait (`blocked`, one count of `waiting_on`); the end of the
head hands over to the next, unless it died and the lane halts on dead tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from coordination import sql
from coordination.models import Lane, Status
from coordination.rows import NewTask

_ENSURE = """
INSERT INTO coordination_lane (tenant_id, key, next_seq, on_dead, halted, revision)
SELECT %(tenant)s, wanted.key, 1, %(on_dead)s, %(halted)s, 1 FROM @rows(wanted, key text)
WHERE true ORDER BY wanted.key ON CONFLICT (tenant_id, key) DO NOTHING
"""
_LOCK_BY_KEY = """
SELECT l.id, l.key, l.next_seq, l.halted FROM coordination_lane l
WHERE l.tenant_id = %(tenant)s AND l.key IN (SELECT wanted.key FROM @rows(wanted, key text))
ORDER BY l.id @lock(l)
"""
# Asked after the lock is held and never with it: a statement that waits for a lock sees, beside
# the rows it locked, what was there before it waited.
_OCCUPIED = """
SELECT l.id FROM coordination_lane l WHERE l.id IN (SELECT wanted.id FROM @rows(wanted, id bigint))
  AND EXISTS (SELECT 1 FROM coordination_laneentry e WHERE e.lane_id = l.id)
"""
_ADVANCE_SEQ = """
UPDATE coordination_lane SET next_seq = moved.next_seq
FROM @rows(moved, id bigint, next_seq bigint) WHERE coordination_lane.id = moved.id
"""
_ENTER = """
INSERT INTO coordination_laneentry (lane_id, seq, task_id)
SELECT places.lane_id, places.seq, places.task_id
FROM @rows(places, lane_id bigint, seq bigint, task_id uuid)
"""


def join(tenant_id: int, entrants: Sequence[tuple[NewTask, str]]) -> None:
    """Give each new task the next place of its lane; all but a free lane's first will wait."""
    if not entrants:
        return
    wanted = [{"key": key} for key in sorted({key for _, key in entrants})]
    defaults = {"tenant": tenant_id, "on_dead": Lane.OnDead.HALT.value, "halted": False}
    sql.change(_ENSURE, {"wanted": wanted, **defaults})
    locked = sql.fetch(_LOCK_BY_KEY, {"tenant": tenant_id, "wanted": wanted})
    lanes = {lane["key"]: lane for lane in _with_occupancy(locked)}
    places = []
    for task, key in entrants:
        lane = lanes[key]
        task.lane_id = lane["id"]
        if lane["occupied"] or lane["halted"]:
            task.status = Status.BLOCKED
            task.waiting_on += 1
        places.append({"lane_id": lane["id"], "seq": lane["next_seq"], "task_id": task.id.hex})
        lane["next_seq"] += 1
        lane["occupied"] = True
    moved = [{"id": lane["id"], "next_seq": lane["next_seq"]} for lane in lanes.values()]
    sql.change(_ADVANCE_SEQ, {"moved": moved})
    sql.change(_ENTER, {"places": places})


def _with_occupancy(locked: Sequence[sql.Row]) -> Sequence[sql.Row]:
    occupied = {row["id"] for row in sql.fetch(_OCCUPIED, {"wanted": _ids(locked)})}
    for lane in locked:
        lane["occupied"] = lane["id"] in occupied
    return locked


def _ids(lanes: Sequence[sql.Row]) -> list[dict[str, int]]:
    return [{"id": lane["id"]} for lane in lanes]


_LOCK_BY_ID = """
SELECT l.id, l.next_seq, l.halted FROM coordination_lane l
WHERE l.id IN (SELECT wanted.id FROM @rows(wanted, id bigint)) ORDER BY l.id @lock(l)
"""


def rejoin(tasks: Mapping[UUID, int]) -> dict[UUID, int]:
    """Give replayed tasks a new place at the end of their lanes; what each waits for (0 or 1)."""
    if not tasks:
        return {}
    wanted = [{"id": lane} for lane in sorted(set(tasks.values()))]
    locked = sql.fetch(_LOCK_BY_ID, {"wanted": wanted})
    lanes = {lane["id"]: lane for lane in _with_occupancy(locked)}
    places, waiting = [], {}
    for task, lane_id in tasks.items():
        lane = lanes[lane_id]
        waiting[task] = int(bool(lane["occupied"] or lane["halted"]))
        places.append({"lane_id": lane_id, "seq": lane["next_seq"], "task_id": task.hex})
        lane["next_seq"] += 1
        lane["occupied"] = True
    moved = [{"id": lane["id"], "next_seq": lane["next_seq"]} for lane in lanes.values()]
    sql.change(_ADVANCE_SEQ, {"moved": moved})
    sql.change(_ENTER, {"places": places})
    return waiting


_LOCK = """
SELECT l.id, l.on_dead, l.halted FROM coordination_lane l
WHERE l.id IN (SELECT wanted.id FROM @rows(wanted, id bigint)) ORDER BY l.id @lock(l)
"""
_HEADS = """
SELECT e.lane_id, e.task_id FROM coordination_laneentry e
WHERE e.lane_id IN (SELECT wanted.id FROM @rows(wanted, id bigint))
  AND e.seq = (SELECT min(f.seq) FROM coordination_laneentry f WHERE f.lane_id = e.lane_id)
"""
_LEAVE = """
DELETE FROM coordination_laneentry
WHERE task_id IN (SELECT ended.id FROM @rows(ended, id uuid))
"""
_HALT = """
UPDATE coordination_lane SET halted = %(halted)s
WHERE id IN (SELECT wanted.id FROM @rows(wanted, id bigint))
"""


def leave(ended: Iterable[tuple[UUID, int, Status]]) -> list[UUID]:
    """Take ended tasks out of their lanes; the tasks that are head now, to be unblocked.

    `ended` holds (task, lane, status). A dead head halts its lane where the lane says so.
    """
    left = list(ended)
    if not left:
        return []
    wanted = [{"id": lane} for lane in sorted({lane for _, lane, _ in left})]
    locked = sql.fetch(_LOCK, {"wanted": wanted})
    on_dead = {row["id"]: row["on_dead"] for row in locked}
    before = _heads(wanted)
    sql.change(_LEAVE, {"ended": [{"id": task.hex} for task, _, _ in left]})
    gone = {task: status for task, _, status in left}
    halting = {
        lane
        for lane, head in before.items()
        if gone.get(head) == Status.DEAD and on_dead[lane] == Lane.OnDead.HALT
    }
    if halting:
        sql.change(_HALT, {"wanted": [{"id": lane} for lane in halting], "halted": True})
    # The head of a lane that was halted before is waiting too: its end hands nothing over.
    halted = halting | {row["id"] for row in locked if row["halted"]}
    after = _heads(wanted)
    return [head for lane, head in after.items() if before[lane] in gone and lane not in halted]


def _heads(wanted: Sequence[dict[str, int]]) -> dict[int, UUID]:
    rows = sql.fetch(_HEADS, {"wanted": wanted})
    return {row["lane_id"]: sql.as_uuid(row["task_id"]) for row in rows}


def go_on(lane_id: int) -> list[UUID]:
    """Lift a halt; the waiting head, to be unblocked (empty when it was not halted)."""
    wanted = [{"id": lane_id}]
    sql.fetch(_LOCK, {"wanted": wanted})
    if not Lane.objects.filter(pk=lane_id, halted=True).update(halted=False):
        return []
    return list(_heads(wanted).values())
