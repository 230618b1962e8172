"""Claim, finish and give back: fenced, repeatable, and recorded at most once."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import uuid4

import pytest

from coordination import counters, lifecycle
from coordination.lifecycle.working import MAX_LOG
from coordination.models import Attempt, Outcome, Status
from tests.coordination.steps import (
    Grip,
    ago,
    claim,
    dispatch,
    get,
    now,
    outcomes,
    plant,
    ready,
    retry,
    status,
    succeed,
    worker,
)


class TestClaim:
    def test_a_claim_takes_tasks_in_the_order_of_the_envelope_with_payloads(self, definition):
        tasks = [ready(payload={"n": number}) for number in range(5)]
        fences = dispatch(*tasks)

        envelope = [(task, fences[task]) for task in reversed(tasks)]
        taken = lifecycle.claim(uuid4(), worker().pk, envelope)

        assert [task.payload["n"] for task in taken] == [4, 3, 2, 1, 0]
        assert {(task.fence, task.attempt) for task in taken} == {(1, 0)}
        assert {status(task) for task in tasks} == {Status.RUNNING}

    def test_the_same_claim_again_gives_the_same_tasks(self, definition):
        grip = claim(ready(), ready())

        again = lifecycle.claim(grip.claim, grip.worker.pk, list(grip.fences.items()))

        assert [task.id for task in again] == [task.id for task in grip.claimed]

    def test_another_claim_of_the_same_message_gets_nothing(self, definition):
        grip = claim(ready())

        assert lifecycle.claim(uuid4(), grip.worker.pk, list(grip.fences.items())) == []

    @pytest.mark.parametrize("difference", [-1, 1])
    def test_a_message_with_another_fence_claims_nothing(self, definition, difference):
        task = ready()
        fence = dispatch(task)[task] + difference

        assert lifecycle.claim(uuid4(), worker().pk, [(task, fence)]) == []
        assert status(task) == Status.DISPATCHED

    def test_a_task_past_its_deadline_is_not_claimed(self, definition):
        early, late = ready(), ready()
        fences = dispatch(early, late)
        plant(late, deadline=ago(1))

        taken = lifecycle.claim(uuid4(), worker().pk, list(fences.items()))

        assert [task.id for task in taken] == [early]

    def test_a_claim_tells_the_seconds_to_the_deadline(self, definition):
        task = ready(deadline=now().replace(year=2100))

        assert claim(task).claimed[0].deadline_in > 1e9
        assert claim(ready()).claimed[0].deadline_in is None

    def test_an_unknown_task_is_ignored(self, definition):
        assert lifecycle.claim(uuid4(), worker().pk, [(uuid4(), 1)]) == []

    def test_a_task_alone_in_its_envelope_is_known_to_be_alone(self, definition):
        alone = claim(ready())
        together = claim(ready(), ready())

        assert [get(task).solo for task in alone.fences] == [True]
        assert [get(task).solo for task in together.fences] == [False, False]


class TestFinish:
    def test_a_success_is_recorded_with_its_attempt(self, definition):
        task = ready()

        report = succeed(task, result={"y": 1}, log="a line\n", note="done", progress=1.0)

        row, attempt = get(task), Attempt.objects.get()
        assert report.recorded == {task}
        assert (row.status, row.result, row.attempt) == (Status.SUCCEEDED, {"y": 1}, 1)
        assert (attempt.number, attempt.outcome, attempt.charged) == (1, Outcome.SUCCEEDED, True)
        assert (attempt.log, attempt.note, attempt.progress) == ("a line\n", "done", 1.0)
        assert attempt.run_ms == pytest.approx(100, abs=1)
        assert (row.finished_at - row.started_at).total_seconds() == pytest.approx(0.1, abs=0.01)

    def test_a_result_told_again_after_a_lost_reply_is_success(self, definition):
        grip = claim(ready())
        grip.finish(result=1)

        again = grip.finish(result=1)

        assert (again.recorded, again.repeated, again.fenced) == (set(), set(grip.fences), set())
        assert Attempt.objects.count() == 1
        assert counters.totals() == {}

    def test_a_late_result_is_fenced_and_counted(self, definition):
        old = claim(ready())
        task = next(iter(old.fences))
        old.give_back()
        new = claim(task)

        late = old.finish(result="old")

        assert late.fenced == {task}
        assert counters.totals() == {"fenced": 1}
        assert (status(task), Attempt.objects.count()) == (Status.RUNNING, 0)
        assert new.finish(result="new").recorded == {task}
        assert get(task).result == "new"

    def test_a_result_under_the_right_fence_but_another_claim_is_fenced(self, definition):
        grip = claim(ready())
        thief = Grip(uuid4(), grip.worker, grip.fences)

        assert thief.finish().fenced == set(grip.fences)

    def test_a_success_after_the_same_claim_was_judged_timed_out_is_fenced(self, definition):
        grip = claim(ready())
        grip.finish(status=Status.SCHEDULED, outcome=Outcome.TIMED_OUT, retry_in=60.0)

        late = grip.finish(result="late")

        assert (late.repeated, late.fenced) == (set(), set(grip.fences))

    def test_each_member_of_a_batch_has_its_own_fate(self, definition):
        good, taken = ready(), ready()
        grip = claim(good, taken)
        grip.give_back(taken)

        report = grip.finish()

        assert (report.recorded, report.fenced) == ({good}, {taken})

    def test_a_retry_is_scheduled_and_charged(self, definition):
        task = ready()

        retry(task, 60.0, error_type="OSError", error_message="no", traceback="tb")

        row, attempt = get(task), Attempt.objects.get()
        assert (row.status, row.attempt, row.finished_at) == (Status.SCHEDULED, 1, None)
        assert 59 < (row.due_at - now()).total_seconds() <= 60
        assert (attempt.error_type, attempt.error_message) == ("OSError", "no")

    def test_an_uncharged_retry_leaves_the_count(self, definition):
        task = ready()

        retry(task, charged=False)

        assert get(task).attempt == 0
        assert Attempt.objects.get().charged is False

    def test_attempts_are_numbered_over_retries(self, definition):
        task = ready()
        for _ in range(3):
            retry(task, 0.0)
            assert lifecycle.wake(None) == 1

        succeed(task)

        assert list(Attempt.objects.order_by("fence").values_list("number", flat=True)) == [
            1, 2, 3, 4,
        ]  # fmt: skip

    def test_a_retry_past_the_deadline_expires(self, definition):
        task = ready(deadline=now().replace(year=2100))
        grip = claim(task)
        plant(task, deadline=ago(-30))

        grip.finish(status=Status.SCHEDULED, retry_in=60.0)

        row = get(task)
        assert (row.status, row.reason) == (Status.EXPIRED, "deadline")
        assert row.finished_at is not None

    def test_a_retry_of_what_was_asked_to_stop_is_cancelled(self, definition, tenant):
        task = ready()
        grip = claim(task)
        lifecycle.cancel(tenant.pk, [task])

        grip.finish(status=Status.SCHEDULED, retry_in=60.0)

        row = get(task)
        assert (row.status, row.reason) == (Status.CANCELLED, "asked")
        assert row.finished_at is not None

    def test_a_success_wins_over_a_request_to_stop(self, definition, tenant):
        task = ready()
        grip = claim(task)
        lifecycle.cancel(tenant.pk, [task])

        grip.finish(result=1)

        assert status(task) == Status.SUCCEEDED
        assert lifecycle.cancel(tenant.pk, [task]) == {task: "finished"}

    def test_logs_and_errors_are_bounded_and_storable(self, definition):
        task = ready()

        retry(
            task,
            log="x" * (MAX_LOG + 10) + "end\x00\ud800",
            error_message="m" * 10_000,
            error_type="E" * 300,
        )

        attempt = Attempt.objects.get()
        assert len(attempt.log) == MAX_LOG
        assert attempt.log.endswith("end\ufffd?")
        assert len(attempt.error_message) == 4000
        assert len(attempt.error_type) == 200

    def test_nothing_to_record_asks_nothing(self, db, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert not lifecycle.finish(uuid4(), []).recorded

    def test_a_batch_takes_a_number_of_statements_that_does_not_grow(
        self, definition, django_assert_max_num_queries
    ):
        grip = claim(*[ready() for _ in range(50)])

        with django_assert_max_num_queries(8):
            grip.finish()


class TestGiveBack:
    def test_what_was_not_begun_is_ready_again_uncharged(self, definition):
        task = ready()
        grip = claim(task)

        assert grip.give_back(reason="no handler here") == 1

        row = get(task)
        assert (row.status, row.attempt, row.fence) == (Status.READY, 0, 2)
        assert (row.reason, row.claim, row.envelope) == ("no handler here", None, None)
        assert outcomes(task) == []

    def test_what_was_only_dispatched_can_be_given_back(self, definition):
        task = ready()
        fences = dispatch(task)

        assert lifecycle.give_back(uuid4(), list(fences.items())) == 1

    def test_another_claim_cannot_give_it_back(self, definition):
        grip = claim(ready())

        assert Grip(uuid4(), grip.worker, grip.fences).give_back() == 0
        assert lifecycle.give_back(grip.claim, []) == 0

    def test_what_was_asked_to_stop_ends_instead(self, definition, tenant):
        task = ready(key="k")
        grip = claim(task, ready())
        lifecycle.cancel(tenant.pk, [task])

        grip.give_back()

        assert status(task) == Status.CANCELLED
        assert get(task).finished_at is not None
        assert ready(key="k") != task

    def test_a_finished_task_is_not_given_back(self, definition):
        grip = claim(ready())
        grip.finish()

        assert grip.give_back() == 0


def test_a_result_that_waited_to_be_recorded_keeps_its_times(definition):
    task = ready()

    claim(task).finish(as_of=time.monotonic() - 5.0)

    assert get(task).finished_at <= ago(5.0)
    assert get(task).finished_at - get(task).started_at < timedelta(seconds=0.2)
    assert Attempt.objects.get(task_id=task).run_ms == pytest.approx(100.0)
