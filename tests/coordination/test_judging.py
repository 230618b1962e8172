"""Leases and beats: who is lost, who is charged, and that nobody is judged too early."""

from __future__ import annotations

import pytest

from coordination import counters, lifecycle
from coordination.lifecycle.judging import Verdicts
from coordination.models import Attempt, Lease, Status, Task, TaskDefinition, WorkerNode
from tests.coordination.steps import (
    ago,
    claim,
    get,
    lead,
    outcomes,
    plant,
    ready,
    status,
    worker,
)

NOBODY = Verdicts()


@pytest.fixture
def term(definition):
    """A leader that may judge."""
    return lead(steady=True).term


def gone():
    """A worker whose lease has run out."""
    return worker(lease=-1)


def beats(node, *naming):
    """Two beats of a living worker, both after what it claimed, naming these claims."""
    claims = [claim.hex for claim in naming]
    Task.objects.filter(worker=node).update(claimed_at=ago(10))
    WorkerNode.objects.filter(pk=node.pk).update(
        claims=claims, previous_claims=claims, previous_beat_at=ago(2), beat_at=ago(0)
    )


class TestWhen:
    def test_a_new_leader_judges_nobody_for_the_time_of_a_workers_lease(self, definition):
        term = lead().term
        task = ready()
        claim(task, by=gone())

        assert lifecycle.judge(term) == NOBODY
        Lease.objects.update(steady_since=ago(5.5))
        assert lifecycle.judge(term) == NOBODY
        Lease.objects.update(steady_since=ago(6.1))
        assert lifecycle.judge(term) == Verdicts(charged=1)

    def test_a_leader_that_had_a_gap_waits_anew(self, definition):
        leadership = lead(steady=True)
        Lease.objects.update(renewed_at=ago(3))
        leadership.acquire_or_renew()
        claim(ready(), by=gone())

        assert lifecycle.judge(leadership.term) == NOBODY

    def test_living_workers_with_their_claims_are_left_alone(self, term):
        grip = claim(ready(), ready())
        beats(grip.worker, grip.claim)

        assert lifecycle.judge(term) == NOBODY


class TestWho:
    def test_tasks_of_a_worker_whose_lease_ran_out_are_ready_again(self, term):
        grip = claim(ready(), ready(), by=gone())

        assert lifecycle.judge(term) == Verdicts(uncharged=2)

        for task in map(get, grip.fences):
            assert (task.status, task.attempt, task.fence) == (Status.READY, 0, 2)
            assert (task.solo, task.reason) == (True, "worker lost")
            assert outcomes(task.id) == ["lost"]
        assert counters.totals() == {"lost_claims": 2}
        assert grip.finish().fenced == set(grip.fences)

    def test_tasks_of_a_worker_that_said_goodbye_come_back_at_once(self, term):
        grip = claim(ready(), ready())
        WorkerNode.objects.update(stopped_at=ago(0))

        assert lifecycle.judge(term) == Verdicts(uncharged=2)
        assert {status(task) for task in grip.fences} == {Status.READY}

    def test_tasks_of_a_worker_whose_row_is_gone_come_back(self, term):
        claim(ready(), ready())
        WorkerNode.objects.all().delete()

        assert lifecycle.judge(term) == Verdicts(uncharged=2)

    def test_a_claim_missing_from_two_beats_of_a_living_worker_is_lost(self, term):
        node = worker()
        lost, kept = claim(ready(), ready(), by=node), claim(ready(), by=node)
        beats(node, kept.claim)

        assert lifecycle.judge(term) == Verdicts(uncharged=2)

        assert {status(task) for task in lost.fences} == {Status.READY}
        assert {status(task) for task in kept.fences} == {Status.RUNNING}

    def test_a_claim_that_one_of_the_last_two_beats_named_is_kept(self, term):
        grip = claim(ready())
        beats(grip.worker)
        WorkerNode.objects.update(previous_claims=[grip.claim.hex])
        assert lifecycle.judge(term) == NOBODY

        WorkerNode.objects.update(previous_claims=[], claims=[grip.claim.hex])
        assert lifecycle.judge(term) == NOBODY

    def test_a_claim_younger_than_the_older_beat_is_not_missed_yet(self, term):
        grip = claim(ready())
        beats(grip.worker)
        Task.objects.update(claimed_at=ago(1))

        assert lifecycle.judge(term) == NOBODY


class TestVerdicts:
    def test_a_task_that_was_alone_is_charged_and_waits_for_its_backoff(self, term):
        task = ready()
        claim(task, by=gone())

        assert lifecycle.judge(term) == Verdicts(charged=1)

        row, attempt = get(task), Attempt.objects.get()
        assert (row.status, row.attempt, row.solo) == (Status.SCHEDULED, 1, True)
        assert row.due_at is not None
        assert (attempt.number, attempt.charged, attempt.error_type) == (1, True, "WorkerLost")

    def test_one_that_loses_its_worker_every_time_dies_alone(self, term):
        guilty, neighbour = ready(), ready()
        node = gone()
        claim(guilty, neighbour, by=node)
        lifecycle.judge(term)
        for _ in range(3):
            claim(guilty, by=node)
            assert lifecycle.judge(term) == Verdicts(charged=1)
            Task.objects.filter(id=guilty, status=Status.SCHEDULED).update(due_at=ago(1))
            lifecycle.wake(None)

        row = get(guilty)
        assert (row.status, row.attempt, row.reason) == (Status.DEAD, 3, "worker lost")
        assert row.finished_at is not None
        assert outcomes(guilty) == ["lost"] * 4
        assert (status(neighbour), get(neighbour).attempt) == (Status.READY, 0)

    def test_one_past_its_limit_is_called_timed_out(self, term, definition):
        task = ready()
        claim(task, by=gone())
        plant(task, claimed_at=ago(301))

        lifecycle.judge(term)

        attempt = Attempt.objects.get()
        assert (attempt.outcome, attempt.error_type) == ("timed_out", "TimeLimitExceeded")

    def test_a_late_success_of_one_that_was_timed_out_is_fenced(self, term):
        grip = claim(ready(), by=gone())
        Task.objects.update(claimed_at=ago(301))
        lifecycle.judge(term)

        assert grip.finish().fenced == set(grip.fences)
        assert counters.totals()["fenced"] == 1

    def test_what_was_asked_to_stop_is_cancelled_and_frees_what_it_held(self, term, tenant):
        task = ready(key="k", lane="l")
        waiting = ready(lane="l")
        claim(task, by=gone())
        lifecycle.cancel(tenant.pk, [task])

        lifecycle.judge(term)

        assert status(task) == Status.CANCELLED
        assert status(waiting) == Status.READY
        assert ready(key="k") != task

    def test_a_dead_verdict_settles_what_the_task_held(self, term):
        TaskDefinition.objects.update(max_attempts=1)
        task = ready(key="k")
        claim(task, by=gone())

        lifecycle.judge(term)

        assert status(task) == Status.DEAD
        assert ready(key="k") != task

    def test_what_a_handler_logged_before_it_was_lost_is_kept(self, term):
        task = ready()
        grip = claim(task, by=gone())
        Attempt.objects.create(
            task_id=task,
            fence=grip.fences[task],
            number=1,
            claim=grip.claim,
            definition_id=get(task).definition_id,
            swarm_id=get(task).swarm_id,
            outcome="running",
            log="a line\n",
        )

        lifecycle.judge(term)

        attempt = Attempt.objects.get()
        assert (attempt.outcome, attempt.log) == ("lost", "a line\n")

    def test_one_that_finished_first_is_not_judged(self, term):
        grip = claim(ready(), by=gone())
        grip.finish()

        assert lifecycle.judge(term) == NOBODY
