"""What hangs on a task that ends badly ends in few statements, however deep the graph."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from coordination import reconciliation
from coordination.lifecycle.asking import cancel, replay
from coordination.models import RunNode, Status, Task
from coordination.runs import EdgeRequest, NodeRequest, submit_run
from tests.coordination.steps import die, lead, status

LENGTH = 300
MOST_QUERIES = 25


def chain(*extra):
    nodes = [NodeRequest(name=f"n{i}", definition="accept") for i in range(LENGTH)]
    nodes += [NodeRequest(name=name, definition="accept") for name, _ in extra]
    edges = [EdgeRequest(parent=f"n{i}", child=f"n{i + 1}") for i in range(LENGTH - 1)]
    edges += [EdgeRequest(parent=parent, child=name, when="always") for name, parent in extra]
    run = submit_run("chain", nodes, edges)
    return dict(RunNode.objects.filter(run=run).values_list("name", "task_id"))


def test_a_dead_root_cancels_a_long_chain_at_once(definition):
    tasks = chain()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        die(tasks["n0"])
    assert Task.objects.filter(status=Status.CANCELLED, reason="upstream").count() == LENGTH - 1
    assert len(queries) < MOST_QUERIES


def test_whatever_waits_for_any_end_runs_after_the_chain_is_cancelled(definition, tenant):
    tasks = chain(("cleanup", "n200"), ("report", "n0"))
    cancel(tenant.pk, [tasks["n0"]])
    ready = Task.objects.filter(status=Status.READY).values_list("id", flat=True)
    assert set(ready) == {tasks["cleanup"], tasks["report"]}
    assert Task.objects.filter(status=Status.CANCELLED).count() == LENGTH


def test_a_child_replayed_without_its_dead_parent_is_cancelled_with_all_after_it(
    definition, tenant
):
    tasks = chain()
    die(tasks["n0"])
    assert replay(tenant.pk, [tasks["n1"]]) == {tasks["n1"]: "replayed"}
    assert status(tasks["n1"]) == Status.BLOCKED

    assert reconciliation.reconcile(lead().term) == 0
    assert set(Task.objects.exclude(id=tasks["n0"]).values_list("status", flat=True)) == {
        Status.CANCELLED
    }
    replay(tenant.pk, [tasks["n0"]])
    assert status(tasks["n0"]) == Status.READY
    assert Task.objects.filter(status=Status.BLOCKED).count() == LENGTH - 1


def test_a_child_whose_parent_is_replayed_too_waits_for_it(definition, tenant):
    tasks = chain()
    die(tasks["n0"])
    replay(tenant.pk, [tasks["n0"], tasks["n1"]])
    reconciliation.reconcile(lead().term)
    assert status(tasks["n1"]) == Status.BLOCKED
