"""Decisions of the router as rows: the latest are kept, and found by request.

They explain, and are not money: a call does not wait for its row. Rows are written in batches, some
hundredths of a second behind the answers; a process that is killed meanwhile loses those.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
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


@dataclass(frozen=True, slots=True)
class _Decided:
    """A decision that is to be a row; made into one where nobody waits."""

    tenant_id: int
    request_id: str
    decision: RouteDecision
    policy: str
    task_class: str
    at: datetime = field(default_factory=timezone.now)

    def row(self) -> RouteRecord:
        decision = self.decision
        return RouteRecord(
            tenant_id=self.tenant_id,
            request_id=self.request_id.replace("\x00", "")[:100],
            at=self.at,
            policy=self.policy[:100],
            task_class=self.task_class,
            model=decision.model,
            provider=decision.provider,
            explored=decision.explored,
            cheap_suffices=decision.cheap_suffices,
            expected_cost=decision.chosen.expected_cost,
            detail=decision.as_dict(),
        )


class Waiting:
    """Decisions on their way to their rows. Threads share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._decided: deque[_Decided] = deque()
        self._called = False

    def add(self, decided: _Decided) -> None:
        """Take a decision; somebody is called to write it."""
        with self._lock:
            self._decided.append(decided)
            full, call = len(self._decided) >= MOST_WAITING, not self._called
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
            taken = [self._decided.popleft() for _ in range(min(BATCH, len(self._decided)))]
        return [decided.row() for decided in taken]


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
    WAITING.add(_Decided(tenant_id, request_id, decision, policy, task_class))


def prune(last: int) -> int:
    """Delete the decisions up to an id; answers how many."""
    return RouteRecord.objects.filter(pk__lte=last).delete()[0]


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
