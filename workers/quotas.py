"""Limits that a handler asks for itself: ``current().limits``.

For what only the handler knows: which model it calls, how many tokens that takes. What limits the
task as a whole belongs into its definition, where waiting costs no worker::

    limits = current().limits
    limits.acquire("search-api")                       # waits for its turn, at most to the deadline
    with limits.slot("browser", wait=10):              # at most so many at the same time
        ...
    held = limits.reserve("tokens", estimate=2_000, model="small")
    limits.settle(held, actual=1_312)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from uuid import UUID

from coordination.models import LimitSet, Task
from ratelimit import policies, pool
from ratelimit.buckets import Bucket
from ratelimit.decision import Decision, Reservation
from ratelimit.slots import Slot
from ratelimit.subject import Subject

logger = logging.getLogger(__name__)


class LimitReached(RuntimeError):
    """A policy did not let it pass in time; `decision` tells when it would."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        which = ", ".join(decision.violated) or "a limit"
        after = decision.retry_after
        told = "this much never passes" if after is None else f"it passes in {after:.1f} s"
        super().__init__(f"{which} is reached: {told}")


@dataclass(slots=True)
class Quotas:
    """The policies of one running task.

    A name that no enabled policy has limits nothing; the log tells of it once.
    """

    task_id: UUID
    definition: str
    seconds_left: Callable[[], float]
    _subject: Subject | None = field(default=None, init=False)

    @property
    def subject(self) -> Subject:
        """Whom this task is counted for; one query, once."""
        if self._subject is None:
            self._subject = _subject_of(self.task_id, self.definition)
        return self._subject

    def acquire(
        self, *names: str, cost: int = 1, wait: float | None = None, model: str | None = None
    ) -> Decision:
        """Charge all these policies or none, in turn with others who wait.

        Sleeps for up to `wait` seconds (None: as long as the task may run, where every policy
        says ``wait``; else not at all). Raises :class:`LimitReached`; uncaught, the attempt
        fails and is tried again as the definition says.
        """
        buckets = self._buckets(names, model)
        patient = all(bucket.on_deny == "wait" for bucket in buckets)
        wanted = wait if wait is not None else (self.seconds_left() if patient else 0.0)
        decision = pool.limiter().acquire(buckets, cost, wait=self._bounded(wanted))
        return _passed(decision)

    def peek(self, *names: str, model: str | None = None) -> Decision:
        """How they stand; charges nothing and raises nothing."""
        return pool.limiter().peek(self._buckets(names, model))

    def reserve(self, *names: str, estimate: int, model: str | None = None) -> Reservation:
        """Charge an estimate, to be corrected by :meth:`settle`. Raises :class:`LimitReached`."""
        reservation = pool.limiter().reserve(self._buckets(names, model), estimate)
        _passed(reservation.decision)
        return reservation

    def settle(self, reservation: Reservation, actual: int) -> bool:
        """Replace an estimate by what it was; a second time changes nothing."""
        return pool.limiter().settle(reservation, actual)

    @contextmanager
    def slot(self, *names: str, wait: float = 0.0) -> Iterator[Slot]:
        """Hold a place in policies of concurrency for a block. Raises :class:`LimitReached`."""
        with pool.limiter().slot(self._buckets(names, None), wait=self._bounded(wait)) as held:
            if held.decision is not None:
                _passed(held.decision)
            yield held

    def _bounded(self, wait: float) -> float:
        return max(0.0, min(wait, self.seconds_left()))

    def _buckets(self, names: tuple[str, ...], model: str | None) -> tuple[Bucket, ...]:
        if not names:
            raise ValueError("name at least one policy: `manage.py limit list` shows them")
        buckets = policies.buckets_for(names, replace(self.subject, model=model))
        for name in set(names).difference(bucket.name for bucket in buckets):
            _tell_of(name, self.definition)
        return buckets


@lru_cache(maxsize=1_000)  # once for each in a process
def _tell_of(name: str, definition: str) -> None:
    logger.warning(
        "%s: the policy %s limits nothing here: it is misspelt, disabled, or counts by what was "
        "not given (such as the model)",
        definition,
        name,
    )


def _passed(decision: Decision) -> Decision:
    if not decision.allowed:
        raise LimitReached(decision)
    return decision


def _subject_of(task_id: UUID, definition: str) -> Subject:
    columns = ("tenant_id", "swarm__slug", "agent__name", "limit_set")
    tenant, swarm, agent, limit_set = Task.objects.values_list(*columns).get(id=task_id)
    submitter = LimitSet.objects.filter(pk=limit_set).first() if limit_set else None
    return Subject(
        tenant=str(tenant),
        swarm=swarm,
        agent=agent,
        definition=definition or None,
        user=(submitter.user if submitter else "") or None,
        token=(submitter.token if submitter else "") or None,
    )
