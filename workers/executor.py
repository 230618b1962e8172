"""Running an envelope: claim, run the members in turn, record, acknowledge.

Every step that talks to the database is repeated until the database is back: a result is not
lost because PostgreSQL restarts, and meanwhile nobody judges this worker.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from billiard.common import terminate_handler_fired  # type: ignore[attr-defined]
from celery import Task, signals, states
from celery._state import pop_current_task, push_current_task  # type: ignore[attr-defined]
from celery.app.task import Context as CeleryRequest
from celery.exceptions import Retry

from ansf_platform.celery import app
from coordination import counters, lifecycle, references
from coordination.lifecycle import Claimed, Finished
from coordination.models import TaskDefinition
from coordination.retry import Backoff
from coordination.sizing import HARD_GRACE_SECONDS, TARGET_MS
from workers import slots
from workers.batches import Batch, Members
from workers.context import Context, Entered, Fenced
from workers.journal import Journal, path_for
from workers.limits import HardLimit, SoftLimit, in_main_thread
from workers.member_request import request_for
from workers.node import Node, flag_name
from workers.outcomes import Ending, Policy, raised, returned
from workers.patience import (
    CLAIM_PATIENCE_SECONDS,
    FINISH_PATIENCE_SECONDS,
    NoTransactionLeftOpen,
    persist,
)
from workers.stragglers import watch

logger = logging.getLogger(__name__)

BUDGET_SECONDS = 4 * TARGET_MS / 1000  # then members not begun are given back
UNKNOWN_HANDLER_SECONDS = 1.0  # before giving back, so that a wrong worker does not spin


@dataclass(frozen=True, slots=True)
class Program:
    """A definition as a worker uses it."""

    id: int
    name: str
    handler: str
    time_limit: float
    policy: Policy


@dataclass(frozen=True, slots=True)
class Course:
    """What the members of an envelope have in common while they run here."""

    node: Node
    claim: UUID
    program: Program
    handler: Task[Any, Any]
    call: Callable[..., Any]
    """Runs the handler's code inside a request that is pushed already."""


_programs: dict[int, Program] = {}


def program(definition_id: int) -> Program:
    """The definition's program; versions never change, so it is read once."""
    if definition_id not in _programs:
        row = TaskDefinition.objects.get(pk=definition_id)
        backoff = Backoff(row.backoff_seconds, row.backoff_cap_seconds)
        _programs[definition_id] = Program(
            row.pk, row.name, row.handler, row.time_limit_seconds, Policy(row.max_attempts, backoff)
        )
    return _programs[definition_id]


def run_envelope(
    node: Node, claim: UUID, definition_id: int, members: Sequence[tuple[UUID, int]]
) -> None:
    """Execute what of an envelope is still to be done here."""
    chosen = persist(lambda: program(definition_id), CLAIM_PATIENCE_SECONDS)
    handler = app.tasks.get(chosen.handler)
    if handler is None:
        logger.error("no handler %r here: giving back %s tasks", chosen.handler, len(members))
        time.sleep(UNKNOWN_HANDLER_SECONDS)
        persist(
            lambda: lifecycle.give_back(claim, members, f"no handler {chosen.handler}"[:100]),
            CLAIM_PATIENCE_SECONDS,
        )
        return
    claimed = persist(lambda: lifecycle.claim(claim, node.id, members), CLAIM_PATIENCE_SECONDS)
    # What Celery's own `__call__` does beyond running is to push a request, which we do.
    plain = type(handler).__call__ is Task.__call__
    call = handler.run if plain else handler
    _run_members(Course(node, claim, chosen, handler, call), claimed)


def _run_members(course: Course, claimed: Sequence[Claimed]) -> None:
    claim = course.claim
    batch, members = Batch(claim), Members(claimed)
    begun = time.monotonic()

    def relieve() -> None:
        batch.flush()
        _give_back(claim, members)

    with watch.over(BUDGET_SECONDS, relieve) if len(claimed) > 1 else nullcontext():
        push_current_task(course.handler)
        try:
            while (task := members.next()) is not None:
                batch.add(execute(course, task))
                if time.monotonic() - begun > BUDGET_SECONDS:
                    _give_back(claim, members)
        finally:
            pop_current_task()
    batch.flush()


def _give_back(claim: UUID, members: Members) -> None:
    left = members.cut()
    if left:
        persist(lambda: lifecycle.give_back(claim, left), FINISH_PATIENCE_SECONDS)


def execute(course: Course, task: Claimed) -> Finished | None:
    """Run one member; None when nothing is left to record (committed, or fenced)."""
    node, claim = course.node, course.claim
    limit = course.program.time_limit
    if task.deadline_in is not None:
        limit = min(limit, max(task.deadline_in, 0.001))
    context = Context(
        task.id,
        task.attempt + 1,
        task.fence,
        claim,
        time.monotonic() + limit,
        Journal(path_for(node.logs, task.id, task.fence)),
        f"{node.cancelled}/{flag_name(task.id, task.fence)}",
        course.program.name,
    )
    hard_seconds = limit + HARD_GRACE_SECONDS
    fenced = False
    if in_main_thread():
        with HardLimit(node.limits, hard_seconds), Entered(context):
            ending = _run_handler(context, course, task, limit)
    else:
        running = slots.Running(
            task.id, task.fence, claim, course.program.policy, context.attempt, hard_seconds
        )
        with slots.occupied(running), Entered(context):
            ending = _run_handler(context, course, task, limit)
        fenced = running.fenced
    context.journal.close()
    if context.committed or ending is None or fenced:
        return None
    return _finished(context, ending)


def _finished(context: Context, ending: Ending) -> Finished:
    now = time.monotonic()
    return Finished(
        context.task_id,
        context.fence,
        ending.status,
        ending.outcome,
        started_ago=now - context.started,
        ended_ago=0.0,
        as_of=now,
        charged=ending.charged,
        result=ending.result,
        retry_in=ending.retry_in,
        reason=ending.reason,
        error_type=ending.error_type,
        error_message=ending.error_message,
        traceback=ending.traceback,
        log=context.journal.text,
        note=context.journal.note,
        progress=context.journal.progress,
    )


def _run_handler(context: Context, course: Course, task: Claimed, limit: float) -> Ending | None:
    """Call the handler as Celery would, with its signals and hooks; how it ended."""
    kwargs: dict[str, Any] = task.payload if isinstance(task.payload, dict) else {}
    try:
        context.check_cancelled()
        if task.has_references and task.run_id is not None:
            run_id = task.run_id
            kwargs = persist(
                lambda: references.resolve(run_id, task.payload), CLAIM_PATIENCE_SECONDS
            )
    except Exception as error:  # noqa: BLE001 - every end is recorded
        return raised(error, context.attempt, course.program.policy)
    requests = course.handler.request_stack
    plain = course.call is not course.handler
    requests.push(request_for(task, kwargs, limit, plain=plain))
    try:
        return _call(context, course, kwargs, limit)
    finally:
        requests.pop()


def _call(context: Context, course: Course, kwargs: dict[str, Any], limit: float) -> Ending | None:
    handler, identifier = course.handler, context.task_id.hex
    signals.task_prerun.send(
        sender=handler, task_id=identifier, task=handler, args=(), kwargs=kwargs
    )
    value: Any = None
    state: str = states.SUCCESS
    try:
        with NoTransactionLeftOpen(), SoftLimit(limit):
            value = course.call(**kwargs)
        ending: Ending | None = returned(value)
        _tell(handler.on_success, value, identifier, (), kwargs)
        signals.task_success.send(sender=handler, result=value)
    except Fenced as error:
        logger.warning("%s", error)
        persist(lambda: counters.add("fenced", 1), FINISH_PATIENCE_SECONDS)
        ending = None
    except BaseException as error:  # every end is recorded, a cancelled coroutine's as well
        if isinstance(error, SystemExit) and terminate_handler_fired():
            raise  # this child is told to end
        ending = raised(error, context.attempt, course.program.policy)
        state = _announce(handler, identifier, kwargs, error)
    _tell(handler.after_return, state, value, identifier, (), kwargs, None)
    signals.task_postrun.send(
        sender=handler,
        task_id=identifier,
        task=handler,
        args=(),
        kwargs=kwargs,
        retval=value,
        state=state,
    )
    return ending


def _tell(hook: Callable[..., Any], *arguments: Any) -> None:
    """Call a hook of a handler; what it raises changes nothing about how the handler ended."""
    try:
        hook(*arguments)
    except Exception:
        logger.exception("%s raised", getattr(hook, "__qualname__", hook))


def _announce(
    handler: Task[Any, Any], identifier: str, kwargs: dict[str, Any], error: BaseException
) -> str:
    """Celery's hooks and signals for a handler that raised; the state they speak of."""
    request: CeleryRequest = handler.request
    if isinstance(error, Retry):
        _tell(handler.on_retry, error, identifier, (), kwargs, None)
        signals.task_retry.send(sender=handler, request=request, reason=error, einfo=None)
        return states.RETRY
    _tell(handler.on_failure, error, identifier, (), kwargs, None)
    signals.task_failure.send(
        sender=handler,
        task_id=identifier,
        exception=error,
        args=(),
        kwargs=kwargs,
        traceback=error.__traceback__,
        einfo=None,
    )
    return states.FAILURE
