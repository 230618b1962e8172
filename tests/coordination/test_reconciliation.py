"""What should be impossible is mended and counted; in a sound system nothing is found."""

from __future__ import annotations

from uuid import uuid4

import pytest

from coordination import counters
from coordination.lifecycle.leading import Deposed
from coordination.models import Edge, Lane, LaneEntry, LiveKey, RunNode, Status
from coordination.reconciliation import reconcile
from coordination.runs import EdgeRequest, NodeRequest, submit_run
from tests.coordination.steps import claim, die, get, lead, now, plant, ready, status, succeed


@pytest.fixture
def run(definition):
    """a → c ← b, by name."""
    nodes = [NodeRequest(name=name, definition="accept") for name in "abc"]
    submit_run("r", nodes, [EdgeRequest(parent=parent, child="c") for parent in "ab"])
    return dict(RunNode.objects.values_list("name", "task_id"))


def test_a_sound_system_needs_no_mending(run, tenant):
    ready(key="k", lane="l")
    ready(lane="l")
    halting = ready(lane="halted")
    ready(lane="halted")
    die(halting)
    claim(ready())
    succeed(run["a"])

    assert reconcile(None) == 0
    assert counters.totals() == {}


def test_a_child_that_waits_for_too_many_is_unblocked(run):
    succeed(run["a"], run["b"])
    assert status(run["c"]) == Status.READY
    edges = Edge.objects.filter(child_id=run["c"])
    late = ready(lane="l")
    blocked = ready(lane="l")
    LaneEntry.objects.filter(task_id=late).delete()
    assert edges.count() == 2

    assert reconcile(None) == 1

    assert (status(blocked), get(blocked).waiting_on) == (Status.READY, 0)
    assert counters.totals() == {"reconciled": 1}


def test_a_wrong_count_is_put_right(run):
    plant(run["c"], waiting_on=7)

    assert reconcile(None) == 1

    assert (status(run["c"]), get(run["c"]).waiting_on) == (Status.BLOCKED, 2)
    assert reconcile(None) == 0


def test_a_mended_task_still_waits_for_its_own_time(definition):
    head = ready(lane="l")
    later = now().replace(year=2100)
    task = ready(lane="l", not_before=later)
    LaneEntry.objects.filter(task_id=head).delete()

    reconcile(None)

    assert (status(task), get(task).due_at) == (Status.SCHEDULED, later)


def test_the_tasks_of_a_halted_lane_are_meant_to_wait(definition):
    head = ready(lane="l")
    waiting = ready(lane="l")
    die(head)
    assert Lane.objects.get().halted

    assert reconcile(None) == 0
    assert status(waiting) == Status.BLOCKED


def test_keys_that_nobody_holds_are_freed(definition, tenant):
    ended = ready()
    succeed(ended)
    LiveKey.objects.create(tenant=tenant, key="left by its task", task_id=ended)
    LiveKey.objects.create(tenant=tenant, key="of no task", task_id=uuid4())
    ready(key="held")

    assert reconcile(None) == 2

    assert list(LiveKey.objects.values_list("key", flat=True)) == ["held"]


def test_more_than_one_page_is_looked_at(run, monkeypatch):
    monkeypatch.setattr("coordination.reconciliation.BATCH", 2)
    ready(lane="l")
    waiting = [ready(lane="l") for _ in range(5)]
    for task in waiting:
        plant(task, waiting_on=3)

    assert reconcile(None) == 5
    assert {get(task).waiting_on for task in waiting} == {1}


def test_an_old_term_mends_nothing(run):
    plant(run["c"], waiting_on=7)

    with pytest.raises(Deposed):
        reconcile(lead().term + 1)

    assert get(run["c"]).waiting_on == 7
