"""Many at once over the same rows, on PostgreSQL: nothing is lost, counts add up."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import pytest

from coordination import TaskRequest, counters, lifecycle, submit_many
from coordination.ids import uuid7
from coordination.lifecycle.leading import Pick
from coordination.models import TERMINAL, Attempt, Edge, Lease, LiveKey, Run, Status, Task
from coordination.reconciliation import reconcile
from tests.coordination.steps import ago, dispatch, finished, lead, worker
from tests.databases import in_threads

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.parametrize("db", ["postgresql"], indirect=True),
]

PAIRS = 1000


@pytest.fixture
def pairs(definition, tenant):
    """1 000 children, each blocked by two parents that run; (first, second, child) with fences."""
    requests = [TaskRequest(definition="accept") for _ in range(3 * PAIRS)]
    ids = [found.task_id for found in submit_many(requests).submissions]
    triples = [ids[start : start + 3] for start in range(0, len(ids), 3)]
    children = [child for _, _, child in triples]
    run = Run.objects.create(tenant=tenant, name="race", nodes_total=len(ids))
    Task.objects.filter(id__in=children).delete()
    Task.objects.filter(id__in=ids).update(run=run)
    template = Task.objects.filter(id=ids[0]).get()
    for child in children:
        template.id, template.status, template.waiting_on = child, Status.BLOCKED, 2
        template.save(force_insert=True)
    Edge.objects.bulk_create(
        Edge(run=run, parent_id=parent, child_id=child)
        for first, second, child in triples
        for parent in (first, second)
    )
    fences = dispatch(*[task for triple in triples for task in triple[:2]])
    return triples, fences


def claim_all(tasks, fences):
    claim, node = uuid7(), worker()
    lifecycle.claim(claim, node.pk, [(task, fences[task]) for task in tasks])
    return claim


def test_two_parents_that_finish_at_once_a_thousand_times_leave_no_child_blocked(pairs):
    triples, fences = pairs
    sides = []
    for side in range(2):
        tasks = [triple[side] for triple in triples]
        sides.append((claim_all(tasks, fences), tasks))
    gate = threading.Barrier(2)

    def finish_all(claim, tasks):
        def run():
            for task in tasks:
                gate.wait(30)
                lifecycle.finish(claim, [finished(task, fences[task])])

        return run

    in_threads(*[finish_all(*side) for side in sides])

    children = [child for _, _, child in triples]
    states = Counter(Task.objects.filter(id__in=children).values_list("status", "waiting_on"))
    assert states == {("ready", 0): PAIRS}
    assert reconcile(None) == 0


def test_parents_that_finish_in_batches_of_opposite_order_free_every_child(pairs):
    triples, fences = pairs
    first, second = ([triple[side] for triple in triples] for side in range(2))
    claims = [claim_all(first, fences), claim_all(second, fences)]

    def finish(claim, tasks):
        def run():
            for start in range(0, PAIRS, 50):
                batch = tasks[start : start + 50]
                random.shuffle(batch)
                report = lifecycle.finish(claim, [finished(task, fences[task]) for task in batch])
                assert len(report.recorded) == 50

        return run

    in_threads(finish(claims[0], first), finish(claims[1], second[::-1]))

    assert Task.objects.filter(status=Status.BLOCKED).count() == 0
    assert reconcile(None) == 0


def submit_every_kind(size):
    """Tasks with and without unique keys and lanes; their ids."""
    requests = [
        TaskRequest(
            definition="accept",
            key=f"k{number}" if number % 3 == 0 else None,
            lane=f"l{number % 20}" if number % 4 == 0 else None,
        )
        for number in range(size)
    ]
    return [found.task_id for found in submit_many(requests).submissions]


def test_cancels_finishes_and_sweeps_over_the_same_rows_do_not_surface_a_deadlock(
    definition, tenant
):
    ids = submit_every_kind(2000)
    term = lead(steady=True).term
    Lease.objects.update(expires_at=ago(-600))  # nobody renews it here
    node = worker(lease=600)
    stop = time.monotonic() + 8
    told = Counter()
    lock = threading.Lock()

    def count(**numbers):
        with lock:
            told.update(numbers)

    def serve():
        while time.monotonic() < stop:
            ready = Task.objects.filter(status=Status.READY).values_list("id", flat=True)[:60]
            fences = lifecycle.dispatch(term, [Pick(task, uuid7(), None) for task in ready])
            claim = uuid7()
            taken = lifecycle.claim(claim, node.pk, list(fences.items()))
            random.shuffle(taken)
            lifecycle.give_back(claim, [(task.id, task.fence) for task in taken[:5]])
            ends = [Status.SUCCEEDED, Status.SUCCEEDED, Status.DEAD, Status.SCHEDULED]
            report = lifecycle.finish(
                claim,
                [finished(task.id, task.fence, random.choice(ends)) for task in taken[5:]],
            )
            count(recorded=len(report.recorded), fenced=len(report.fenced))

    def cancel():
        while time.monotonic() < stop:
            answers = lifecycle.cancel(tenant.pk, random.sample(ids, 200))
            count(cancelled=sum(answer == "cancelled" for answer in answers.values()))

    def replay():
        while time.monotonic() < stop:
            answers = lifecycle.replay(tenant.pk, random.sample(ids, 200))
            count(replayed=sum(answer == "replayed" for answer in answers.values()))

    def sweep():
        while time.monotonic() < stop:
            lifecycle.wake(term)
            lifecycle.expire(term)
            lifecycle.judge(term)
            lifecycle.take_back_unclaimed(term)
            count(reconciled=reconcile(term))

    in_threads(serve, serve, cancel, cancel, replay, sweep)

    assert told["recorded"] > 0
    assert told["cancelled"] > 0
    assert told["reconciled"] == 0
    assert counters.totals().get("fenced", 0) == told["fenced"]
    assert Attempt.objects.count() == told["recorded"]
    live = Task.objects.exclude(status__in=TERMINAL)
    held = LiveKey.objects.values_list("task_id", flat=True)
    assert set(held) == set(live.exclude(unique_key=None).values_list("id", flat=True))
