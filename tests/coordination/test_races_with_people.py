"""Races between people and the machinery: who asks meanwhile gets an answer that stays true."""

from __future__ import annotations

import time

import pytest

from coordination import retention
from coordination.lifecycle.asking import cancel, replay
from coordination.models import Run, RunNode, Status, Task
from tests.coordination.meanwhile import one_after_the_other
from tests.coordination.steps import ago, claim, get, lead, plant, ready, status

CONCURRENT = pytest.mark.parametrize(
    "db", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)


@CONCURRENT
def test_a_task_that_leaves_running_while_it_is_cancelled_is_cancelled(definition, tenant):
    task = ready()
    grip = claim(task)

    def fail():
        grip.finish(status=Status.SCHEDULED, retry_in=60.0)

    _, answers = one_after_the_other(fail, lambda: cancel(tenant.pk, [task]))
    assert answers == {task: "cancelled"}
    assert status(task) == Status.CANCELLED


def test_what_was_replayed_meanwhile_is_not_pruned(definition, tenant, monkeypatch):
    """The replay comes between looking for old tasks and deleting them."""
    term = lead().term
    task = ready()
    plant(task, status=Status.EXPIRED, finished_at=ago(10))
    look = retention.sql.fetch

    def look_then_replay(template, bound=None):
        found = look(template, bound)
        if template is retention._OLD:
            assert found
            assert replay(tenant.pk, [task]) == {task: "replayed"}
        return found

    monkeypatch.setattr(retention.sql, "fetch", look_then_replay)
    time.sleep(0.01)  # ids count in milliseconds
    assert retention.prune_tasks(term, days=0) == 0
    assert get(task).status == Status.READY


def test_a_run_is_pruned_with_its_last_task_and_not_before(definition, tenant):
    term = lead().term
    run = Run.objects.create(tenant=tenant, name="r", nodes_total=2)
    tasks = [ready(), ready()]
    for position, task in enumerate(tasks):
        plant(task, run=run)
        RunNode.objects.create(run=run, name=f"n{position}", position=position, task_id=task)
    for task, left in zip(tasks, (1, 0), strict=True):
        plant(task, status=Status.CANCELLED, finished_at=ago(10))
        time.sleep(0.01)
        assert retention.prune_tasks(term, days=0) == 1
        assert RunNode.objects.filter(run=run).count() == left
        assert Run.objects.filter(pk=run.pk).exists() == bool(left)
    assert not Task.objects.exists()
