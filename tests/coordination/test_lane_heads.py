"""Whoever waited for a lock looks at the rows as they are then, not as they were before."""

from __future__ import annotations

import pytest

from coordination.lifecycle.asking import cancel, replay
from coordination.models import LaneEntry, RunNode, Status, Task
from coordination.runs import EdgeRequest, NodeRequest, submit_run
from tests.coordination.meanwhile import one_after_the_other
from tests.coordination.steps import claim, get, ready, status

pytestmark = pytest.mark.parametrize(
    "db", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)


@pytest.mark.parametrize("known", [False, True])
def test_two_submissions_at_once_have_one_head(definition, known):
    if known:
        claim(ready(lane="l")).finish()
    one, other = one_after_the_other(lambda: ready(lane="l"), lambda: ready(lane="l"))
    assert (status(one), status(other)) == (Status.READY, Status.BLOCKED)


def test_a_submission_while_the_head_ends_does_not_wait_for_it(definition):
    head = claim(ready(lane="l"))
    _, task = one_after_the_other(head.finish, lambda: ready(lane="l"))
    assert (status(task), get(task).waiting_on) == (Status.READY, 0)


def test_two_replays_at_once_have_one_head(definition, tenant):
    tasks = [ready(lane="l"), ready(lane="l")]
    Task.objects.filter(id__in=tasks).update(status=Status.CANCELLED)
    LaneEntry.objects.all().delete()
    one_after_the_other(lambda: replay(tenant.pk, tasks[:1]), lambda: replay(tenant.pk, tasks[1:]))
    assert [status(task) for task in tasks] == [Status.READY, Status.BLOCKED]


def test_a_child_replayed_while_its_parent_ends_does_not_wait_for_it(definition, tenant):
    nodes = [NodeRequest(name=name, definition="accept") for name in ("parent", "child")]
    run = submit_run("r", nodes, [EdgeRequest(parent="parent", child="child")])
    tasks = dict(RunNode.objects.filter(run=run).values_list("name", "task_id"))
    cancel(tenant.pk, [tasks["child"]])
    parent = claim(tasks["parent"])

    one_after_the_other(parent.finish, lambda: replay(tenant.pk, [tasks["child"]]))
    assert (status(tasks["child"]), get(tasks["child"]).waiting_on) == (Status.READY, 0)
