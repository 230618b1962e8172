"""Decisions of the router as rows: the latest are kept, and found by request.

They explain, and are not money: a call does not wait for its row. Rows are written in batches, some
hundredths of a second behind the answers; a process that is killed meanwhile loses those.
"""

from __future__ import annotations

import logging
from collections import deque
from threading import Lock

from django.db import DatabaseError, IntegrityError
from django.utils import timezone

from gateway.models import RouteRecord
from gateway.router import RouteDecision
from gateway.threads import later

logger = logging.getLogger(__name__)

MOST_KEPT = 100_000
"""Decisions of all tenants."""
MOST_WAITING = 5_000
"""Decisions that are not written yet; who comes then writes them."""
BATCH = 200
GATHERED_S = 0.05
"""How long decisions are gathered for a batch."""

_PRUNED_EVERY = 500


class Waiting:
    """Decisions on their way to their rows. Threads share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._rows: deque[RouteRecord] = deque()
        self._called = False

    def add(self, row: RouteRecord) -> None:
        """Take a row; somebody is called to write it."""
        with self._lock:
            self._rows.append(row)
            full, call = len(self._rows) >= MOST_WAITING, not self._called
            self._called = True
        if full:
            self.write()
        elif call:
            later(self.write, after_s=GATHERED_S)

    def write(self) -> None:
        """Write what waits, batch after batch."""
        with self._lock:
            self._called = False
        while batch := self._taken():
            _write(batch)

    def _taken(self) -> list[RouteRecord]:
        with self._lock:
            return [self._rows.popleft() for _ in range(min(BATCH, len(self._rows)))]


WAITING = Waiting()


def keep(
    tenant_id: int,
    request_id: str,
    decision: RouteDecision,
    *,
    policy: str = "",
    task_class: str = "simple",
) -> None:
    """Have a decision written with its reasons, soon."""
    WAITING.add(_row(tenant_id, request_id, decision, policy, task_class))


def store(
    tenant_id: int,
    request_id: str,
    decision: RouteDecision,
    *,
    policy: str = "",
    task_class: str = "simple",
) -> RouteRecord:
    """Write a decision with its reasons; now and then the oldest go."""
    row = _row(tenant_id, request_id, decision, policy, task_class)
    row.save(force_insert=True)
    _prune_after([row])
    return row


def prune(last: int) -> int:
    """Delete the decisions up to an id; answers how many."""
    return RouteRecord.objects.filter(pk__lte=last).delete()[0]


def _row(
    tenant_id: int, request_id: str, decision: RouteDecision, policy: str, task_class: str
) -> RouteRecord:
    return RouteRecord(
        tenant_id=tenant_id,
        request_id=request_id.replace("\x00", "")[:100],
        at=timezone.now(),
        policy=policy[:100],
        task_class=task_class,
        model=decision.model,
        provider=decision.provider,
        explored=decision.explored,
        cheap_suffices=decision.cheap_suffices,
        expected_cost=decision.chosen.expected_cost,
        detail=decision.as_dict(),
    )


def _write(batch: list[RouteRecord]) -> None:
    try:
        RouteRecord.objects.bulk_create(batch)
    except IntegrityError:  # a tenant is gone: the others' rows one by one
        if len(batch) > 1:
            for row in batch:
                row.pk = None
                _write([row])
        return
    except DatabaseError as error:
        logger.warning("%d decisions of the router were not written: %s", len(batch), error)
        return
    _prune_after(batch)


def _prune_after(rows: list[RouteRecord]) -> None:
    due = [row.pk for row in rows if row.pk % _PRUNED_EVERY == 0]
    if due:
        prune(max(due) - MOST_KEPT)
