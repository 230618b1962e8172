"""Forgetting: old ended tasks in batches, with all that hangs on them and nothing more."""

from __future__ import annotations

from datetime import timedelta
from threading import Event
from uuid import UUID

import pytest
from django.db import transaction

from coordination import bodies, retention, runs
from coordination.ids import first_uuid7_at
from coordination.lifecycle.leading import Deposed
from coordination.models import (
    Attempt,
    Blob,
    Edge,
    Firing,
    Run,
    RunNode,
    Schedule,
    Task,
    TaskBody,
    WorkerNode,
)
from tests.coordination.steps import (
    ago,
    die,
    get,
    lead,
    now,
    plant,
    ready,
    succeed,
    worker,
)
from tests.databases import in_threads

OLD = 40 * 86_400
BIG = {"x": "a" * 100_000}


def aged(task_id, seconds=OLD) -> UUID:
    """The same task as if it had been submitted, and ended, that long ago; its new id."""
    moment = ago(seconds)
    identifier = UUID(int=first_uuid7_at(moment).int + task_id.int % 10**9)
    for model, name in (
        (Task, "id"),
        (Attempt, "task_id"),
        (TaskBody, "task_id"),
        (RunNode, "task_id"),
        (Edge, "parent_id"),
        (Edge, "child_id"),
    ):
        model.objects.filter(**{name: task_id}).update(**{name: identifier})
    plant(identifier, created_at=moment)
    if get(identifier).finished_at is not None:
        plant(identifier, finished_at=moment)
    return identifier


def test_old_ended_tasks_go_with_their_attempts_and_bodies(definition):
    old, recent = ready(payload=BIG), ready()
    succeed(old, result={"y": "b" * 2000})
    die(recent)
    aged(old)

    assert retention.prune_tasks(None) == 1

    assert list(Task.objects.values_list("id", flat=True)) == [recent]
    assert list(Attempt.objects.values_list("task_id", flat=True)) == [recent]
    assert (TaskBody.objects.count(), Blob.objects.count()) == (0, 0)


def test_old_tasks_that_have_not_ended_stay(definition):
    aged(ready())

    assert retention.prune_tasks(None) == 0


def test_a_task_submitted_long_ago_that_ended_lately_stays(definition):
    task = ready()
    succeed(task)
    task = aged(task)
    plant(task, finished_at=now())

    assert retention.prune_tasks(None) == 0


def test_a_batch_is_bounded_and_the_next_takes_the_rest(definition):
    for _ in range(5):
        task = ready()
        succeed(task)
        aged(task)

    assert [retention.prune_tasks(None, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def test_a_blob_that_a_living_task_shares_survives(definition):
    old, living = ready(payload=BIG), ready(payload=BIG)
    succeed(old)
    aged(old)

    retention.prune_tasks(None)

    assert Blob.objects.count() == 1
    assert bodies.payload_of(get(living)) == BIG


def test_a_run_goes_with_its_last_task(definition):
    nodes = [runs.NodeRequest(name=name, definition="accept") for name in "ab"]
    run = runs.submit_run("r", nodes, [runs.EdgeRequest(parent="a", child="b")])
    tasks = dict(RunNode.objects.values_list("name", "task_id"))
    succeed(tasks["a"])
    succeed(tasks["b"])
    aged(tasks["b"])

    retention.prune_tasks(None)
    assert Run.objects.filter(pk=run.pk).exists()
    aged(tasks["a"])
    retention.prune_tasks(None)

    assert not Run.objects.exists()
    assert not RunNode.objects.exists()
    assert not Edge.objects.exists()


def test_results_that_a_child_still_waits_to_read_stay(definition):
    nodes = [
        runs.NodeRequest(name="a", definition="accept"),
        runs.NodeRequest(name="b", definition="accept", payload={"x": {"$from": "a"}}),
    ]
    runs.submit_run("r", nodes, [runs.EdgeRequest(parent="a", child="b")])
    tasks = dict(RunNode.objects.values_list("name", "task_id"))
    succeed(tasks["a"])
    old = aged(tasks["a"])

    assert retention.prune_tasks(None) == 0
    succeed(tasks["b"])
    assert retention.prune_tasks(None) == 1
    assert not Task.objects.filter(id=old).exists()


def test_an_old_term_forgets_nothing(definition):
    task = ready()
    succeed(task)
    aged(task)

    with pytest.raises(Deposed):
        retention.prune_tasks(lead().term + 1)

    assert Task.objects.count() == 1


def test_old_firings_and_workers_go_after_a_week(definition, tenant):
    schedule = Schedule.objects.create(
        tenant=tenant, name="s", definition_name="accept", interval_seconds=60.0
    )
    for days in (6, 8):
        Firing.objects.create(schedule=schedule, due_at=ago(days * 86_400))
        worker(lease_expires_at=now() - timedelta(days=days))

    retention.prune_rest(None)

    assert (Firing.objects.count(), WorkerNode.objects.count()) == (1, 1)


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
@pytest.mark.postgres
@pytest.mark.parametrize("store", ["table", "directory"])
def test_a_blob_that_is_submitted_again_while_it_is_pruned_is_not_lost(
    definition, settings, tmp_path, store
):
    directory = str(tmp_path) if store == "directory" else ""
    settings.ANSF = {**settings.ANSF, "BLOB_DIR": directory}
    old = ready(payload=BIG)
    succeed(old)
    aged(old)
    submitted, told = Event(), []

    def submit_slowly():
        with transaction.atomic():
            told.append(ready(payload=BIG))
            submitted.set()
            # The pruning that begins now must either wait for this commit or go first.
            Event().wait(0.3)

    def prune():
        assert submitted.wait(10)
        retention.prune_tasks(None)

    in_threads(submit_slowly, prune)

    assert bodies.payload_of(get(told[0])) == BIG
