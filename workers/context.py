"""What a handler can ask and say while it runs.

``current()`` gives the context inside a handler::

    from workers.context import current

    @shared_task
    def index(url: str) -> dict:
        ctx = current()
        ctx.log(f"fetching {url}")
        with ctx.commit() as effect:          # one transaction with the task's own end
            Page.objects.create(url=url)
            effect.result = {"stored": True}
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction

from coordination import bodies, lifecycle, sql
from coordination.models import Outcome, Status
from workers.journal import Journal
from workers.patience import FINISH_PATIENCE_SECONDS, persist
from workers.quotas import Quotas


class Cancelled(Exception):
    """Raised by :meth:`Context.check_cancelled`: the task ends as cancelled."""


class Fenced(RuntimeError):
    """The task was taken back: nothing of this execution may be recorded."""


class GiveUp(Exception):
    """Raise it when trying again cannot help: the task goes to dead letters at once."""


@dataclass(slots=True)
class Effect:
    """The result to record with what ``commit()`` commits."""

    result: Any = None


@dataclass(slots=True)
class Context:
    """One execution of one task."""

    task_id: UUID
    attempt: int
    """Which attempt this is, from 1."""
    fence: int
    """Grows with every dispatch: pass it on to systems that can refuse older ones."""
    claim: UUID
    deadline: float
    """When it must have ended, on this process's monotonic clock."""
    journal: Journal
    cancel_flag: str = ""
    definition: str = ""
    swarm_id: int | None = None
    started: float = field(default_factory=time.monotonic)
    committed: bool = False
    _limits: Quotas | None = None

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this task: pass it on to systems that deduplicate."""
        return self.task_id.hex

    @property
    def seconds_left(self) -> float:
        """Until the time limit or the task's deadline, whichever comes first; at least 0."""
        return max(0.0, self.deadline - time.monotonic())

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked this task to stop (a look at a local file, no query)."""
        return bool(self.cancel_flag) and os.access(self.cancel_flag, os.F_OK)  # raises nothing

    def check_cancelled(self) -> None:
        """Raise :class:`Cancelled` if this task is to stop."""
        if self.cancelled:
            raise Cancelled

    @property
    def limits(self) -> Quotas:
        """Policies to ask before a call outside: ``limits.acquire("search-api")``."""
        if self._limits is None:
            self._limits = Quotas(self.task_id, self.definition, lambda: self.seconds_left)
        return self._limits

    def log(self, message: str) -> None:
        """Add a line to the attempt's log."""
        self.journal.write(f"{time.strftime('%H:%M:%S', time.gmtime())} {message}")

    def progress(self, done: float | None, note: str = "") -> None:
        """Say how far this is (0 to 1) and what is happening."""
        self.journal.report(done, note)

    @contextmanager
    def commit(self) -> Iterator[Effect]:
        """A transaction that ends this task with what is written inside it, or not at all.

        1. Lock the task's row and check the fence (raises :class:`Fenced`), waiting for a
        database that is away; 2. run the block; 3. record `effect.result` and success. The
        handler's return value is then ignored. Raises RuntimeError inside a transaction of the
        handler's own, whose end could undo the task's.
        """
        with persist(self._open, FINISH_PATIENCE_SECONDS):
            effect = Effect()
            yield effect
            encoded = bodies.encode(effect.result)
            report = lifecycle.finish(self.claim, [self._success(encoded)])
            if not report.recorded:
                raise Fenced(f"task {self.task_id} was taken back")
        self.committed = True

    def _open(self) -> ExitStack:
        """A transaction that holds the task's row."""
        with ExitStack() as opened:
            opened.enter_context(transaction.atomic(durable=True))
            self._lock()
            return opened.pop_all()

    def _lock(self) -> None:
        rows = sql.fetch(
            """
            SELECT t.id FROM coordination_task t WHERE t.id = %(task)s AND t.fence = %(fence)s
            AND t.claim = %(claim)s AND t.status = 'running' @lock(t)
            """,
            {"task": self.task_id, "fence": self.fence, "claim": self.claim},
        )
        if not rows:
            raise Fenced(f"task {self.task_id} was taken back")

    def _success(self, result: bodies.Encoded) -> lifecycle.Finished:
        return lifecycle.Finished(
            self.task_id,
            self.fence,
            Status.SUCCEEDED,
            Outcome.SUCCEEDED,
            started_ago=time.monotonic() - self.started,
            ended_ago=0.0,
            result=result,
            log=self.journal.text,
            note=self.journal.note,
            progress=self.journal.progress,
        )


_current: ContextVar[Context | None] = ContextVar("ansf_context", default=None)


def current() -> Context:
    """The context of the task that this thread runs. Raises RuntimeError outside one."""
    context = _current.get()
    if context is None:
        raise RuntimeError("no ANSF task is running here")
    return context


def current_or_none() -> Context | None:
    """The context, or None in a plain Celery task or a direct call."""
    return _current.get()


class Entered:
    """Makes `context` the current one for its block."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = _current.set(self._context)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


class JournalHandler(logging.Handler):
    """Copies what a handler logs with :mod:`logging` into its attempt's log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Ignore records from outside handlers."""
        context = _current.get()
        if context is None:
            return
        try:
            context.log(f"{record.levelname} {record.getMessage()}")
        except Exception:  # noqa: BLE001 - logging never fails whoever logs
            self.handleError(record)
