"""Leases that run out together are not believed at once."""

from __future__ import annotations

import pytest

from coordination import lifecycle
from coordination.models import Status, WorkerNode
from tests.coordination.steps import ago, claim, lead, now, ready, status, worker


@pytest.fixture
def term(definition):
    return lead(steady=True).term


def lapsed(*workers, seconds):
    WorkerNode.objects.filter(pk__in=[w.pk for w in workers]).update(lease_expires_at=ago(seconds))


@pytest.mark.parametrize("others", [0, 1])
def test_most_leases_running_out_at_once_wait_for_one_more_lease(term, others):
    workers = [worker(), worker()]
    tasks = [ready(), ready()]
    for task, node in zip(tasks, workers, strict=True):
        claim(task, by=node)
    for _ in range(others):
        worker(pool="io")

    lapsed(*workers, seconds=0.5)
    assert lifecycle.judge(term).charged == 0
    lapsed(*workers, seconds=6.5)
    assert lifecycle.judge(term).charged == 2
    assert {status(task) for task in tasks} == {Status.SCHEDULED}


def test_half_of_the_leases_are_believed_at_once(term):
    dead, task = worker(), ready()
    claim(task, by=dead)
    worker()
    lapsed(dead, seconds=0.5)
    assert lifecycle.judge(term).charged == 1


def test_the_only_worker_is_believed_dead_at_once(term):
    dead, task = worker(), ready()
    claim(task, by=dead)
    lapsed(dead, seconds=0.5)
    assert lifecycle.judge(term).charged == 1


def test_workers_that_said_goodbye_together_are_gone_at_once(term):
    workers, tasks = [worker(), worker()], [ready(), ready()]
    for task, node in zip(tasks, workers, strict=True):
        claim(task, by=node)
    moment = now()
    WorkerNode.objects.update(stopped_at=moment, lease_expires_at=moment)
    assert lifecycle.judge(term).charged == 2


def test_workers_that_died_long_ago_do_not_count(term):
    lapsed(worker(), worker(), worker(), seconds=60)
    dead, task = worker(), ready()
    claim(task, by=dead)
    worker()
    lapsed(dead, seconds=0.5)
    assert lifecycle.judge(term).charged == 1
