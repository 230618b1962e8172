"""What the beat says and does beside it, whatever the tasks of its worker are up to."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.db import transaction

from coordination import lifecycle
from coordination.models import Attempt, Status, Task, WorkerNode
from coordination.retry import Backoff
from tests.coordination import steps
from workers import journal, slots
from workers.claims import held
from workers.heart import Heart
from workers.limits import Clock
from workers.node import Node, flag_name
from workers.outcomes import Policy

DEADLINE_S = 30.0


@pytest.fixture
def node(db, tmp_path):
    row = steps.worker(pool="io")
    node = Node(row.pk, row.name, "io", 2, tmp_path)
    for path in (node.cancelled, node.limits, node.logs):
        path.mkdir()
    return node


def claimed(node):
    """A running task of this worker: id, fence, claim."""
    task, claim = steps.ready(), uuid4()
    fence = steps.dispatch(task)[task]
    assert lifecycle.claim(claim, node.id, [(task, fence)])
    return task, fence, claim


def overdue(task, fence, claim):
    """The thread that runs it, past its hard limit."""
    clock = Clock(time.monotonic() - 10.0)
    return slots.Running(task, fence, claim, Policy(3, Backoff(1.0, 1.0)), 1, 1.0, clock)


def named(node):
    return WorkerNode.objects.get(pk=node.id).claims


@pytest.fixture
def hold():
    """Hold a claim as a received envelope does."""
    mine = []

    def hold(claim):
        mine.append(claim)
        request = SimpleNamespace(
            begun=True, alive=lambda: True, stale_at=None, child=None, received_at=time.monotonic()
        )
        held.add(claim, request)

    yield hold
    for claim in mine:
        held.drop(claim)


def test_a_flag_is_raised_for_one_execution_and_lowered_after_it(node, definition):
    task, fence, _ = claimed(node)
    lifecycle.cancel(definition.tenant_id, [task])
    heart = Heart(node)
    heart._beat()
    assert [path.name for path in node.cancelled.iterdir()] == [flag_name(task, fence)]

    Task.objects.filter(id=task).update(status=Status.CANCELLED)
    heart._beat()
    assert not list(node.cancelled.iterdir())


def test_an_execution_after_a_replay_does_not_see_the_old_flag(node, definition):
    task, fence, _ = claimed(node)
    (node.cancelled / flag_name(task, fence)).touch()
    Task.objects.filter(id=task).update(status=Status.CANCELLED)
    lifecycle.replay(definition.tenant_id, [task])
    again = steps.dispatch(task)[task]
    assert not (node.cancelled / flag_name(task, again)).exists()


def test_the_claim_of_a_stuck_thread_is_given_up_and_its_slot_counted_once(node, definition, hold):
    stuck, working = claimed(node), claimed(node)
    for _, _, claim in (stuck, working):
        hold(claim)
    item = overdue(*stuck)
    heart = Heart(node, ready=True)
    heart.draining = True  # this one process is the test's
    with slots.occupied(item):
        heart._end(item)
        heart._beat()
    assert named(node) == [working[2].hex]
    assert WorkerNode.objects.get(pk=node.id).free_slots == 0
    assert steps.status(stuck[0]) == Status.SCHEDULED


def test_a_log_that_no_database_keeps_is_kept_readable(node, definition):
    task, fence, _ = claimed(node)
    path = journal.path_for(node.logs, task, fence)
    entry = {"log": "name \udcff\x00\n", "progress": 0.5, "note": "\ud800"}
    Path(path).write_text(json.dumps(entry), encoding="utf-8")
    Heart(node)._keep_logs()
    kept = Attempt.objects.get(task_id=task)
    assert (kept.log, kept.note) == ("name ?\ufffd\n", "?")


@pytest.mark.parametrize(
    "db", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
def test_the_lease_is_renewed_while_a_stuck_thread_locks_its_row(node, definition):
    """A handler stuck inside ``ctx.commit()`` must not cost its worker the lease."""
    task, fence, claim = claimed(node)
    heart = Heart(node, ready=True)
    with slots.occupied(overdue(task, fence, claim)), transaction.atomic():
        Task.objects.select_for_update().get(id=task)
        heart.start()
        try:
            beats, give_up = set(), time.monotonic() + DEADLINE_S
            while len(beats) < 3 and time.monotonic() < give_up:
                beats.add(WorkerNode.objects.get(pk=node.id).beat_at)
                time.sleep(0.05)
        finally:
            heart._stopping.set()
            heart._thread.join(DEADLINE_S)
    assert len(beats) == 3
