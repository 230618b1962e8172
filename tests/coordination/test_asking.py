"""Cancel and replay: every answer, and what becomes of the rows."""

from __future__ import annotations

from uuid import uuid4

import pytest

from coordination import lifecycle
from coordination.lifecycle.asking import cancel, replay
from coordination.models import Status, Task
from tests.coordination.steps import (
    ago,
    claim,
    die,
    dispatch,
    get,
    now,
    plant,
    ready,
    retry,
    status,
    succeed,
)


class TestCancel:
    def test_what_waits_is_cancelled_at_once(self, definition, tenant):
        waiting = ready()
        scheduled = ready(not_before=now().replace(year=2100))
        ready(lane="l")
        blocked = ready(lane="l")
        dispatched = ready()
        dispatch(dispatched)
        ids = [waiting, scheduled, blocked, dispatched]

        answers = cancel(tenant.pk, ids)

        assert answers == dict.fromkeys(ids, "cancelled")
        for task in map(get, ids):
            assert (task.status, task.reason) == (Status.CANCELLED, "asked")
            assert task.finished_at is not None
            assert task.due_at is None

    def test_a_dispatched_task_that_was_cancelled_is_not_claimed(self, definition, tenant):
        task = ready()
        fences = dispatch(task)
        cancel(tenant.pk, [task])

        assert lifecycle.claim(uuid4(), 1, list(fences.items())) == []

    def test_what_runs_is_asked_to_stop_once(self, definition, tenant):
        task = ready()
        claim(task)

        assert cancel(tenant.pk, [task]) == {task: "requested"}
        first = get(task).cancel_requested_at
        assert cancel(tenant.pk, [task]) == {task: "requested"}

        assert (status(task), get(task).cancel_requested_at) == (Status.RUNNING, first)

    def test_what_ended_is_finished_and_what_is_not_there_is_missing(self, definition, tenant):
        ended, absent = ready(), uuid4()
        succeed(ended)

        assert cancel(tenant.pk, [ended, absent]) == {ended: "finished", absent: "missing"}

    def test_another_tenants_task_is_missing(self, definition, tenant):
        other = type(tenant).objects.create(slug="other", name="Other")
        task = ready()

        assert cancel(other.pk, [task]) == {task: "missing"}
        assert replay(other.pk, [task]) == {task: "missing"}
        assert status(task) == Status.READY

    def test_the_same_task_twice_is_one(self, definition, tenant):
        task = ready()

        assert cancel(tenant.pk, [task, task]) == {task: "cancelled"}


class TestReplay:
    def test_a_dead_task_is_ready_with_a_new_set_of_attempts(self, definition, tenant):
        task = ready()
        die(task)

        assert replay(tenant.pk, [task]) == {task: "replayed"}

        row = get(task)
        assert (row.status, row.attempt, row.reason) == (Status.READY, 0, "")
        assert (row.finished_at, row.claim, row.envelope) == (None, None, None)
        assert succeed(task).recorded == {task}

    @pytest.mark.parametrize("end", ["cancelled", "expired"])
    def test_cancelled_and_expired_tasks_come_back_without_their_deadline(
        self, definition, tenant, end
    ):
        task = ready(deadline=now().replace(year=2100))
        if end == "cancelled":
            cancel(tenant.pk, [task])
        else:
            plant(task, deadline=ago(1), due_at=ago(1))
            lifecycle.expire(None)
        assert status(task) == end

        replay(tenant.pk, [task])

        assert (status(task), get(task).deadline) == (Status.READY, None)

    def test_what_has_not_ended_badly_is_not_replayed(self, definition, tenant):
        waiting, done = ready(), ready()
        succeed(done)

        assert replay(tenant.pk, [waiting, done]) == {waiting: "not_ended", done: "not_ended"}
        assert status(done) == Status.SUCCEEDED

    def test_a_late_result_of_before_the_replay_is_fenced(self, definition, tenant):
        task = ready()
        old = claim(task)
        old.finish(status=Status.DEAD)

        replay(tenant.pk, [task])

        assert old.finish().recorded == set()
        assert status(task) == Status.READY

    def test_a_retrying_task_keeps_its_request_to_stop_but_a_replay_drops_it(
        self, definition, tenant
    ):
        task = ready()
        grip = claim(task)
        cancel(tenant.pk, [task])
        grip.finish(status=Status.CANCELLED)

        replay(tenant.pk, [task])

        assert get(task).cancel_requested_at is None

    def test_a_large_result_is_replaced_by_that_of_the_replay(self, definition, tenant):
        task = ready()
        die(task)
        replay(tenant.pk, [task])

        succeed(task, result="x" * 5000)

        assert get(task).result_bytes == 5002

    def test_many_are_replayed_in_a_number_of_statements_that_does_not_grow(
        self, definition, tenant, django_assert_max_num_queries
    ):
        ids = [ready() for _ in range(40)]
        die(*ids)

        with django_assert_max_num_queries(10):
            replay(tenant.pk, ids)

        assert Task.objects.filter(status=Status.READY).count() == 40


def test_a_task_that_waits_for_its_retry_can_be_cancelled(definition, tenant):
    task = ready()
    retry(task)

    assert cancel(tenant.pk, [task]) == {task: "cancelled"}
