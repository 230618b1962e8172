"""How what a Celery task does becomes the life of a task; the table of docs/celery.md."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from billiard.exceptions import SoftTimeLimitExceeded
from celery.exceptions import Ignore, Reject

from ansf_platform.celery import app
from coordination import lifecycle
from coordination.models import Outcome, Status, Task
from tests.coordination.steps import ago, dispatch, get, lead, now, plant, ready
from workers import executor
from workers.context import Cancelled, GiveUp
from workers.node import flag_name


def handler(**options):
    """A Celery task under a name of this module."""

    def register(function):
        return app.task(name=f"tests.outcomes.{function.__name__}", **options)(function)

    return register


@handler()
def add(x, y=1):
    return {"sum": x + y}


@handler()
def boom():
    raise RuntimeError("no luck")


@handler(bind=True, max_retries=2)
def again(self, countdown):
    raise self.retry(exc=OSError("busy"), countdown=countdown)


@handler(bind=True)
def at_moment(self):
    raise self.retry(eta=datetime.now(UTC) + timedelta(seconds=100))


@handler(autoretry_for=(OSError,), retry_backoff=40, retry_jitter=False, max_retries=5)
def flaky():
    raise OSError("away")


@handler()
def ignores():
    raise Ignore


@handler()
def rejects(requeue):
    raise Reject("not now", requeue=requeue)


@handler()
def gives_up():
    raise GiveUp("never")


@handler()
def stops():
    raise Cancelled


@handler()
def returns_a_set():
    return {1, 2}


@handler()
def waits():
    time.sleep(30)


@handler()
def cleans_up():
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        return "cleaned up"


@handler()
def spoils_the_alarm():
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def seconds_until(moment):
    return (moment - now()).total_seconds()


class TestReturning:
    def test_a_return_value_is_the_result(self, execute):
        task, attempt = execute(add, {"x": 1, "y": 2})

        assert (task.status, task.result) == (Status.SUCCEEDED, {"sum": 3})
        assert (attempt.outcome, attempt.number) == (Outcome.SUCCEEDED, 1)
        assert 0 <= attempt.run_ms < 5000
        assert task.started_at <= task.finished_at

    def test_a_result_that_is_no_json_is_dead_at_once(self, execute):
        task, attempt = execute(returns_a_set)

        assert (task.status, task.reason) == (Status.DEAD, "ResultInvalid")
        assert "set" in attempt.error_message

    def test_ignore_is_success_without_a_result(self, execute):
        task, attempt = execute(ignores)

        assert (task.status, task.result, task.reason) == (Status.SUCCEEDED, None, "ignored")
        assert attempt.outcome == Outcome.SUCCEEDED

    def test_arguments_that_do_not_fit_are_an_error_like_any(self, execute):
        task, attempt = execute(add, {"z": 1})

        assert task.status == Status.SCHEDULED
        assert attempt.error_type == "TypeError"


class TestRaising:
    def test_an_error_is_tried_again_after_the_definitions_backoff(self, execute):
        task, attempt = execute(boom, backoff_seconds=100.0)

        assert (task.status, task.attempt, task.reason) == (Status.SCHEDULED, 1, "RuntimeError")
        assert seconds_until(task.due_at) <= 100
        assert (attempt.outcome, attempt.error_message) == (Outcome.FAILED, "no luck")
        assert 'raise RuntimeError("no luck")' in attempt.traceback

    def test_the_last_attempt_is_dead(self, execute):
        task, attempt = execute(boom, max_attempts=1)

        assert (task.status, attempt.outcome) == (Status.DEAD, Outcome.FAILED)

    def test_giving_up_is_dead_at_once(self, execute):
        task, _ = execute(gives_up, max_attempts=50)

        assert (task.status, task.reason) == (Status.DEAD, "GiveUp")

    def test_a_broken_reference_is_dead_at_once(self, bind, envelope):
        bind(add)
        task = ready(add.name, {"x": {"$from": "nobody"}})
        plant(task, run_id=task)

        envelope(task)

        assert (get(task).status, get(task).reason) == (Status.DEAD, "ReferenceBroken")


class TestRetrying:
    def test_self_retry_waits_its_own_countdown(self, execute):
        task, attempt = execute(again, {"countdown": 100}, backoff_seconds=0.0)

        assert (task.status, task.attempt) == (Status.SCHEDULED, 1)
        assert 95 < seconds_until(task.due_at) <= 100
        assert (attempt.outcome, attempt.error_type) == (Outcome.RETRIED, "OSError")

    def test_self_retry_may_name_a_moment(self, execute):
        task, _ = execute(at_moment)

        assert 90 < seconds_until(task.due_at) <= 100

    def test_self_retry_ends_with_the_handlers_own_count(self, bind, envelope):
        bind(again)
        task = ready(again.name, {"countdown": 0})
        term = lead().term
        for _ in range(3):
            assert get(task).status in {Status.READY, Status.SCHEDULED}
            Task.objects.filter(status=Status.SCHEDULED).update(due_at=ago(1))
            lifecycle.wake(term)
            envelope(task)

        assert (get(task).status, get(task).attempt) == (Status.DEAD, 3)
        assert get(task).reason == "OSError"

    def test_autoretry_for_waits_its_own_backoff(self, execute):
        task, attempt = execute(flaky)

        assert (task.status, attempt.outcome) == (Status.SCHEDULED, Outcome.RETRIED)
        assert 35 < seconds_until(task.due_at) <= 40
        assert attempt.error_type == "OSError"

    def test_an_error_that_is_not_listed_is_not_retried_by_autoretry(self, execute):
        task, attempt = execute(boom)

        assert attempt.outcome == Outcome.FAILED
        assert task.status == Status.SCHEDULED

    def test_reject_with_requeue_comes_again_uncharged(self, execute):
        task, attempt = execute(rejects, {"requeue": True})

        assert (task.status, task.attempt, attempt.charged) == (Status.SCHEDULED, 0, False)

    def test_reject_is_dead(self, execute):
        task, attempt = execute(rejects, {"requeue": False})

        assert (task.status, attempt.error_type) == (Status.DEAD, "Reject")


class TestStopping:
    def test_raising_cancelled_ends_as_cancelled(self, execute):
        task, attempt = execute(stops)

        assert (task.status, attempt.outcome) == (Status.CANCELLED, Outcome.CANCELLED)

    def test_a_flag_raised_before_a_member_begins_keeps_it_from_running(self, bind, envelope, node):
        bind(boom)
        task = ready(boom.name)
        (node.cancelled / flag_name(task, fence=1)).touch()

        envelope(task)

        assert get(task).status == Status.CANCELLED

    def test_the_soft_limit_is_an_exception_in_the_handler(self, execute):
        task, attempt = execute(waits, time_limit_seconds=0.1)

        assert (task.status, attempt.outcome) == (Status.SCHEDULED, Outcome.TIMED_OUT)
        assert attempt.error_type == "SoftTimeLimitExceeded"
        assert attempt.run_ms < 10_000

    def test_a_handler_may_catch_it_and_still_succeed(self, execute):
        task, _ = execute(cleans_up, time_limit_seconds=0.1)

        assert (task.status, task.result) == (Status.SUCCEEDED, "cleaned up")

    def test_a_deadline_that_is_nearer_than_the_limit_is_the_limit(self, bind, envelope):
        bind(waits)
        task = ready(waits.name, deadline=now() + timedelta(seconds=0.5))

        envelope(task)

        assert get(task).status in {Status.EXPIRED, Status.SCHEDULED}
        assert get(task).attempt == 1

    def test_a_handler_that_takes_the_alarm_away_does_not_take_it_from_the_next(self, execute):
        execute(spoils_the_alarm)

        _, attempt = execute(waits, time_limit_seconds=0.1)

        assert attempt.outcome == Outcome.TIMED_OUT


def test_a_message_of_before_a_take_back_runs_nothing(bind, envelope, node):
    definition = bind(boom)
    task = ready(boom.name)
    fence = dispatch(task)[task]

    executor.run_envelope(node, uuid4(), definition.pk, [(task, fence + 1)])

    assert get(task).status == Status.DISPATCHED
